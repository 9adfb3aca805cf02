"""What has been decided about a result when its task was accepted: plain records that survive as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

__all__ = ["Codec", "Expiry", "Failure", "Fate", "Look"]

Codec = Literal["h264", "hevc", "vp9"]


@dataclass(frozen=True)
class Failure:
    """How a result fails: the error's code, message and parameter, and whether it is charged all the same."""

    code: str
    message: str
    parameter: str | None = None
    charged: bool = False


@dataclass(frozen=True)
class Expiry:
    """How the addresses of a result expire.

    Attributes:
        status: What an expired address answers: 404 or 410.
        after_downloads: Downloads that an address serves before it expires.
        addresses: How many addresses expire, one after another; the next one stays.
        forget: Whether `getResponse` knows nothing any more once the first has expired. `getTaskDetails` does.
    """

    status: int = 404
    after_downloads: int = 1
    addresses: int = 1
    forget: bool = False


@dataclass(frozen=True)
class Look:
    """How a clip is written, where it differs from what the model makes.

    Attributes:
        codec: None: what the format has, H.264 or (WebM) VP9.
        container: "webm": a WebM under whatever name the result has.
        untagged: Without a word about its colours.
        full_range: Luma from 0 to 255, and tagged so.
        rate: Frames a second, as text of a fraction; the clip keeps its length in seconds.
        variable_rate: Every other frame is late by two fifths of a frame.
        frames: Another number of frames.
        timescale: Ticks a second of the video track of an MP4 or MOV.
        hidden_frames: Frames at the beginning which an edit list hides.
        sound_longer_s: Seconds by which the sound is longer (negative: shorter) than the picture. A clip without
            sound gets a tone.
    """

    codec: Codec | None = None
    container: Literal["webm"] | None = None
    untagged: bool = False
    full_range: bool = False
    rate: str | None = None
    variable_rate: bool = False
    frames: int | None = None
    timescale: int | None = None
    hidden_frames: int = 0
    sound_longer_s: float | None = None

    def rate_for(self, rate: Fraction) -> Fraction:
        """Frames a second of a clip that would have `rate`."""
        return Fraction(self.rate) if self.rate else rate

    def frames_for(self, frame_count: int, rate: Fraction) -> int:
        """Frames that are shown of a clip that would have `frame_count` at `rate`."""
        if self.frames is not None:
            return self.frames
        return int((frame_count - 1) * self.rate_for(rate) / rate + Fraction(1, 2)) + 1


@dataclass(frozen=True)
class Fate:
    """All that has been decided about one result; nothing, as a rule."""

    stuck: bool = False
    failure: Failure | None = None
    failure_after_s: float | None = None
    nsfw: bool = False
    cost_usd: str | None = None
    look: Look | None = None
    expiry: Expiry | None = None

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Fate:
        """The fate that `dataclasses.asdict` took apart."""
        kinds: dict[str, type[Failure | Look | Expiry]] = {
            "failure": Failure,
            "look": Look,
            "expiry": Expiry,
        }
        built = {name: kind(**fields[name]) for name, kind in kinds.items() if fields.get(name)}
        return cls(**{**fields, **built})
