"""What the ledger takes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tasks.ledger import Totals, Wanted


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"price_usd": Decimal("0.0000001")}, "finer"),
        ({"price_usd": Decimal(-1)}, "negative"),
        ({"price_usd": 0.42}, "Decimal"),
        ({"content_key": ""}, "content key"),
        ({"take": 0}, "from 1"),
    ],
)
def test_a_wanted_take_is_checked_where_it_is_made(facts: dict[str, Any], said: str) -> None:
    good: dict[str, Any] = {"content_key": "k", "shot": "s", "take": 1, "model": "m", "request": {}}
    with pytest.raises(ValueError, match=said):
        Wanted(**({"price_usd": Decimal("0.42")} | good | facts))


def test_totals_hold_the_sum_of_all_three() -> None:
    totals = Totals(reserved_usd=Decimal("0.1"), spent_usd=Decimal("0.02"), unknown_usd=Decimal("0.000003"))
    assert totals.held_usd == Decimal("0.120003")
