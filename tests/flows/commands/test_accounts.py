"""What the ledger holds, as tables, JSON and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from flows.commands.accounts import (
    attempts_as_csv,
    attempts_as_dict,
    parse_by,
    print_attempts,
    print_sums,
    sums_as_csv,
    sums_as_dict,
)
from flows.display import console_on
from tasks.errors import Charged, ProviderFailed
from tasks.ledger import Attempt, Ledger, Reuse, State, Wanted, open_ledger

S = State
Make = Callable[..., Attempt]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(str(tmp_path / "ledger.db")) as opened:
        yield opened


@pytest.fixture
def make(ledger: Ledger) -> Make:
    """An attempt that came to `state`; the ledger knows what that holds of the money."""
    ways = {
        S.RESERVED: (),
        S.STORED: (S.SUBMITTED, S.ACCEPTED, S.SUCCEEDED, S.STORED),
        S.UNKNOWN: (S.SUBMITTED, S.UNKNOWN),
        S.FAILED: (S.SUBMITTED, S.ACCEPTED, S.FAILED),
    }

    def make(state: State, shot: str = "a", run: str = "run", provider: str = "runware", **facts: object) -> Attempt:
        ledger.begin_run(run_id=run, provider=provider, account="", storyboard="Harbour", budget_usd=None)
        ledger.hold_lease(run, 600.0)
        key = f"{len(ledger.attempts())}"
        (attempt,) = ledger.reserve(run, [Wanted(key, shot, 1, "kling", Decimal("0.42"), {})])
        for step in ways[state]:
            told = facts if step is ways[state][-1] else {}
            attempt = ledger.move(attempt.task_uuid, step, **told) or attempt  # type: ignore[arg-type]
        return attempt

    return make


class TestSums:
    def test_spent_reserved_and_unknown_are_apart(self, ledger: Ledger, make: Make) -> None:
        make(S.STORED, cost_usd=Decimal("0.63"))
        make(S.RESERVED)
        make(S.UNKNOWN)
        make(S.FAILED, charged=Charged.NO)
        told = sums_as_dict(("provider",), ledger.sums(("provider",)))
        assert told["sums"] == [
            {
                "provider": "runware",
                "attempts": 4,
                "reused": 0,
                "spent_usd": "0.63",
                "reserved_usd": "0.42",
                "unknown_usd": "0.42",
                "saved_usd": "0.00",
            }
        ]
        assert told["totals"]["runware"]["spent_usd"] == "0.63"

    def test_an_emulators_dollars_are_never_added_to_real_ones(self, ledger: Ledger, make: Make) -> None:
        make(S.STORED)
        make(S.STORED, run="play", provider="emulator")
        told = sums_as_dict(parse_by("storyboard"), ledger.sums(parse_by("storyboard")))
        assert {provider: money["spent_usd"] for provider, money in told["totals"].items()} == {
            "emulator": "0.42",
            "runware": "0.42",
        }

    def test_what_was_reused_has_saved_its_price(self, ledger: Ledger, make: Make) -> None:
        make(S.STORED)
        ledger.record_reuse("run", [Reuse("kept", "b", 1, "kling", Decimal("0.84"))])
        told = sums_as_dict(parse_by("run"), ledger.sums(parse_by("run")))
        assert (told["totals"]["runware"]["saved_usd"], told["sums"][0]["reused"]) == ("0.84", 1)

    @pytest.mark.parametrize(
        ("by", "names"),
        [("", ["provider"]), ("run, shot,", ["provider", "run", "shot"]), ("run,run", ["provider", "run"])],
    )
    def test_the_provider_always_is_one_of_them(self, by: str, names: list[str]) -> None:
        assert list(parse_by(by)) == names

    def test_no_attempts_have_no_sums(self) -> None:
        assert sums_as_dict(("provider",), []) == {"by": ["provider"], "sums": [], "totals": {}}
        assert sums_as_csv(("provider",), []).startswith("provider,attempts,reused,spent_usd")

    def test_for_people_they_are_a_table(self, ledger: Ledger, make: Make, capsys: pytest.CaptureFixture[str]) -> None:
        make(S.STORED, "a [b")
        by = parse_by("shot")
        print_sums(console_on(stderr=False), by, ledger.sums(by))
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].split()[:6] == ["provider", "shot", "attempts", "spent", "reserved", "unknown"]
        assert lines[1].split() == ["runware", "a", "[b", "1", "$0.42", "$0.00", "$0.00", "0", "$0.00"]
        assert lines[2] == "runware: $0.42 spent, $0.00 reserved, $0.00 unknown, $0.00 saved"


class TestCsv:
    def test_attempts_are_a_line_each(self, make: Make) -> None:
        attempt = make(S.FAILED, error=ProviderFailed("it said: no, «never»", charged=Charged.YES))
        (row,) = csv.DictReader(io.StringIO(attempts_as_csv([attempt])))
        assert row["taskUUID"] == attempt.task_uuid
        assert row["error"] == "it said: no, «never»"
        assert (row["state"], row["charged"], row["reserved_usd"], row["cost_usd"]) == ("failed", "yes", "0.42", "")

    def test_sums_are_a_line_a_group(self, ledger: Ledger, make: Make) -> None:
        make(S.STORED)
        make(S.STORED, "b")
        by = parse_by("shot")
        rows = list(csv.DictReader(io.StringIO(sums_as_csv(by, ledger.sums(by)))))
        assert sorted((row["shot"], row["spent_usd"], row["saved_usd"]) for row in rows) == [
            ("a", "0.42", "0.00"),
            ("b", "0.42", "0.00"),
        ]

    @pytest.mark.parametrize("shot", ["=1+1", "+1", "-1", "@a"])
    def test_a_spreadsheet_takes_no_name_for_a_formula(self, make: Make, shot: str) -> None:
        assert f",'{shot}," in attempts_as_csv([make(S.STORED, shot)])


def test_attempts_and_their_sums_as_json(make: Make) -> None:
    told = attempts_as_dict([make(S.STORED)])
    assert told["totals"] == {"runware": {"spent_usd": "0.42", "reserved_usd": "0.00", "unknown_usd": "0.00"}}
    assert (told["attempts"][0]["model"], told["attempts"][0]["cost_usd"]) == ("kling", None)


def test_where_there_are_no_attempts_that_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    print_attempts(console_on(stderr=False), [])
    assert capsys.readouterr().out == "no attempts\n"
