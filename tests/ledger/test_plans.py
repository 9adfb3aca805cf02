"""The latest plan of each storyboard is remembered."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tasks.ledger import Ledger


def remember(ledger: Ledger, plan: dict[str, Any], **facts: str) -> None:
    named = {"provider": "emulator", "storyboard": "Harbour", "file": "harbour.yaml", "run_id": "run"} | facts
    ledger.remember_plan(**named, plan=plan)


def test_it_comes_back_as_it_was_given(ledger: Ledger) -> None:
    before = datetime.now(UTC)
    remember(ledger, {"shots": [{"id": "föhn", "seconds": 5}]})
    (found,) = ledger.remembered_plans()
    assert (found.provider, found.storyboard, found.file, found.run_id) == (
        "emulator",
        "Harbour",
        "harbour.yaml",
        "run",
    )
    assert found.plan == {"shots": [{"id": "föhn", "seconds": 5}]}
    assert before <= found.written_at <= datetime.now(UTC)


def test_a_later_one_takes_its_place(ledger: Ledger) -> None:
    remember(ledger, {"shots": [1]})
    remember(ledger, {"shots": [2]}, run_id="later")
    (found,) = ledger.remembered_plans()
    assert (found.plan, found.run_id) == ({"shots": [2]}, "later")


def test_other_providers_storyboards_and_files_have_their_own(ledger: Ledger) -> None:
    remember(ledger, {"n": 1})
    remember(ledger, {"n": 2}, provider="runware")
    remember(ledger, {"n": 3}, storyboard="Tram")
    remember(ledger, {"n": 4}, file="other.yaml")
    assert [found.plan["n"] for found in ledger.remembered_plans()] == [1, 2, 3, 4]
    assert [found.plan["n"] for found in ledger.remembered_plans("emulator")] == [1, 3, 4]
    assert ledger.remembered_plans("nobody") == []


def test_numbers_stay_exact(ledger: Ledger) -> None:
    remember(ledger, {"price_usd": Decimal("0.42"), "n": 1.5})
    (found,) = ledger.remembered_plans()
    assert found.plan == {"price_usd": "0.42", "n": Decimal("1.5")}


def test_what_json_cannot_say_is_refused(ledger: Ledger) -> None:
    with pytest.raises(TypeError, match="no place in JSON"):
        remember(ledger, {"shots": {1, 2}})
    assert ledger.remembered_plans() == []
