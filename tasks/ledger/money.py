"""Dollars as `Decimal` outside, whole micro-dollars inside. Nothing here is ever a float."""

from __future__ import annotations

from decimal import Decimal

__all__ = ["from_micro", "nearest_micro", "to_micro"]

_LARGEST = 2**63 - 1  # what a BIGINT holds


def to_micro(amount_usd: Decimal) -> int:
    """The amount in micro-dollars, exactly.

    Raises:
        ValueError: it is negative, not finite, too large for the database, or finer than a micro-dollar.
    """
    micro, rest = _split(amount_usd)
    if rest:
        raise ValueError(f"{amount_usd} USD is finer than a micro-dollar")
    return micro


def nearest_micro(amount_usd: Decimal) -> int:
    """The amount in micro-dollars, rounded half up: for what a provider says that something cost.

    Raises:
        ValueError: it is negative, not finite, or too large for the database.
    """
    micro, rest = _split(amount_usd)
    return micro + 1 if rest >= 5 else micro


def from_micro(micro: int) -> Decimal:
    """Micro-dollars as USD, exactly, written with at least two decimals (`0.84`, `0.0006`)."""
    whole, part = divmod(abs(micro), 1_000_000)
    sign = "-" if micro < 0 else ""
    return Decimal(f"{sign}{whole}.{f'{part:06d}'.rstrip('0').ljust(2, '0')}")


def _split(amount_usd: Decimal) -> tuple[int, int]:
    """Whole micro-dollars, and the tenths (0 to 9) of the next one; a smaller rest counts as one tenth."""
    if not isinstance(amount_usd, Decimal):
        raise ValueError(f"money is a Decimal, not {type(amount_usd).__name__}")  # noqa: TRY004  # one error for bad money
    if not amount_usd.is_finite():
        raise ValueError(f"{amount_usd} is not an amount of money")
    if amount_usd < 0:
        raise ValueError(f"{amount_usd} USD is negative")
    # Integers only: the arithmetic of Decimal would round to the caller's context.
    _, digits, exponent = amount_usd.as_tuple()
    if not amount_usd:
        return 0, 0
    if amount_usd.adjusted() > 13:
        raise ValueError(f"{amount_usd} USD is more than the ledger can hold")
    if amount_usd.adjusted() < -7:
        return 0, 1
    shift = int(exponent) + 7
    number = int("".join(map(str, digits)))
    tenths, finer = (number * 10**shift, 0) if shift >= 0 else divmod(number, 10**-shift)
    micro, rest = divmod(tenths, 10)
    if micro > _LARGEST:
        raise ValueError(f"{amount_usd} USD is more than the ledger can hold")
    return micro, rest or (1 if finer else 0)
