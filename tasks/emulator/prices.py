"""What the provider charges, as its model pages say it."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

__all__ = ["RATES_USD_PER_S", "cost_usd", "dollars", "milliseconds"]

# model -> (text or pictures, anything that takes a video), USD a second
RATES_USD_PER_S: dict[str, tuple[Decimal, Decimal]] = {
    "klingai:kling@o1-standard": (Decimal("0.084"), Decimal("0.126")),
    "klingai:kling@o1": (Decimal("0.112"), Decimal("0.168")),
}


def cost_usd(model: str, duration_s: Decimal | int, *, from_video: bool) -> Decimal:
    """Price of one result, in whole micro-dollars.

    Args:
        model: One of `RATES_USD_PER_S`.
        duration_s: Seconds billed: what was asked for, or an edit's source.
        from_video: Whether a video is among the inputs.
    """
    rate = RATES_USD_PER_S[model][from_video]
    return (rate * duration_s).quantize(Decimal("0.000001"), ROUND_HALF_UP)


def milliseconds(length_s: Fraction) -> Decimal:
    """A source's length in seconds, rounded half up to milliseconds, as it is billed."""
    return Decimal(int(length_s * 1000 + Fraction(1, 2))).scaleb(-3)


def dollars(amount: Decimal) -> str:
    """An amount as plain text with at least two decimals: `0.84`, `0.635292`."""
    text = f"{amount:.6f}".rstrip("0")
    whole, _, part = text.partition(".")
    return f"{whole}.{part:<02}"
