"""What a storyboard says, after reading: references resolved to what they name, paths to URIs, defaults filled in.

Nothing here knows what a model accepts or costs; that is the plan's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Final, Literal, TypeAlias

from tasks.errors import Problem
from tasks.storyboard.transitions import TransitionKind

__all__ = [
    "DEFAULT_LOUDNESS_LUFS",
    "Boundary",
    "Card",
    "ClipOf",
    "Fit",
    "FrameOf",
    "MediaFile",
    "Music",
    "Picture",
    "Shot",
    "Storyboard",
    "Transition",
    "TransitionKind",
    "Video",
]

DEFAULT_LOUDNESS_LUFS: Final = Decimal(-16)
"""Integrated loudness that films with sound are brought to, in LUFS."""


class Boundary(StrEnum):
    """How a shot joins the one before it."""

    CUT = "cut"
    MATCH = "match"
    CONTINUE = "continue"


class Fit(StrEnum):
    """How pictures of another shape are brought to the film's.

    `fit` shows all of a picture between black bars, `fill` cuts off what stands over, `blur` shows all of it before
    itself, filling the film and blurred.
    """

    FIT = "fit"
    FILL = "fill"
    BLUR = "blur"


@dataclass(frozen=True, slots=True)
class Transition:
    """A transition into a shot, `duration_s` seconds long in all.

    `is_default` where the storyboard says it for all shots: then it is left out where there can be none.
    """

    kind: TransitionKind
    duration_s: Decimal
    is_default: bool = False


@dataclass(frozen=True, slots=True)
class MediaFile:
    """A picture, a video or a sound that exists outside the film.

    `uri` is absolute (`file:///…`, `https://…`, `s3://…`, `data:…`); `asset` is the name by which the storyboard
    calls it, if it does; `source_duration_s` is the length that the user stated for a video that cannot be probed.
    """

    uri: str
    asset: str | None = None
    source_duration_s: Decimal | None = None


@dataclass(frozen=True, slots=True)
class FrameOf:
    """The first or the last frame that another shot shows."""

    shot: str
    frame: Literal["first", "last"]


@dataclass(frozen=True, slots=True)
class ClipOf:
    """Another shot's selected clip, as a video input."""

    shot: str


Picture: TypeAlias = MediaFile | FrameOf
Video: TypeAlias = MediaFile | ClipOf


@dataclass(frozen=True, slots=True)
class Shot:
    """One entry of the storyboard, with the defaults applied.

    `duration_s` is the wanted length in seconds, `None` where the storyboard leaves it to the model (or, for an
    edit, to the source). `lines` holds the 1-based line of each key that the shot, or the defaults, spell out, and
    that of the shot itself under `""`. `transition` is how the film goes over to it, `None` for a plain cut;
    `gain_db` is of its clip's sound, `narration` a sound file laid over it.
    """

    id: str
    prompt: str
    duration_s: Decimal | None = None
    boundary: Boundary = Boundary.CUT
    first_frame: Picture | None = None
    last_frame: Picture | None = None
    reference_images: tuple[Picture, ...] = ()
    reference_videos: tuple[Video, ...] = ()
    video: Video | None = None
    keep_original_sound: bool | None = None
    takes: int = 1
    select: int = 1
    output_format: str | None = None
    output_quality: int | None = None
    safety: Mapping[str, object] | None = None
    ttl: int | None = None
    transition: Transition | None = None
    fit: Fit = Fit.FIT
    gain_db: Decimal = Decimal(0)
    narration: MediaFile | None = None
    narration_gain_db: Decimal = Decimal(0)
    caption: str | None = None
    lines: Mapping[str, int] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Music:
    """A sound file under the whole film, looped or cut to its length.

    `fade_out_s` long it fades at the end; by `duck_db` it goes down while a shot's own sound or a narration is heard.
    """

    file: MediaFile
    gain_db: Decimal
    fade_out_s: Decimal
    duck_db: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Card:
    """A picture with words, before the first shot or after the last.

    `key` is what the storyboard calls it by. `text` holds its lines, the first the largest; behind them is a colour
    (`#rrggbb`), or a picture that fills the film. `lines` are as a shot's.
    """

    key: Literal["title_card", "end_card"]
    text: tuple[str, ...]
    duration_s: Decimal
    background: str
    picture: MediaFile | None = None
    transition: Transition | None = None
    lines: Mapping[str, int] = field(default_factory=dict, compare=False, repr=False)

    @property
    def id(self) -> str:
        """What it is called among the shots; no shot can be called so, since there is a space in it."""
        return self.key.replace("_", " ")


@dataclass(frozen=True, slots=True)
class Storyboard:
    """A whole storyboard. `width` and `height` are the film's, in pixels; `fps` its rate, `None` for the model's.

    `tags` say which standing budgets it draws on. `loudness_lufs` is what its sound is brought to, `None` to leave it
    as it is. `ending` is the fade into black at its end, `None` for none.
    """

    title: str
    model: str
    width: int
    height: int
    shots: tuple[Shot, ...]
    style: str = ""
    fps: Decimal | None = None
    retries: int | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    music: Music | None = None
    title_card: Card | None = None
    end_card: Card | None = None
    ending: Transition | None = None
    loudness_lufs: Decimal | None = DEFAULT_LOUDNESS_LUFS
    file: str = "storyboard"
    lines: Mapping[str, int] = field(default_factory=dict, compare=False, repr=False)

    def shot(self, shot_id: str) -> Shot:
        """The shot with this id; `KeyError` if there is none."""
        for shot in self.shots:
            if shot.id == shot_id:
                return shot
        raise KeyError(shot_id)

    @property
    def scenes(self) -> tuple[Shot | Card, ...]:
        """All that the film shows, in its order: the title card, the shots, the end card."""
        title, end = self.title_card, self.end_card
        return (*((title,) if title else ()), *self.shots, *((end,) if end else ()))

    def prompt_of(self, shot: Shot) -> str:
        """What a shot shows, and the style of the whole film."""
        return f"{shot.prompt} {self.style}".strip()

    def problem(self, scene: Shot | Card, key: str, message: str, accepted: str | None = None) -> Problem:
        """A mistake in `key` of a shot or a card, placed at the line where the storyboard spells it."""
        line = scene.lines.get(key, scene.lines.get(""))
        if isinstance(scene, Card):
            return Problem(message, file=self.file, line=line, key=f"{scene.key}.{key}", accepted=accepted)
        return Problem(message, file=self.file, line=line, key=key, shot=scene.id, accepted=accepted)
