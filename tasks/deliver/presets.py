"""What a deliverable is to be: its container, its codec, its size. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Any, Final

from tasks.storyboard.model import Fit

__all__ = [
    "CODECS",
    "DEFAULT_QUALITY",
    "FASTEST_GIF",
    "PRESET_NAME",
    "PROFILES",
    "QUALITIES",
    "Codec",
    "Container",
    "Preset",
    "Size",
]


class Container(StrEnum):
    """The kind of a file, which is also its suffix."""

    MP4 = "mp4"
    MOV = "mov"
    WEBM = "webm"
    GIF = "gif"
    WEBP = "webp"

    @property
    def is_preview(self) -> bool:
        """Whether it is moving pictures in a picture file: RGB, without sound, words and chapters."""
        return self in {Container.GIF, Container.WEBP}

    @property
    def is_signable(self) -> bool:
        """Whether it can hold content credentials."""
        return self is not Container.WEBM


class Codec(StrEnum):
    """How pictures are coded."""

    H264 = "h264"
    H265 = "h265"
    AV1 = "av1"
    VP9 = "vp9"
    PRORES = "prores"
    GIF = "gif"
    WEBP = "webp"


PRESET_NAME: Final = r"[a-z0-9]+(?:[._-][a-z0-9]+)*"
"""What the name of a preset looks like. It is part of a file's name, on file systems that know no case, too."""

CODECS: Final[Mapping[Container, tuple[Codec, ...]]] = {
    Container.MP4: (Codec.H264, Codec.H265, Codec.AV1),
    Container.MOV: (Codec.PRORES, Codec.H264, Codec.H265),
    Container.WEBM: (Codec.VP9, Codec.AV1),
    Container.GIF: (Codec.GIF,),
    Container.WEBP: (Codec.WEBP,),
}
"""What a container may hold; the first where nothing is said."""

QUALITIES: Final[Mapping[Codec, int]] = {
    Codec.H264: 51,
    Codec.H265: 51,
    Codec.AV1: 63,
    Codec.VP9: 63,
    Codec.WEBP: 100,
}
"""How far the scale of a codec's quality goes, from 0; others have none."""

DEFAULT_QUALITY: Final[Mapping[Codec, int]] = {
    Codec.H264: 20,
    Codec.H265: 23,
    Codec.AV1: 32,
    Codec.VP9: 33,
    Codec.WEBP: 75,
}

FASTEST_GIF: Final = 50
"""Frames a second: it tells times in hundredths, and players slow down what is shown for a single one."""

PROFILES: Final = ("proxy", "lt", "standard", "hq")
"""Of ProRes, from the smallest to the finest."""


@dataclass(frozen=True, slots=True)
class Size:
    """A size in pixels, and what becomes of a film of another shape; see `Fit`."""

    width: int
    height: int
    fit: Fit = Fit.FILL


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """What one deliverable of any film is to be.

    `size` is None for the film's own, or for the film's shape in at most `max_width` pixels. `rate` is in frames a
    second, None for the film's. `first_s` keeps no more than the first so many seconds.
    """

    name: str
    container: Container
    codec: Codec
    quality: int | None = None
    profile: str | None = None
    size: Size | None = None
    max_width: int | None = None
    rate: Fraction | None = None
    first_s: Decimal | None = None

    @property
    def suffix(self) -> str:
        """Of its files, without the dot."""
        return str(self.container)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready fields, all but the name: what they are equal in makes the same file of the same film."""
        size = self.size
        return {
            "container": str(self.container),
            "codec": str(self.codec),
            "quality": self.quality,
            "profile": self.profile,
            "size": None if size is None else f"{size.width}x{size.height}",
            "fit": None if size is None else str(size.fit),
            "max_width": self.max_width,
            "fps": None if self.rate is None else str(self.rate),
            "first_s": None if self.first_s is None else str(self.first_s),
        }
