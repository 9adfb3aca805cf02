"""How numbers of frames and lengths in seconds are rounded, everywhere alike: to the nearest, halves upwards."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

__all__ = ["milliseconds", "round_half_up"]


def round_half_up(value: Fraction) -> int:
    """The nearest whole number."""
    return (2 * value.numerator + value.denominator) // (2 * value.denominator)


def milliseconds(seconds: Fraction | Decimal) -> Decimal:
    """Seconds to the millisecond: the precision in which lengths of media are known and billed."""
    return Decimal(round_half_up(Fraction(seconds) * 1000)).scaleb(-3)
