"""Where every clip frame and every sample of sound stands in the film. Pure arithmetic, exact at any rate."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from typing import Final

from tasks.errors import BadInput, MediaError
from tasks.rounding import round_half_up
from tasks.storyboard.model import Fit

__all__ = ["SAMPLE_RATE", "Cut", "FilmLayout", "sample_at", "starts"]

SAMPLE_RATE: Final = 48_000
_SMALLEST_TIMESCALE: Final = 10_000


@dataclass(frozen=True, slots=True)
class FilmLayout:
    """What every part of a film has in common: its size in pixels and its rate in frames a second.

    Raises:
        BadInput: A size that is odd or not positive (4:2:0 has one colour sample for two pixels), or no rate.
    """

    width: int
    height: int
    rate: Fraction

    def __post_init__(self) -> None:
        if self.width <= 0 or self.height <= 0 or self.width % 2 or self.height % 2:
            raise BadInput(
                f"a film cannot be {self.width}x{self.height} pixels",
                advice="width and height have to be even and positive",
            )
        if self.rate <= 0:
            raise BadInput(f"a film cannot have {self.rate} frames a second")

    @property
    def timescale(self) -> int:
        """Ticks a second in which the film's times are written, so that a frame is a whole number of them."""
        ticks = self.rate.numerator
        while ticks < _SMALLEST_TIMESCALE:
            ticks *= 2
        return ticks

    @property
    def frame_ticks(self) -> int:
        """Ticks that a frame lasts."""
        return self.timescale // self.rate.numerator * self.rate.denominator


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A clip's frames `start` … `stop - 1` (0-based, in the order shown), as `frames` frames of the film.

    Of these, the first `lead` dissolve with the shot before and the last `tail` with the one behind: they are
    rendered with the other shot, and `body` frames stand alone. The first `fade_in` frames come out of black, the
    last `fade_out` go into it. `clip_id` names the clip's content (its sha256, say): equal ids are equal files.

    Raises:
        BadInput: A range or a count of no frames.
        MediaError: The transitions leave no frame between them, since the clip came shorter than planned.
    """

    shot: str
    clip: Path
    clip_id: str
    start: int
    stop: int
    frames: int
    lead: int = 0
    tail: int = 0
    fade_in: int = 0
    fade_out: int = 0
    fit: Fit = Fit.FIT

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.stop:
            raise BadInput(f"there are no frames from {self.start} to before {self.stop}", shot=self.shot)
        if self.frames < 1:
            raise BadInput(f"a cut cannot be shown as {self.frames} frames", shot=self.shot)
        in_transitions = max(self.lead, self.fade_in) + max(self.tail, self.fade_out)
        if min(self.lead, self.tail, self.fade_in, self.fade_out) < 0 or in_transitions >= self.frames:
            raise MediaError(
                f"its {self.frames} frames are too few for transitions of {in_transitions}",
                shot=self.shot,
                advice="Its clip came shorter than it was to be. Shorten the transitions before and after it, and "
                "render again: what is made costs nothing more.",
            )

    @property
    def body(self) -> int:
        """Frames of the film that show this shot alone."""
        return self.frames - self.lead - self.tail


def sample_at(frame: int, rate: Fraction) -> int:
    """The sample of sound, at 48 kHz, that begins with film frame `frame`."""
    return round_half_up(frame * SAMPLE_RATE / rate)


def starts(frames: Iterable[int]) -> list[int]:
    """The film frame at which each part begins, and the length of the film behind them."""
    return list(accumulate(frames, initial=0))
