"""Prices are the page's, and fractions of a second are billed to the millisecond."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest

from tasks.emulator.prices import cost_usd, dollars, milliseconds

STANDARD, PRO = "klingai:kling@o1-standard", "klingai:kling@o1"


@pytest.mark.parametrize(
    ("model", "duration_s", "from_video", "expected"),
    [
        (STANDARD, 5, False, "0.42"),
        (STANDARD, 10, False, "0.84"),
        (STANDARD, 5, True, "0.63"),
        (STANDARD, 6, True, "0.756"),
        (STANDARD, Decimal("5.042"), True, "0.635292"),
        (PRO, 5, False, "0.56"),
        (PRO, 3, True, "0.504"),
    ],
)
def test_cost(model: str, duration_s: Decimal | int, from_video: bool, expected: str) -> None:
    assert cost_usd(model, duration_s, from_video=from_video) == Decimal(expected)


def test_lengths_are_rounded_half_up_to_milliseconds() -> None:
    assert milliseconds(Fraction(121, 24)) == Decimal("5.042")
    assert milliseconds(Fraction(50005, 10000)) == Decimal("5.001")
    assert milliseconds(Fraction(6)) == 6


@pytest.mark.parametrize(
    ("amount", "text"), [("0", "0.00"), ("0.42", "0.42"), ("1.5", "1.50"), ("0.635292", "0.635292")]
)
def test_dollars_have_two_decimals_or_more(amount: str, text: str) -> None:
    assert dollars(Decimal(amount)) == text
