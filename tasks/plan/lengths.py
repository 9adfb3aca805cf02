"""Decides how long a shot is generated, what of it the film keeps, and how many frames that is."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from tasks.rounding import milliseconds, round_half_up

__all__ = [
    "Length",
    "default_length_s",
    "edit_length",
    "exact_rate",
    "film_frames",
    "generated_length",
    "seconds_of",
]


@dataclass(frozen=True, slots=True)
class Length:
    """`generate_s` is generated and paid for; the film keeps frames 0…`last_kept`, or all where that is None.

    `duration_s` is the length wanted. `clip_frames` is what the whole clip is expected to have, at the model's
    declared rate.
    """

    generate_s: Decimal
    duration_s: Decimal
    last_kept: int | None
    clip_frames: int

    @property
    def kept_frames(self) -> int:
        """Expected frames that are kept of the clip, before a shared frame is dropped."""
        return self.clip_frames if self.last_kept is None else min(self.last_kept + 1, self.clip_frames)


def film_frames(clip_frames: int, clip_rate: Fraction, film_rate: Fraction) -> int:
    """How many frames of the film `clip_frames` frames of a clip become: rounded half up, one at least."""
    return max(1, round_half_up(clip_frames * film_rate / clip_rate))


def exact_rate(fps: Decimal) -> Fraction:
    """Frames a second exactly: 23.976, 29.97, 59.94 and their like are the television rates N × 1000/1001."""
    for nominal in (24, 30, 48, 60, 120):
        television = Fraction(nominal * 1000, 1001)
        if abs(Fraction(fps) - television) < Fraction(1, 200) and fps != nominal:
            return television
    return Fraction(fps)


def default_length_s(default_s: int, choices_s: tuple[int, ...]) -> Decimal:
    """What a shot without a duration of its own gets: the default where the mode has it, else the next longer choice.

    Never a trim: nobody asked for one.
    """
    return Decimal(next((choice for choice in choices_s if choice >= default_s), choices_s[-1]))


def generated_length(wanted_s: Decimal, choices_s: tuple[int, ...], rate: Fraction, extra: int) -> Length | None:
    """The shortest length that can be asked for and holds `wanted_s`; None if there is none.

    A wanted length that is shorter than what is generated is a trim: frames 0…N stay, N = round half up
    (wanted × rate), and frame N is the one from which a next shot continues.
    """
    generate_s = next((choice for choice in choices_s if choice >= wanted_s), None)
    if generate_s is None:
        return None
    trimmed = wanted_s < generate_s
    return Length(
        generate_s=Decimal(generate_s),
        duration_s=wanted_s,
        last_kept=round_half_up(Fraction(wanted_s) * rate) if trimmed else None,
        clip_frames=round_half_up(generate_s * rate) + extra,
    )


def edit_length(source_s: Decimal, wanted_s: Decimal | None, rate: Fraction) -> Length | None:
    """The length of an edit: its source's, trimmed to `wanted_s`; None if more is wanted than the source has."""
    wanted_s = source_s if wanted_s is None else wanted_s
    if wanted_s > source_s:
        return None
    return Length(
        generate_s=source_s,
        duration_s=wanted_s,
        last_kept=round_half_up(Fraction(wanted_s) * rate) if wanted_s < source_s else None,
        clip_frames=max(1, round_half_up(Fraction(source_s) * rate)),
    )


def seconds_of(frames: int, rate: Fraction) -> Decimal:
    """How long so many frames last, in seconds, to the millisecond."""
    return milliseconds(frames / rate)
