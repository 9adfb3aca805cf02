"""What each model accepts and costs: `configs/models/*.yaml`, validated."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from fractions import Fraction
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from tasks.errors import SettingsError

__all__ = ["DurationRange", "Mode", "ModeSpec", "ModelSpec", "load_catalog", "model_spec"]


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


Exact = Annotated[Decimal, BeforeValidator(_exact)]


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

    min: int
    max: int


class ModeSpec(_Data):
    """One mode of a model. `durations_s` is a list of lengths, a range, or the length of the source."""

    durations_s: tuple[int, ...] | DurationRange | Literal["source"]
    sends_size: bool
    rate: str
    images: Span = Span(max=0)
    last_needs_first: bool = False

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

    rate: Fraction
    extra: int


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
    """What an input video may be."""

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
    default_duration_s: int
    frames: FrameFacts
    rates_usd_per_s: Mapping[str, Exact]
    modes: Mapping[Mode, ModeSpec]
    output: OutputLimits
    pictures: PictureLimits
    videos: VideoLimits
    assumed_wait_s: int

    def price_usd(self, mode: Mode, generate_s: Decimal) -> Decimal:
        """What one take of `generate_s` seconds costs, exact to the micro-dollar (half up)."""
        rate = self.rates_usd_per_s[self.modes[mode].rate]
        return (rate * generate_s).quantize(Decimal("0.000001"), rounding=ROUND_HALF_UP)


def _files(folder: Path | None) -> Iterator[tuple[str, str]]:
    if folder is not None:
        for path in sorted(folder.glob("*.yaml")):
            yield str(path), path.read_text(encoding="utf-8")
        return
    for entry in sorted(resources.files("configs").joinpath("models").iterdir(), key=lambda item: item.name):
        if entry.name.endswith(".yaml"):
            yield f"configs/models/{entry.name}", entry.read_text(encoding="utf-8")


@functools.cache
def load_catalog(folder: Path | None = None) -> Mapping[str, ModelSpec]:
    """Every model by its id, from `folder` or from the models that ship with shotchain.

    Raises:
        SettingsError: A file is not YAML, or does not describe a model.
    """
    catalog: dict[str, ModelSpec] = {}
    for name, text in _files(folder):
        try:
            data: Any = yaml.safe_load(text)
            spec = ModelSpec.model_validate(data)
        except yaml.YAMLError as error:
            raise SettingsError(f"not YAML: {error}", file=name) from error
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise SettingsError(f"{where}: {first['msg']}", file=name) from error
        catalog[spec.id] = spec
    return catalog


def model_spec(model_id: str, folder: Path | None = None) -> ModelSpec | None:
    """The model with this id, or None."""
    return load_catalog(folder).get(model_id)
