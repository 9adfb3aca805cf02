"""Decides how long a shot is generated, what of it the film keeps, and how many frames that is."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

__all__ = ["Length", "clip_length_s", "edit_length", "film_frames", "generated_length", "round_half_up"]


@dataclass(frozen=True, slots=True)
class Length:
    """`generate_s` is generated; the film keeps frames 0…`last_kept`, or all where that is None.

    `clip_frames` is what the whole clip is expected to have, at the model's declared rate.
    """

    generate_s: Decimal
    duration_s: Decimal
    last_kept: int | None
    clip_frames: int

    @property
    def kept_frames(self) -> int:
        """Expected frames that are kept of the clip, before a shared frame is dropped."""
        return self.clip_frames if self.last_kept is None else min(self.last_kept + 1, self.clip_frames)


def round_half_up(value: Fraction) -> int:
    """The nearest whole number, halves upwards."""
    return (2 * value.numerator + value.denominator) // (2 * value.denominator)


def film_frames(clip_frames: int, clip_rate: Fraction, film_rate: Fraction) -> int:
    """How many frames of the film `clip_frames` frames of a clip become: rounded half up, one at least."""
    return max(1, round_half_up(clip_frames * film_rate / clip_rate))


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
    if wanted_s is not None and wanted_s > source_s:
        return None
    trimmed = wanted_s is not None and wanted_s < source_s
    return Length(
        generate_s=source_s,
        duration_s=source_s if wanted_s is None else wanted_s,
        last_kept=round_half_up(Fraction(wanted_s) * rate) if trimmed and wanted_s is not None else None,
        clip_frames=max(1, round_half_up(Fraction(source_s) * rate)),
    )


def clip_length_s(clip_frames: int, rate: Fraction) -> Decimal:
    """The length in seconds of a clip of so many frames, to the millisecond."""
    seconds = Fraction(clip_frames) / rate
    return (Decimal(seconds.numerator) / Decimal(seconds.denominator)).quantize(
        Decimal("0.001"), rounding=ROUND_HALF_UP
    )
