"""The storyboard file as it is written: every key, and what it takes.

These models check one value at a time. What needs more than one (references, cycles, files) is for `resolve`;
what a model accepts and what it costs is the plan's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final, TypeAlias

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from tasks.storyboard.values import (
    BoundaryWord,
    CardLines,
    CardSeconds,
    Colour,
    Container,
    Decibels,
    EndingWord,
    FadeSeconds,
    FitWord,
    Flag,
    FrameWord,
    Lifetime,
    Loudness,
    Lowering,
    Rate,
    Retries,
    Seconds,
    ShotId,
    ShotName,
    Size,
    TagName,
    TakeNumber,
    Text,
    TransitionWord,
    Whole,
    ending_word,
    listed,
    refuse,
    transition_word,
)

__all__ = [
    "CLIP_TAG",
    "DEFAULT_BACKGROUND",
    "DEFAULT_MODEL",
    "DEFAULT_SIZE",
    "FRAME_TAG",
    "MEDIA_ACCEPTED",
    "AssetDocument",
    "CardDocument",
    "ClipReference",
    "FrameReference",
    "MusicDocument",
    "Picture",
    "SafetyDocument",
    "ShotDefaults",
    "ShotDocument",
    "StoryboardDocument",
    "TransitionDocument",
    "Video",
    "keys_of",
]

DEFAULT_MODEL: Final = "klingai:kling@o1-standard"
DEFAULT_SIZE: Final = "1280x720"
DEFAULT_BACKGROUND: Final = "#000000"
FRAME_TAG: Final = "<frame>"
CLIP_TAG: Final = "<clip>"

MEDIA_ACCEPTED: Final = {
    "no_picture": "an asset's name, a path, a URI, or {shot: ID, frame: first|last}",
    "no_video": "an asset's name, a path, a URI, or {shot: ID}",
}
"""What a value may be that is neither text nor a reference, by the type of its validation error."""


def _media_tag(tag: str) -> Callable[[object], str | None]:
    def choose(value: object) -> str | None:
        if isinstance(value, str):
            return "<text>"
        return tag if isinstance(value, dict | _Keys) else None

    return choose


class _Keys(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)


class FrameReference(_Keys):
    """The first or the last frame that another shot shows."""

    shot: ShotName
    """Id of the other shot."""
    frame: FrameWord
    """Which of its frames."""


class ClipReference(_Keys):
    """Another shot's clip, whole."""

    shot: ShotName
    """Id of the other shot."""


Picture: TypeAlias = Annotated[
    Annotated[Text, Tag("<text>")] | Annotated[FrameReference, Tag(FRAME_TAG)],
    Discriminator(
        _media_tag(FRAME_TAG),
        custom_error_type="no_picture",
        custom_error_message="must name a picture",
    ),
]
Video: TypeAlias = Annotated[
    Annotated[Text, Tag("<text>")] | Annotated[ClipReference, Tag(CLIP_TAG)],
    Discriminator(
        _media_tag(CLIP_TAG),
        custom_error_type="no_video",
        custom_error_message="must name a video",
    ),
]


Pictures: TypeAlias = Annotated[list[Picture], BeforeValidator(listed, json_schema_input_type=Picture | list[Picture])]
Videos: TypeAlias = Annotated[list[Video], BeforeValidator(listed, json_schema_input_type=Video | list[Video])]


def _short_for(key: str, keys: type[BaseModel], say: str, accepted: str) -> Callable[[object], object]:
    """Lets text alone stand for an object of which it is one key."""

    def spelled_out(value: object) -> object:
        if isinstance(value, str):
            return {key: value}
        if not isinstance(value, dict | keys):
            raise refuse(say, accepted)
        return value

    return spelled_out


class AssetDocument(_Keys):
    """A picture, a video or a sound with a name, when there is more to say about it than where it is."""

    source: Text
    """A path, relative to the storyboard, or a URI (`https://…`, `s3://…`, `data:…`)."""
    source_duration: Seconds | None = None
    """Length of a video in seconds; needed to price an edit of a video that cannot be read here."""


_asset = _short_for(
    "source",
    AssetDocument,
    "must say where the file is",
    "a path, a URI, or {source: …, source_duration: SECONDS}",
)
Asset: TypeAlias = Annotated[AssetDocument, BeforeValidator(_asset, json_schema_input_type=Text | AssetDocument)]


class MusicDocument(_Keys):
    """Music under the whole film: looped or cut to its length."""

    source: Text
    """A sound file: an asset's name, a path, or a URI."""
    gain_db: Decibels | None = None
    """Decibels by which it is made louder or, below 0, softer; default 0."""
    fade_out: FadeSeconds | None = None
    """Seconds in which it fades out at the end of the film; default 2."""
    duck_db: Lowering | None = None
    """Decibels by which it goes down while a shot's own sound or a narration is heard; default 0."""


_music = _short_for(
    "source",
    MusicDocument,
    "must name a sound file",
    "an asset's name, a path, a URI, or {source: …, gain_db: DECIBELS}",
)
Music: TypeAlias = Annotated[MusicDocument, BeforeValidator(_music, json_schema_input_type=Text | MusicDocument)]


class TransitionDocument(_Keys):
    """A transition, with its length."""

    kind: TransitionWord
    """`cut`, `dissolve` (the shots overlap), `fade` (through black), or one of ffmpeg's `xfade` (they overlap)."""
    duration: Seconds | None = None
    """Seconds that it takes in all; default 0.5."""

    @model_validator(mode="after")
    def _has_no_length(self) -> TransitionDocument:
        if self.kind == "cut" and self.duration is not None:
            raise refuse("gives a cut a duration", "'cut' alone, or another kind with a duration")
        return self


_transition = _short_for(
    "kind",
    TransitionDocument,
    "must be a transition",
    "cut, dissolve, fade, wipeleft or another name of xfade's, or {kind: dissolve, duration: SECONDS}",
)


def _transition_or_word(value: object) -> object:
    # Checked here: nobody wrote a key `kind`.
    return _transition(transition_word(value) if isinstance(value, str) else value)


TransitionInto: TypeAlias = Annotated[
    TransitionDocument, BeforeValidator(_transition_or_word, json_schema_input_type=TransitionWord | TransitionDocument)
]


class EndingDocument(TransitionDocument):
    """How the film ends, with its length."""

    kind: EndingWord
    """`cut`, or `fade` (into black)."""
    duration: Seconds | None = None
    """Seconds that it takes; default 1."""


def _ending(value: object) -> object:
    # A word is checked here: nobody wrote a key `kind`.
    return _ending_keys(ending_word(value) if isinstance(value, str) else value)


_ending_keys = _short_for(
    "kind", EndingDocument, "must say how the film ends", "cut, fade, or {kind: fade, duration: SECONDS}"
)
Ending: TypeAlias = Annotated[
    EndingDocument, BeforeValidator(_ending, json_schema_input_type=EndingWord | EndingDocument)
]


class CardDocument(_Keys):
    """A picture with words in the film, before its first shot or after its last: it is drawn, and costs nothing."""

    text: CardLines
    """The words: a text or a list of lines; the first line is the largest."""
    duration: CardSeconds | None = None
    """Seconds for which it is shown; default 3."""
    background: Colour = DEFAULT_BACKGROUND
    """The colour behind the words: `#RRGGBB` in quotes, or a CSS name; default black."""
    picture: Text | None = None
    """A picture behind the words that fills the film: an asset's name, a path, or a URI."""
    transition: TransitionInto | None = None
    """How the film goes over to the card, as for a shot; a title card can only come out of black (`fade`)."""

    @model_validator(mode="after")
    def _has_one_ground(self) -> CardDocument:
        if "background" in self.model_fields_set and self.picture is not None:
            raise refuse("has two grounds for its words", "'background' or 'picture', not both")
        return self


_card = _short_for("text", CardDocument, "must say its words", "a text, or {text: …, duration: SECONDS}")


def _spelled_out_card(value: object) -> object:
    return _card({"text": value} if isinstance(value, list) else value)


Card: TypeAlias = Annotated[
    CardDocument, BeforeValidator(_spelled_out_card, json_schema_input_type=CardLines | CardDocument)
]


class SafetyDocument(_Keys):
    """Content checks by the provider."""

    check_content: Flag | None = None
    """Whether the provider checks the content."""
    check_content_as_sent: Flag | None = Field(default=None, alias="checkContent")
    """The same, under the provider's own name for it."""
    mode: Text | None = None
    """How thoroughly: `none`, `fast` (key frames) or `full` (all frames)."""

    @model_validator(mode="after")
    def _once(self) -> SafetyDocument:
        if self.check_content is not None and self.check_content_as_sent is not None:
            raise refuse("says the same twice", "check_content or checkContent, not both")
        return self


class ShotDefaults(_Keys):
    """What every shot says unless it says otherwise; `null` in a shot takes a default away."""

    prompt: Text | None = None
    """What happens in the shot, in words. Every shot needs one, of its own or from `defaults`."""
    duration: Seconds | None = None
    """Wanted length in seconds; left out, the model's default, or the source's length for an edit."""
    boundary: BoundaryWord | None = None
    """How the shot joins the one before: `cut` (default), `match` (one still is the last frame there and the
    first here) or `continue` (the last frame that was generated there is the first here)."""
    first_frame: Picture | None = None
    """The picture that the shot begins with."""
    last_frame: Picture | None = None
    """The picture that the shot ends with."""
    reference_images: Pictures | None = None
    """Pictures of people, things or places that the shot shows; a list, or one."""
    reference_videos: Videos | None = None
    """Videos whose motion, camera or style guide the shot; a list, or one."""
    video: Video | None = None
    """The video that the shot is an edit of."""
    keep_original_sound: Flag | None = None
    """Whether the sound of the source video is kept."""
    takes: TakeNumber | None = None
    """How many takes are generated (and paid): 1 to 4, default 1."""
    select: TakeNumber | None = None
    """Which take is in the film: 1 to `takes`, default 1."""
    output_format: Container | None = None
    """Container of the generated clip."""
    output_quality: Whole | None = None
    """Compression quality of the generated clip; the model's page says which numbers it takes."""
    safety: SafetyDocument | None = None
    """Content checks by the provider."""
    ttl: Lifetime | None = None
    """Seconds for which the provider keeps the generated clip."""
    transition: TransitionInto | None = None
    """How the film goes over to the shot: `cut` (default), `dissolve`, `fade`, `wipeleft` or another name of ffmpeg's
    `xfade`, or {kind, duration in seconds}."""
    fit: FitWord | None = None
    """How a clip of another shape fills the film: `fit` (bars, the default), `fill` (cut off) or `blur`."""
    gain_db: Decibels | None = None
    """Decibels by which the clip's own sound is made louder or, below 0, softer; default 0."""
    narration: Text | None = None
    """A sound file that is heard from the shot's first frame on: an asset's name, a path, or a URI."""
    narration_gain_db: Decibels | None = None
    """Decibels by which the narration is made louder or, below 0, softer; default 0."""
    caption: Text | None = None
    """Words that are shown while the shot is: a soft subtitle in the film, and files beside it."""


class ShotDocument(ShotDefaults):
    """One shot of the film."""

    id: ShotId
    """The name of the shot; keep it when the shot moves or changes."""


class StoryboardDocument(_Keys):
    """A film as a list of shots, for shotchain to generate and join."""

    title: Text | None = None
    """The film's title; left out, the name of the file."""
    model: Text | None = None
    """The video model, by the provider's id for it; default `klingai:kling@o1-standard`."""
    size: Size | None = None
    """The film's picture, WIDTHxHEIGHT in pixels; default `1280x720`."""
    fps: Rate | None = None
    """The film's frames a second; left out, the model's."""
    style: Text | None = None
    """Words that are added to every prompt."""
    retries: Retries | None = None
    """How often a take that failed for a passing reason is tried again."""
    tags: dict[TagName, Text] | None = None
    """What standing budgets match, such as project and client."""
    music: Music | None = None
    """Music under the whole film: a sound file, or {source, gain_db, fade_out, duck_db}."""
    loudness: Loudness | None = None
    """Loudness of the film's sound in LUFS (EBU R128), or `off` to leave it as it is; default -16."""
    title_card: Card | None = None
    """A card before the first shot: its words, or {text, duration, background or picture, transition}."""
    end_card: Card | None = None
    """A card after the last shot; the same."""
    ending: Ending | None = None
    """How the film ends: `cut`, or `fade` into black; or {kind: fade, duration}; default `cut`."""
    assets: dict[str, Asset] | None = None
    """Pictures, videos and sounds by name."""
    defaults: ShotDefaults | None = None
    """What every shot says unless it says otherwise."""
    shots: Annotated[list[ShotDocument], Field(min_length=1)]
    """The shots, in the order of the film."""
    schema_uri: Text | None = Field(default=None, alias="$schema")
    """Where editors find this schema; not used otherwise."""


def keys_of(model: type[BaseModel]) -> tuple[str, ...]:
    """The keys that may be written in an object of this kind, in the order in which they are documented."""
    return tuple(info.alias or name for name, info in model.model_fields.items())
