"""Halves go up, everywhere alike."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rounding import milliseconds, round_half_up


@pytest.mark.parametrize(
    ("value", "rounded"),
    [("0", 0), ("1/2", 1), ("-1/2", 0), ("3/2", 2), ("5/2", 3), ("249/100", 2), ("-3/2", -1), ("-8/5", -2)],
)
def test_halves_go_up(value: str, rounded: int) -> None:
    assert round_half_up(Fraction(value)) == rounded


@given(st.fractions(), st.integers(-1000, 1000))
def test_rounding_is_to_the_nearest_and_moves_with_whole_numbers(value: Fraction, shift: int) -> None:
    rounded = round_half_up(value)

    assert -Fraction(1, 2) < rounded - value <= Fraction(1, 2)
    assert round_half_up(value + shift) == rounded + shift


@given(st.decimals(0, 10_000, places=4))
def test_milliseconds_are_rounded_as_decimals_are(seconds: Decimal) -> None:
    assert milliseconds(seconds) == seconds.quantize(Decimal("0.001"), rounding=ROUND_HALF_UP)


def test_milliseconds_of_exact_fractions() -> None:
    assert milliseconds(Fraction(1, 2000)) == Decimal("0.001")
    assert str(milliseconds(Fraction(121, 24))) == "5.042"
