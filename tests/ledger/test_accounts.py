"""Sums by whatever one likes to know them, and what was saved by reuse."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import combinations

import pytest

from tasks.errors import Charged, LedgerError, SettingsError
from tasks.ledger import Attempt, Ledger, Reuse, State, Sums, Wanted
from tasks.ledger.accounts import GROUPS

Begin = Callable[..., str]
Want = Callable[..., Wanted]
AttemptIn = Callable[..., Attempt]
Change = Callable[..., object]


def reuse(key: str, price: str = "0.42", shot: str = "a") -> Reuse:
    return Reuse(key, shot, 1, "kling", Decimal(price))


@pytest.fixture
def history(ledger: Ledger, begin: Begin, attempt_in: AttemptIn) -> Ledger:
    """Two runs of two projects, and one of another provider."""
    begin("one", tags={"project": "harbour"})
    begin("two", tags={"project": "tram"}, storyboard="Tram")
    attempt_in(State.STORED, key="a", run_id="one", cost_usd=Decimal("0.40"))
    attempt_in(State.FAILED, key="b", run_id="one", charged=Charged.UNKNOWN)
    attempt_in(State.RELEASED, key="c", run_id="one")
    attempt_in(State.ACCEPTED, key="d", run_id="two")
    attempt_in(State.STORED, key="e", run_id="two", cost_usd=Decimal("0.000001"))
    ledger.record_reuse("two", [reuse("a", "0.42"), reuse("z", "0.84", shot="z")])
    begin("real", provider="runware", storyboard="Harbour")
    attempt_in(State.STORED, key="a", run_id="real")
    return ledger


def test_all_in_one(history: Ledger) -> None:
    assert history.sums() == [
        Sums({}, 6, Decimal("0.820001"), Decimal("0.42"), Decimal("0.42"), reused=2, saved_usd=Decimal("1.26"))
    ]
    (emulated,) = history.sums(provider="emulator")
    assert (emulated.attempts, emulated.spent_usd, emulated.held_usd) == (5, Decimal("0.400001"), Decimal("1.240001"))


def test_by_project_and_run(history: Ledger) -> None:
    found = history.sums(["project", "run"])
    assert [(it.group, it.attempts, it.spent_usd, it.saved_usd) for it in found] == [
        ({"project": "", "run": "real"}, 1, Decimal("0.42"), 0),
        ({"project": "harbour", "run": "one"}, 3, Decimal("0.40"), 0),
        ({"project": "tram", "run": "two"}, 2, Decimal("0.000001"), Decimal("1.26")),
    ]


def test_by_state_what_was_reused_stands_apart(history: Ledger) -> None:
    found = {it.group["state"]: (it.attempts, it.reused) for it in history.sums(["state"])}
    assert found == {"stored": (3, 0), "failed": (1, 0), "released": (1, 0), "accepted": (1, 0), "reused": (0, 2)}


def test_however_it_is_grouped_it_is_the_same_money(history: Ledger) -> None:
    (whole,) = history.sums()
    for by in ((), *combinations(GROUPS, 1), *combinations(GROUPS, 2), GROUPS):
        parts = history.sums(by)
        keys = [tuple(part.group.values()) for part in parts]
        assert keys == sorted(set(keys))
        for name in ("attempts", "spent_usd", "reserved_usd", "unknown_usd", "reused", "saved_usd"):
            assert sum(getattr(part, name) for part in parts) == getattr(whole, name)


def test_months_are_those_of_utc(history: Ledger, change: Change) -> None:
    for month, key in (("2026-01-31T23:59:59.999999", "a"), ("2026-02-01T00:00:00", "d")):
        moment = datetime.fromisoformat(month).replace(tzinfo=UTC)
        micro = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
        change(f"UPDATE attempts SET created_at = {micro} WHERE content_key = '{key}'")  # noqa: S608
    found = {it.group["month"]: it.attempts for it in history.sums(["month"])}
    assert found == {"2026-01": 2, "2026-02": 1, f"{datetime.now(UTC):%Y-%m}": 3}
    february = datetime(2026, 2, 1, tzinfo=UTC)
    assert [it.attempts for it in history.sums(until=february)] == [2]
    assert [it.attempts for it in history.sums(since=february)] == [4]
    assert [it.attempts for it in history.sums(since=february, until=february + timedelta(days=1))] == [1]
    assert history.sums(["run"], until=datetime(2000, 1, 1, tzinfo=UTC)) == []


def test_nothing_sums_up_to_nothing(ledger: Ledger) -> None:
    assert ledger.sums() == [Sums({}, 0, Decimal(0), Decimal(0), Decimal(0), 0, Decimal(0))]
    assert ledger.sums(["run"]) == []


def test_what_it_cannot_be_grouped_by(ledger: Ledger) -> None:
    with pytest.raises(SettingsError, match="cannot be grouped by colour") as refused:
        ledger.sums(["run", "colour"])
    assert "month" in (refused.value.advice or "")


class TestReuse:
    def test_each_clip_counts_once_a_run_and_at_its_latest_price(self, ledger: Ledger, begin: Begin) -> None:
        begin("one")
        begin("two")
        for _ in range(2):
            ledger.record_reuse("one", [reuse("a"), reuse("a", "0.50")])
        ledger.record_reuse("two", [reuse("a")])
        assert [(it.reused, it.saved_usd) for it in ledger.sums(["run"])] == [
            (1, Decimal("0.50")),
            (1, Decimal("0.42")),
        ]

    def test_what_the_run_paid_for_itself_was_no_saving(
        self, ledger: Ledger, begin: Begin, attempt_in: AttemptIn
    ) -> None:
        attempt_in(State.STORED, key="paid")  # then the run died, and its resumption finds the clip in the store
        attempt_in(State.FAILED, key="failed")
        ledger.record_reuse("run", [reuse("paid"), reuse("failed", "0.10")])
        ledger.record_reuse(begin("next"), [reuse("paid")])
        assert {it.group["run"]: it.saved_usd for it in ledger.sums(["run"])} == {
            "run": Decimal("0.10"),
            "next": Decimal("0.42"),
        }

    def test_only_a_run_reuses_and_only_for_money(self, ledger: Ledger) -> None:
        with pytest.raises(LedgerError, match="never begun"):
            ledger.record_reuse("nobody", [reuse("a")])
        with pytest.raises(ValueError, match="finer"):
            reuse("a", "0.0000001")
