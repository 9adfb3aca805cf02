"""The storyboard file as it is written: every key, what it takes, and what to say when it is something else.

These models check one value at a time. What needs more than one (references, cycles, files) is for `resolve`;
what a model accepts and what it costs is the plan's.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

__all__ = [
    "CLIP_TAG",
    "DEFAULT_MODEL",
    "DEFAULT_SIZE",
    "FRAME_TAG",
    "ID_PATTERN",
    "MAX_TAKES",
    "MEDIA_ACCEPTED",
    "PROBLEM_TYPE",
    "AssetDocument",
    "ClipReference",
    "FrameReference",
    "Picture",
    "SafetyDocument",
    "ShotDefaults",
    "ShotDocument",
    "StoryboardDocument",
    "Video",
    "keys_of",
]

DEFAULT_MODEL: Final = "klingai:kling@o1-standard"
DEFAULT_SIZE: Final = "1280x720"
MAX_TAKES: Final = 4
"""Takes that a shot may have."""
ID_PATTERN: Final = r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}"
PROBLEM_TYPE: Final = "storyboard"
"""Type of the validation errors whose context holds `say` and `accepted`."""
FRAME_TAG: Final = "<frame>"
CLIP_TAG: Final = "<clip>"

_SIZE = re.compile(r"\s*([1-9][0-9]{0,4})\s*[xX\u00d7]\s*([1-9][0-9]{0,4})\s*")
_SIZE_PATTERN = r"^\s*[1-9][0-9]{0,4}\s*[xX\u00d7]\s*[1-9][0-9]{0,4}\s*$"
MEDIA_ACCEPTED: Final = {
    "no_picture": "an asset's name, a path, a URI, or {shot: ID, frame: first|last}",
    "no_video": "an asset's name, a path, a URI, or {shot: ID}",
}
"""What a value may be that is neither text nor a reference, by the type of its validation error."""


def _refuse(say: str, accepted: str | None = None) -> PydanticCustomError:
    return PydanticCustomError(PROBLEM_TYPE, "{say}", {"say": say, "accepted": accepted})


def _unlike_text(value: object) -> str:
    match value:
        case None:
            return "is empty"
        case bool():
            return "must be text, but this is read as true or false: put it in quotes"
        case int() | Decimal():
            return f"must be text, but {value} is read as a number: put it in quotes"
        case list():
            return "must be text, not a list: put it in quotes"
        case _:
            return "must be text, not keys with values: put it in quotes"


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise _refuse(_unlike_text(value), "text")
    if not value.strip():
        raise _refuse("is empty", "text")
    return value.strip()


def _id(value: object) -> str:
    accepted = "letters, digits, '-' and '_', at most 64, beginning with a letter or a digit"
    if not isinstance(value, str):
        raise _refuse(_unlike_text(value), accepted)
    if not re.fullmatch(ID_PATTERN, value):
        raise _refuse(f"cannot be '{value[:80]}'" if value.strip() else "is empty", accepted)
    return value


def _number(unit: str, accepted: str, low: Decimal | None = None, high: Decimal | None = None) -> BeforeValidator:
    """A number above zero, or from `low` to `high`."""

    def check(value: object) -> Decimal:
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            raise _refuse(f"must be a number of {unit}", accepted)
        number = Decimal(value)
        if number <= 0 or (low is not None and number < low) or (high is not None and number > high):
            raise _refuse(f"cannot be {value}", accepted)
        return number

    return BeforeValidator(check)


def _whole(low: int | None = None, high: int | None = None) -> BeforeValidator:
    if low is not None and high is not None:
        accepted = f"a whole number from {low} to {high}"
    else:
        accepted = "a whole number" if low is None else f"a whole number from {low}"

    def check(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise _refuse("must be a whole number", accepted)
        if (low is not None and value < low) or (high is not None and value > high):
            raise _refuse(f"cannot be {value}", accepted)
        return value

    return BeforeValidator(check)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise _refuse("must be true or false, without quotes", "true, false")
    return value


def _choice(*options: str, fold: Callable[[str], str] = str.strip) -> BeforeValidator:
    def check(value: object) -> str:
        if not isinstance(value, str) or fold(value) not in options:
            shown = f"cannot be '{value[:80]}'" if isinstance(value, str) else f"must be one of {len(options)} words"
            raise _refuse(shown, ", ".join(options))
        return fold(value)

    return BeforeValidator(check)


def _size(value: object) -> str:
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise _refuse("must be WIDTHxHEIGHT in pixels", "1280x720, 960x960, 720x1280, …")
    return f"{match[1]}x{match[2]}"


def _listed(value: object) -> object:
    return value if isinstance(value, list) else [value]


def _media_tag(tag: str) -> Callable[[object], str | None]:
    def choose(value: object) -> str | None:
        if isinstance(value, str):
            return "<text>"
        return tag if isinstance(value, dict | _Keys) else None

    return choose


class _Keys(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)


Text: TypeAlias = Annotated[str, BeforeValidator(_text), WithJsonSchema({"type": "string", "pattern": r"\S"})]
Flag: TypeAlias = Annotated[bool, BeforeValidator(_flag)]
TagName: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}$")]

ShotId: TypeAlias = Annotated[
    str, BeforeValidator(_id), WithJsonSchema({"type": "string", "pattern": f"^{ID_PATTERN}$"})
]
_SHOT_NAME = Annotated[str, BeforeValidator(_text), WithJsonSchema({"type": "string"})]
Seconds: TypeAlias = Annotated[
    Decimal,
    _number("seconds", "a number above 0, without a unit, such as 5 or 2.5"),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0}),
]
Rate: TypeAlias = Annotated[
    Decimal,
    _number("frames a second", "a number from 1 to 120, such as 24 or 23.976", Decimal(1), Decimal(120)),
    WithJsonSchema({"type": "number", "minimum": 1, "maximum": 120}),
]
Size: TypeAlias = Annotated[
    str,
    BeforeValidator(_size),
    WithJsonSchema({"type": "string", "pattern": _SIZE_PATTERN}),
]


class FrameReference(_Keys):
    """The first or the last frame that another shot shows."""

    shot: _SHOT_NAME
    """Id of the other shot."""
    frame: Annotated[Literal["first", "last"], _choice("first", "last")]
    """Which of its frames."""


class ClipReference(_Keys):
    """Another shot's clip, whole."""

    shot: _SHOT_NAME
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


TakeNumber: TypeAlias = Annotated[
    int, _whole(1, MAX_TAKES), WithJsonSchema({"type": "integer", "minimum": 1, "maximum": MAX_TAKES})
]
Retries: TypeAlias = Annotated[int, _whole(0, 10), WithJsonSchema({"type": "integer", "minimum": 0, "maximum": 10})]
Lifetime: TypeAlias = Annotated[int, _whole(1), WithJsonSchema({"type": "integer", "minimum": 1})]
Pictures: TypeAlias = Annotated[list[Picture], BeforeValidator(_listed, json_schema_input_type=Picture | list[Picture])]
Videos: TypeAlias = Annotated[list[Video], BeforeValidator(_listed, json_schema_input_type=Video | list[Video])]
BoundaryWord: TypeAlias = Annotated[Literal["cut", "match", "continue"], _choice("cut", "match", "continue")]
Container: TypeAlias = Annotated[
    Literal["MP4", "WEBM", "MOV"],
    _choice("MP4", "WEBM", "MOV", fold=lambda text: text.strip().upper()),
    WithJsonSchema({"type": "string", "pattern": "^(?:[Mm][Pp]4|[Ww][Ee][Bb][Mm]|[Mm][Oo][Vv])$"}),
]


class AssetDocument(_Keys):
    """A picture or a video with a name, when there is more to say about it than where it is."""

    source: Text
    """A path, relative to the storyboard, or a URI (`https://…`, `s3://…`, `data:…`)."""
    source_duration: Seconds | None = None
    """Length of a video in seconds; needed to price an edit of a video that cannot be read here."""


def _asset(value: object) -> object:
    if isinstance(value, str):
        return {"source": value}
    if not isinstance(value, dict | AssetDocument):
        raise _refuse("must say where the file is", "a path, a URI, or {source: …, source_duration: SECONDS}")
    return value


Asset: TypeAlias = Annotated[AssetDocument, BeforeValidator(_asset, json_schema_input_type=Text | AssetDocument)]


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
            raise _refuse("says the same twice", "check_content or checkContent, not both")
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
    output_quality: Annotated[int, _whole()] | None = None
    """Compression quality of the generated clip; the model's page says which numbers it takes."""
    safety: SafetyDocument | None = None
    """Content checks by the provider."""
    ttl: Lifetime | None = None
    """Seconds for which the provider keeps the generated clip."""


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
    assets: dict[str, Asset] | None = None
    """Pictures and videos by name."""
    defaults: ShotDefaults | None = None
    """What every shot says unless it says otherwise."""
    shots: Annotated[list[ShotDocument], Field(min_length=1)]
    """The shots, in the order of the film."""
    schema_uri: Text | None = Field(default=None, alias="$schema")
    """Where editors find this schema; not used otherwise."""


def keys_of(model: type[BaseModel]) -> tuple[str, ...]:
    """The keys that may be written in an object of this kind, in the order in which they are documented."""
    return tuple(info.alias or name for name, info in model.model_fields.items())
