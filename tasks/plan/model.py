"""The plan: the priced, ordered, deterministic answer to «what would rendering this do?»."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from itertools import accumulate
from typing import Any, Literal, TypeAlias

from tasks.errors import usd
from tasks.plan.catalog import Mode
from tasks.plan.lengths import seconds_of
from tasks.plan.transitions import PlannedTransition
from tasks.storyboard.model import Boundary, Fit, MediaFile

__all__ = [
    "LAST",
    "ClipFrame",
    "Input",
    "Plan",
    "PlannedCard",
    "PlannedScene",
    "PlannedShot",
    "PlannedSound",
    "PlannedTake",
    "Role",
    "Unpinned",
    "WholeClip",
    "number",
    "shown_uri",
    "usd",
]

LAST = -1
"""Frame index of a clip's last decoded frame, whatever its number turns out to be."""

Role: TypeAlias = Literal["first_frame", "last_frame", "reference_image", "reference_video", "video"]


@dataclass(frozen=True, slots=True)
class ClipFrame:
    """Frame `index` of the selected clip of `shot`, counted from 0 in display order; `LAST` is the last one."""

    shot: str
    index: int


@dataclass(frozen=True, slots=True)
class WholeClip:
    """The selected clip of `shot`, as a video."""

    shot: str


@dataclass(frozen=True, slots=True)
class Input:
    """One input of a request, in the order in which the request names them."""

    role: Role
    source: MediaFile | ClipFrame | WholeClip


@dataclass(frozen=True, slots=True)
class PlannedTake:
    """One generation wanted: the `number`-th take of its shot, known by its content key."""

    number: int
    content_key: str


@dataclass(frozen=True, slots=True)
class Unpinned:
    """An input that could not be read, and why: it is not known what would be paid for.

    `shot` is `None` for what the film as a whole uses.
    """

    shot: str | None
    uri: str
    reason: str


@dataclass(frozen=True, slots=True)
class PlannedSound:
    """A sound file that the film lays over its clips' own sound; `sha256` is `None` where it could not be read."""

    media: MediaFile
    sha256: str | None
    gain_db: Decimal
    fade_out_s: Decimal = Decimal(0)
    duck_db: Decimal = Decimal(0)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready fields."""
        return {
            "uri": shown_uri(self.media.uri),
            "sha256": self.sha256,
            "gain_db": number(self.gain_db),
            "fade_out_s": number(self.fade_out_s),
            "duck_db": number(self.duck_db),
        }


@dataclass(frozen=True, slots=True)
class PlannedShot:
    """What rendering does for one shot.

    `width` and `height` are what the request sends, `None` where the inputs decide. `generate_s` is the length that
    is generated and paid for, `duration_s` the length wanted. The film keeps the clip's frames 0…`last_kept`, or all
    of them where that is `None`; where `seam`, its first frame is the one before's last and is shown once.
    `clip_frames` and `frames` are what to expect: of the whole clip, and in the film. `identity` is all that the
    content keys of its takes are made of, the take number apart, JSON-ready; see `tasks.plan.keys.identity_of`.
    What comes behind `identity` is how the film shows the clip, and changes no clip.
    """

    id: str
    mode: Mode
    boundary: Boundary
    prompt: str
    width: int | None
    height: int | None
    generate_s: Decimal
    duration_s: Decimal
    inputs: tuple[Input, ...]
    depends_on: tuple[str, ...]
    last_kept: int | None
    seam: bool
    clip_frames: int
    frames: int
    price_usd: Decimal
    takes: tuple[PlannedTake, ...]
    select: int
    request: dict[str, Any]
    identity: Mapping[str, Any]
    transition: PlannedTransition | None = None
    fit: Fit = Fit.FIT
    gain_db: Decimal = Decimal(0)
    narration: PlannedSound | None = None
    caption: str | None = None

    @property
    def overlap(self) -> int:
        """How many frames of the film it shows together with the shot before."""
        return self.transition.overlap if self.transition else 0

    @property
    def cost_usd(self) -> Decimal:
        """The price of all takes, none reused."""
        return self.price_usd * len(self.takes)

    @property
    def selected(self) -> PlannedTake:
        """The take that the film shows and that other shots take frames of."""
        return self.takes[self.select - 1]


@dataclass(frozen=True, slots=True)
class PlannedCard:
    """A picture with words that the film shows for `frames` frames; it is drawn here, and costs nothing.

    Behind the lines of `text` is a colour (`background`, `#rrggbb`), or the picture `picture`, whose bytes have the
    hash `sha256` (`None` where they could not be read). `line` is where the storyboard spells the words.
    """

    id: str
    text: tuple[str, ...]
    background: str
    picture: MediaFile | None
    sha256: str | None
    frames: int
    transition: PlannedTransition | None = None
    line: int | None = field(default=None, compare=False)

    # What a shot may have, too, where the two are alike.
    seam = False
    fit = Fit.FIT
    gain_db = Decimal(0)
    narration = None
    caption = None

    @property
    def overlap(self) -> int:
        """How many frames of the film it shows together with the shot before."""
        return self.transition.overlap if self.transition else 0

    def as_dict(self, begin: int, rate: Fraction) -> dict[str, Any]:
        """JSON-ready fields; `begin` is the frame of the film at which it begins."""
        return {
            "id": self.id,
            "text": list(self.text),
            "background": None if self.picture else self.background,
            "picture": shown_uri(self.picture.uri) if self.picture else None,
            "sha256": self.sha256,
            "duration_s": number(seconds_of(self.frames, rate)),
            "frames": self.frames,
            "begin_frame": begin,
            "transition": self.transition.as_dict() if self.transition else None,
        }


PlannedScene: TypeAlias = PlannedShot | PlannedCard
"""What a film shows one after the other."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole plan, shots in the order of the film. What it shows, with its cards, are its `scenes`.

    `width` and `height` are the film's in pixels, `rate` its frames a second; `clip_rate` is the model's declared
    rate, at which `clip_frames` and `last_kept` count. `retries` is what the storyboard says of them, `None` where it
    says nothing. `loudness_lufs` is what the film's sound is brought to, `None` to leave it as it is; `ending` is the
    fade into black at its end, `None` for none. `priority` holds for each shot how many shots its longest remaining
    path has, itself included.
    """

    title: str
    file: str
    provider: str
    model: str
    width: int
    height: int
    rate: Fraction
    clip_rate: Fraction
    retries: int | None
    shots: tuple[PlannedShot, ...]
    critical_path_s: int
    priority: dict[str, int]
    warnings: tuple[str, ...]
    unpinned: tuple[Unpinned, ...]
    music: PlannedSound | None = None
    loudness_lufs: Decimal | None = None
    title_card: PlannedCard | None = None
    end_card: PlannedCard | None = None
    ending: PlannedTransition | None = None

    @property
    def cards(self) -> tuple[PlannedCard, ...]:
        """Those that there are."""
        return tuple(card for card in (self.title_card, self.end_card) if card is not None)

    @property
    def scenes(self) -> tuple[PlannedScene, ...]:
        """All that the film shows, in its order: the title card, the shots, the end card."""
        title, end = self.title_card, self.end_card
        return (*((title,) if title else ()), *self.shots, *((end,) if end else ()))

    @property
    def cost_usd(self) -> Decimal:
        """The price of everything, none of it reused."""
        return self.to_pay_usd(frozenset())

    def to_pay_usd(self, reused: Collection[str]) -> Decimal:
        """The price of the clips whose content keys are not in `reused`. Takes of one key are one clip."""
        prices = {take.content_key: shot.price_usd for shot in self.shots for take in shot.takes}
        return sum((price for key, price in prices.items() if key not in reused), Decimal(0))

    @property
    def fingerprint(self) -> str:
        """What an approval is of: every clip and its full price, whether reused or not."""
        prices = {take.content_key: usd(shot.price_usd) for shot in self.shots for take in shot.takes}
        return hashlib.sha256(repr(sorted(prices.items())).encode()).hexdigest()

    @property
    def content_keys(self) -> set[str]:
        """The content keys of all takes."""
        return {take.content_key for shot in self.shots for take in shot.takes}

    def frames_taken_of(self, shot_id: str) -> set[int]:
        """The frames of a shot's selected clip that other shots take, as the plan counts."""
        sources = (part.source for shot in self.shots for part in shot.inputs)
        return {source.index for source in sources if isinstance(source, ClipFrame) and source.shot == shot_id}

    @property
    def frames(self) -> int:
        """Expected frames of the film; those that two scenes share in a dissolve count once."""
        return sum(scene.frames - scene.overlap for scene in self.scenes)

    @property
    def begins(self) -> dict[str, int]:
        """The frame of the film at which each scene is expected to begin, by its id."""
        starts = accumulate((scene.frames - scene.overlap for scene in self.scenes), initial=0)
        return {scene.id: start - scene.overlap for scene, start in zip(self.scenes, starts, strict=False)}

    def behind(self, scene_id: str) -> PlannedScene | None:
        """The scene that follows in the film, if one does."""
        scenes = self.scenes
        at = [scene.id for scene in scenes].index(scene_id) + 1
        return scenes[at] if at < len(scenes) else None

    def out_of(self, scene_id: str) -> PlannedTransition | None:
        """How the film goes on from a scene, or ends with it; `None` for a cut."""
        behind = self.behind(scene_id)
        return self.ending if behind is None else behind.transition

    @property
    def duration_s(self) -> Decimal:
        """Expected length of the film in seconds, to the millisecond."""
        return seconds_of(self.frames, self.rate)

    def shot(self, shot_id: str) -> PlannedShot:
        """The planned shot with this id; `KeyError` if there is none."""
        for shot in self.shots:
            if shot.id == shot_id:
                return shot
        raise KeyError(shot_id)

    def part(self, only: Collection[str]) -> Plan:
        """The same plan with some of its shots only, and no cards; what they need of others is not in it."""
        return replace(
            self,
            title_card=None,
            end_card=None,
            shots=tuple(shot for shot in self.shots if shot.id in only),
            unpinned=tuple(item for item in self.unpinned if item.shot in only),
        )

    def memory(self) -> dict[str, Any]:
        """What is worth remembering of a plan, to tell later what has changed since. JSON-ready."""
        return {
            "shots": [
                {
                    "id": shot.id,
                    "select": shot.select,
                    "price_usd": usd(shot.price_usd),
                    "identity": dict(shot.identity),
                    "takes": [{"number": take.number, "content_key": take.content_key} for take in shot.takes],
                }
                for shot in self.shots
            ]
        }

    def as_dict(self) -> dict[str, Any]:
        """The plan as JSON-ready fields: dollars as decimal strings, seconds as numbers."""
        begins = self.begins
        return {
            "title": self.title,
            "storyboard": self.file,
            "provider": self.provider,
            "model": self.model,
            "width": self.width,
            "height": self.height,
            "fps": number(self.rate),
            "cost_usd": usd(self.cost_usd),
            "frames": self.frames,
            "duration_s": number(self.duration_s),
            "critical_path_s": self.critical_path_s,
            "music": self.music.as_dict() if self.music else None,
            "loudness_lufs": None if self.loudness_lufs is None else number(self.loudness_lufs),
            "title_card": self.title_card.as_dict(begins[self.title_card.id], self.rate) if self.title_card else None,
            "end_card": self.end_card.as_dict(begins[self.end_card.id], self.rate) if self.end_card else None,
            "ending": self.ending.as_dict() if self.ending else None,
            "shots": [
                {
                    "id": shot.id,
                    "mode": str(shot.mode),
                    "boundary": str(shot.boundary),
                    "depends_on": list(shot.depends_on),
                    "generate_s": number(shot.generate_s),
                    "duration_s": number(shot.duration_s),
                    "clip_frames": shot.clip_frames,
                    "frames": shot.frames,
                    "seam": shot.seam,
                    "begin_frame": begins[shot.id],
                    "transition": shot.transition.as_dict() if shot.transition else None,
                    "fit": str(shot.fit),
                    "gain_db": number(shot.gain_db),
                    "narration": shot.narration.as_dict() if shot.narration else None,
                    "caption": shot.caption,
                    "takes": [{"number": take.number, "content_key": take.content_key} for take in shot.takes],
                    "select": shot.select,
                    "cost_usd": usd(shot.cost_usd),
                    "request": shot.request,
                }
                for shot in self.shots
            ],
            "warnings": list(self.warnings),
            "unpinned": [{"shot": item.shot, "uri": item.uri, "reason": item.reason} for item in self.unpinned],
        }


def shown_uri(uri: str) -> str:
    """A URI for people: the data in a `data:` URI is not shown."""
    return f"{uri[:40]}…" if uri.startswith("data:") else uri


def number(value: Decimal | Fraction) -> int | float:
    """Seconds or frames a second as a JSON number; never used for money."""
    return int(value) if value == int(value) else float(value)
