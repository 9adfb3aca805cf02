"""What each model accepts and costs: `configs/models/*.yaml`, validated."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from fractions import Fraction
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    model_validator,
)

from tasks.errors import SettingsError
from tasks.rounding import milliseconds

__all__ = ["DurationRange", "Mode", "ModeSpec", "ModelSpec", "input_formats", "load_catalog"]


class Mode(StrEnum):
    """What a shot gives the model to work from. The modes exclude one another."""

    TEXT = "text"
    FRAMES = "frames"
    REFERENCE_IMAGES = "reference_images"
    REFERENCE_VIDEOS = "reference_videos"
    EDIT = "edit"


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _exact(value: object) -> object:
    if isinstance(value, float):
        message = "must be quoted, so that it stays an exact decimal"
        raise ValueError(message)  # noqa: TRY004 -- pydantic turns ValueError into its own report
    return value


Exact = Annotated[Decimal, BeforeValidator(_exact), Field(gt=0)]
ExactRate = Annotated[Fraction, BeforeValidator(_exact), Field(gt=0)]
Positive = Annotated[int, Field(gt=0)]


class Span(_Data):
    """An inclusive range of whole numbers; either end may be open."""

    min: int = 0
    max: int | None = None

    def holds(self, value: int) -> bool:
        """Whether `value` lies in the span."""
        return value >= self.min and (self.max is None or value <= self.max)

    def __str__(self) -> str:
        return f"{self.min} or more" if self.max is None else f"{self.min} to {self.max}"


class DurationRange(_Data):
    """Whole seconds from `min` to `max`."""

    min: Positive
    max: Positive

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min is {self.min}, which is more than max, {self.max}")
        return self


def _kind_of_durations(value: object) -> str:
    if isinstance(value, list | tuple):
        return "list"
    return "range" if isinstance(value, dict | DurationRange) else "word"


class ModeSpec(_Data):
    """One mode of a model. `durations_s` is a list of lengths, a range, or the length of the source.

    More images than `images_doubted_above` are accepted by the page of the model, and perhaps not by the model.
    """

    durations_s: Annotated[
        Annotated[tuple[Positive, ...], Field(min_length=1), Tag("list")]
        | Annotated[DurationRange, Tag("range")]
        | Annotated[Literal["source"], Tag("word")],
        Discriminator(_kind_of_durations),
    ]
    sends_size: bool
    rate: str
    images: Span = Span(max=0)
    images_doubted_above: int | None = None
    last_needs_first: bool = False

    @property
    def follows_source(self) -> bool:
        """Whether a clip is as long as the video that it is made from."""
        return self.durations_s == "source"

    @property
    def choices_s(self) -> tuple[int, ...]:
        """Lengths in seconds that can be asked for, shortest first; none where the source decides."""
        if isinstance(self.durations_s, DurationRange):
            return tuple(range(self.durations_s.min, self.durations_s.max + 1))
        return () if isinstance(self.durations_s, str) else tuple(sorted(self.durations_s))


class PromptLimits(_Data):
    """Characters of a prompt."""

    min_chars: int
    max_chars: int


class FrameFacts(_Data):
    """Expected frames: `rate` a second, and `extra` more a clip."""

    rate: ExactRate
    extra: Annotated[int, Field(ge=0)]


class OutputLimits(_Data):
    """The model's output options."""

    formats: tuple[str, ...]
    default_format: str
    quality: Span
    default_quality: int
    ttl_s: Span
    safety_modes: tuple[str, ...]


class PictureLimits(_Data):
    """What an input picture may be. `max_aspect` holds for width:height and for height:width."""

    formats: tuple[str, ...]
    min_side_px: int
    max_aspect: Exact
    max_bytes: int


class VideoLimits(_Data):
    """What an input video may be. How long it may really be says `ModelSpec.longest_video_s`."""

    formats: tuple[str, ...]
    min_s: Exact
    max_s: Exact
    max_bytes: int


class ModelSpec(_Data):
    """A model: limits, modes and prices in dollars a second."""

    id: str
    name: str
    page: str
    sizes: tuple[Annotated[str, Field(pattern=r"^\d+x\d+$")], ...]
    prompt: PromptLimits
    default_duration_s: Positive
    frames: FrameFacts
    rates_usd_per_s: Mapping[str, Exact]
    modes: Mapping[Mode, ModeSpec]
    output: OutputLimits
    pictures: PictureLimits
    videos: VideoLimits
    assumed_wait_s: Annotated[int, Field(ge=0)]

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        for mode, rules in self.modes.items():
            if rules.rate not in self.rates_usd_per_s:
                raise ValueError(f"modes.{mode}.rate: no rate '{rules.rate}' in rates_usd_per_s")
            if rules.follows_source and mode is not Mode.EDIT:
                raise ValueError(f"modes.{mode}.durations_s: only an edit has a source to be as long as")
        if self.output.default_format not in self.output.formats:
            raise ValueError(f"output.default_format: '{self.output.default_format}' is none of its formats")
        if not self.output.quality.holds(self.output.default_quality):
            raise ValueError(f"output.default_quality: {self.output.default_quality} is not {self.output.quality}")
        return self

    @property
    def longest_video_s(self) -> Decimal:
        """How long an input video may be: the limit, and what the longest clip of the model itself has beyond it."""
        return self.videos.max_s + milliseconds(self.frames.extra / self.frames.rate)

    def price_usd(self, mode: Mode, generate_s: Decimal) -> Decimal:
        """What one take of `generate_s` seconds costs, exact to the micro-dollar (half up)."""
        rate = self.rates_usd_per_s[self.modes[mode].rate]
        return (rate * generate_s).quantize(Decimal("0.000001"), rounding=ROUND_HALF_UP)


def input_formats(catalog: Mapping[str, ModelSpec] | None = None) -> Mapping[str, Mapping[str, tuple[str, ...]]]:
    """The formats of files that each model takes, by its id, then under `image` and `video`.

    Args:
        catalog: The models by id; those of `configs/models` if not given.
    """
    catalog = load_catalog() if catalog is None else catalog
    return {key: {"image": spec.pictures.formats, "video": spec.videos.formats} for key, spec in catalog.items()}


def load_catalog(folder: Path | None = None) -> Mapping[str, ModelSpec]:
    """Every model by its id, from the files `*.yaml` of `folder` or from the models that ship with shotchain.

    Raises:
        SettingsError: There is no such file, or one is not YAML or does not describe a model; with the file.
    """
    return _shipped() if folder is None else _catalog(_in_folder(folder), str(folder))


@functools.cache
def _shipped() -> Mapping[str, ModelSpec]:
    entries = sorted(resources.files("configs").joinpath("models").iterdir(), key=lambda entry: entry.name)
    files = ((f"configs/models/{entry.name}", entry.read_bytes()) for entry in entries if entry.name.endswith(".yaml"))
    return _catalog(files, "configs/models")


def _in_folder(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.glob("*.yaml")):
        try:
            yield str(path), path.read_bytes()
        except OSError as error:
            raise SettingsError(f"the model cannot be read: {error.strerror}", file=str(path)) from error


def _catalog(files: Iterable[tuple[str, bytes]], where: str) -> Mapping[str, ModelSpec]:
    catalog: dict[str, ModelSpec] = {}
    for name, content in files:
        spec = _read(name, content)
        if spec.id in catalog:
            raise SettingsError(f"the model '{spec.id}' is described by another file too", file=name)
        catalog[spec.id] = spec
    if not catalog:
        raise SettingsError("there are no models here", file=where, advice="A model is a file *.yaml.")
    return catalog


def _read(name: str, content: bytes) -> ModelSpec:
    try:
        data: Any = yaml.safe_load(content)
        return ModelSpec.model_validate(data)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark is not None else None
        raise SettingsError(f"not YAML: {getattr(error, 'problem', None) or error}", file=name, line=line) from error
    except ValidationError as error:
        said = (f"{_place(item['loc'])}{item['msg'].removeprefix('Value error, ')}" for item in error.errors())
        raise SettingsError("; ".join(said), file=name) from error


def _place(loc: tuple[int | str, ...]) -> str:
    return f"{'.'.join(str(part) for part in loc)}: " if loc else ""
