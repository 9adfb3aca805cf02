"""What automations can react to: each event with its sums, and none that could stop a run."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from flows.events import MoneyEvent, tell


def test_an_event_names_the_run_the_budgets_and_the_sums_as_text() -> None:
    told: list[dict[str, Any]] = []
    tell(
        MoneyEvent.REFUSED,
        run_id="run-1",
        provider="http://127.0.0.1:1",
        budgets=["acme: month"],
        emit=lambda **facts: told.append(facts),
        needed_usd=Decimal("0.42"),
        note=None,
    )
    (event,) = told
    assert event["event"] == "shotchain.budget.refused"
    assert event["resource"]["prefect.resource.id"] == "prefect.flow-run.run-1"
    assert [item["prefect.resource.name"] for item in event["related"]] == ["acme: month"]
    assert event["payload"] == {"provider": "http://127.0.0.1:1", "needed_usd": "0.42"}


def test_an_event_that_cannot_be_told_stops_nothing() -> None:
    def broken(**_: Any) -> None:
        raise ConnectionError("no server")

    tell(MoneyEvent.GIVEN, run_id="run-1", provider="runware", emit=broken, sum_usd=Decimal(1))


def test_no_secret_is_told() -> None:
    told: list[dict[str, Any]] = []
    note = "use https://user:hunter22@example.com/x?token=abc123456789"
    tell(MoneyEvent.GIVEN, run_id="r", provider="runware", emit=lambda **facts: told.append(facts), note=note)
    assert "hunter22" not in str(told)
    assert "abc123456789" not in str(told)
