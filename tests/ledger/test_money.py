"""Dollars to micro-dollars and back, without ever losing one."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.ledger import from_micro, nearest_micro, to_micro

micros = st.integers(min_value=0, max_value=2**63 - 1)


@given(micros)
def test_there_and_back_is_exact(micro: int) -> None:
    assert to_micro(from_micro(micro)) == micro


@given(st.lists(micros, max_size=20))
def test_sums_agree_on_both_sides(many: list[int]) -> None:
    assert sum(map(from_micro, many), Decimal(0)) == from_micro(sum(many))


@given(micros)
def test_the_callers_decimal_context_changes_nothing(micro: int) -> None:
    exact = from_micro(micro)
    with localcontext() as context:
        context.prec = 2
        assert from_micro(micro) == exact
        assert to_micro(exact) == micro


@given(st.decimals(min_value=0, max_value=10**6, allow_nan=False, allow_infinity=False, places=12))
def test_the_nearest_is_half_up(amount: Decimal) -> None:
    assert nearest_micro(amount) == int((amount * 10**6).quantize(Decimal(1), ROUND_HALF_UP))


@pytest.mark.parametrize(
    ("micro", "text"),
    [
        (0, "0.00"),
        (840_000, "0.84"),
        (600, "0.0006"),
        (1, "0.000001"),
        (12_000_000, "12.00"),
        (-500_000, "-0.50"),
    ],
)
def test_amounts_read_like_prices(micro: int, text: str) -> None:
    assert str(from_micro(micro)) == text


@pytest.mark.parametrize(
    ("amount", "micro"),
    [
        ("1E+2", 100_000_000),
        ("1E-6", 1),
        ("0.4200000000", 420_000),
        ("0E+999999", 0),
        ("0E-999999", 0),
        ("-0", 0),
    ],
)
def test_notation_does_not_matter(amount: str, micro: int) -> None:
    assert to_micro(Decimal(amount)) == nearest_micro(Decimal(amount)) == micro


@pytest.mark.parametrize("amount", ["0.0000001", "0.0000015", "1E-999999"])
def test_finer_than_a_micro_dollar_is_refused_or_rounded_never_cut(amount: str) -> None:
    with pytest.raises(ValueError, match="finer than a micro-dollar"):
        to_micro(Decimal(amount))
    assert nearest_micro(Decimal(amount)) == (2 if amount == "0.0000015" else 0)


@pytest.mark.parametrize("amount", ["-0.01", "NaN", "sNaN", "Infinity", "9223372036854.775808", "1E+999999"])
def test_what_is_no_amount_of_money_is_refused(amount: str) -> None:
    for convert in (to_micro, nearest_micro):
        with pytest.raises(ValueError, match=r"negative|not an amount|more than the ledger"):
            convert(Decimal(amount))


def test_a_float_is_no_money() -> None:
    with pytest.raises(ValueError, match="a Decimal, not float"):
        to_micro(0.42)  # type: ignore[arg-type]
