"""A plan is priced with what the store has and the ledger has learnt; `shotchain plan` shows it."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from flows.books.history import learnt_times, ledger_if_there
from flows.books.pricing import parse_clip_seconds
from flows.cli import app
from flows.display import minutes
from tasks.errors import SettingsError, StoryboardError
from tasks.ledger import Attempt, State, Wanted, open_ledger, read_budgets
from tasks.settings import resolve_settings
from tests.flows.conftest import Home

MODEL = "klingai:kling@o1-standard"
BOARD = """
title: Harbour
shots:
  - {id: lake, prompt: A lake, duration: 10, takes: 2}
  - {id: ripples, prompt: It ripples, boundary: continue}
  - {id: tram, prompt: A tram}
"""
Plan = Callable[..., str]


@pytest.fixture
def plan(home: Home, capsys: pytest.CaptureFixture[str]) -> Plan:
    """What `shotchain plan` prints about a storyboard."""
    board = home.storyboard(BOARD)

    def plan(*words: str) -> str:
        capsys.readouterr()
        app(["plan", str(board), *words], exit_on_error=False, print_error=False, result_action="return_value")
        return capsys.readouterr().out

    return plan


def made(home: Home, *lengths_s: int) -> list[Attempt]:
    """Clips of so many seconds, as the ledger has them."""
    with open_ledger(home.environment["SHOTCHAIN_LEDGER"]) as ledger:
        ledger.begin_run(run_id="run", provider="runware", account="", storyboard="Past", budget_usd=None)
        ledger.hold_lease("run", 600.0)
        found = []
        for length_s in lengths_s:
            wanted = Wanted(f"{length_s}", "a", 1, MODEL, Decimal("0.42"), {"duration": length_s})
            (attempt,) = ledger.reserve("run", [wanted])
            for state in (State.SUBMITTED, State.ACCEPTED, State.SUCCEEDED):
                attempt = ledger.move(attempt.task_uuid, state) or attempt
            found.append(attempt)
    return found


class TestHistory:
    def test_a_clip_teaches_how_long_its_length_takes(self, home: Home) -> None:
        (clip, _) = made(home, 5, 10)
        assert clip.accepted_at is not None
        assert clip.finished_at is not None
        settings = resolve_settings(provider="runware", needs_key=False)

        times = learnt_times(settings, MODEL, Decimal(90))

        assert [(int(length_s), it.samples) for length_s, it in times.learnt.items()] == [(5, 1), (10, 1)]
        took_s = Decimal((clip.finished_at - clip.accepted_at).total_seconds())
        assert abs((times.took_s(Decimal(5)) or 0) - took_s) < Decimal("0.06")
        assert times.source == "learnt"

    def test_where_nothing_is_learnt_what_is_stated_counts(self, home: Home) -> None:
        settings = resolve_settings(provider="runware", needs_key=False)
        assert learnt_times(settings, MODEL).source == "unknown"
        made(home, 5)
        assert learnt_times(settings, "another", Decimal(90)).took_s(Decimal(5)) == Decimal(90)

    def test_a_ledger_that_is_not_there_is_none_and_none_is_made(self, tmp_path: Path) -> None:
        for url in (str(tmp_path / "ledger.db"), f"sqlite:///{tmp_path}/ledger.db"):
            with ledger_if_there(url) as ledger:
                assert ledger is None
        assert list(tmp_path.iterdir()) == []


class TestPlan:
    def test_prices_worst_case_and_time(self, plan: Plan) -> None:
        told = json.loads(plan("--json", "--clip-seconds", "90", "--retries", "1", "--max-in-flight", "1"))
        estimate = told["estimate"]
        assert (told["to_pay_usd"], estimate["worst_usd"], estimate["retries"]) == ("2.52", "5.04", 1)
        assert estimate["time"] | {"clip_s": {}} == {
            "source": "stated",
            "clip_s": {},
            "stated_s": 90,
            "max_in_flight": 1,
            "wall_s": 360,
            "critical_path_s": 180,
            "critical_path": ["lake", "ripples"],
            "serial_s": 360,
        }
        assert (told["budgets"], told["savings"]) == ([], None)

    def test_times_are_learnt_from_the_clips_of_this_provider_and_model(self, home: Home, plan: Plan) -> None:
        made(home, 5)
        assert json.loads(plan("--json"))["estimate"]["time"]["source"] == "learnt"
        other = json.loads(plan("--json", "--provider", "emulator"))["estimate"]["time"]
        assert (other["source"], other["wall_s"]) == ("unknown", None)

    def test_people_are_told_the_same(self, plan: Plan) -> None:
        out = plan("--clip-seconds", "90")
        assert "at worst: $7.56, if every clip fails, is charged, and has all its 2 retries" in out
        assert "time: 3:00 min with at most 8 at once (as stated a clip)" in out
        assert "critical path: 3:00 min: lake → ripples" in out
        lake = next(line for line in out.splitlines() if line.startswith("lake"))
        assert lake.split()[-6:] == ["2", "×", "$0.84", "$5.04", "1:30", "min"]

    def test_an_unknown_time_is_said_to_be_unknown(self, plan: Plan) -> None:
        assert "time: unknown" in plan()

    def test_over_a_budget_the_cheapest_changes_are_named(self, plan: Plan) -> None:
        told = json.loads(plan("--json", "--budget", "1.70"))
        assert told["budgets"] == [{"name": "the budget", "room_usd": "1.70"}]
        assert told["savings"]["over_usd"] == "0.82"
        (change,) = told["savings"]["together"]
        assert (change["says"], change["saves_usd"]) == ("'lake' with takes: 1 instead of 2", "0.84")
        out = plan("--budget", "1.70")
        assert "over the budget by $0.82: it has room for $1.70" in out
        assert out.count("'lake' with takes: 1 instead of 2: saves $0.84") == 1

    def test_what_cannot_be_brought_within_is_said(self, plan: Plan) -> None:
        assert "which is still too much" in plan("--budget", "0.10")

    def test_within_the_budget_nothing_is_suggested(self, plan: Plan) -> None:
        assert json.loads(plan("--json", "--budget", "2.52"))["savings"] is None
        assert "over" not in plan("--budget", "2.52")

    def test_standing_budgets_that_match_count_with_what_is_left_of_them(self, home: Home, plan: Plan) -> None:
        budgets = home.folder / "budgets.yaml"
        budgets.write_text(
            "budgets:\n"
            '  - {name: studio, limit_usd: "9.00"}\n'
            '  - {name: acme, limit_usd: "2.50", period: month, match: {client: acme}}\n'
        )
        flags = ("--json", "--budgets", str(budgets), "--budget", "5")
        rooms = {item["name"]: item["room_usd"] for item in json.loads(plan(*flags))["budgets"]}
        assert rooms == {"the budget": "5.00", "the budget 'studio'": "9.00"}
        assert json.loads(plan(*flags))["savings"] is None

        told = json.loads(plan(*flags, "--tag", "client=acme"))
        assert told["savings"]["room_usd"] == "2.50"
        assert "over the budget 'acme' by $0.02" in plan(*flags[1:], "--tag", "client=acme")

        with open_ledger(home.environment["SHOTCHAIN_LEDGER"]) as ledger:
            ledger.begin_run(
                run_id="run",
                provider="runware",
                account="",
                storyboard="Past",
                budget_usd=None,
                budgets=read_budgets(budgets),
                tags={},
            )
            ledger.hold_lease("run", 600.0)
            ledger.reserve("run", [Wanted("k", "a", 1, MODEL, Decimal("7.00"), {})])
        left = {item["name"]: item["room_usd"] for item in json.loads(plan(*flags))["budgets"]}
        assert left["the budget 'studio'"] == "2.00"
        play = json.loads(plan(*flags, "--provider", "emulator"))["budgets"]
        assert {item["name"]: item["room_usd"] for item in play}["the budget 'studio'"] == "9.00"

    def test_the_graph_is_mermaid_and_nothing_else(self, plan: Plan) -> None:
        lines = plan("--graph").splitlines()
        assert lines[0] == "flowchart LR"
        assert "  s0 --> s1" in lines

    def test_nothing_is_made_by_planning(self, home: Home, plan: Plan) -> None:
        plan("--budget", "1")
        assert not (home.folder / "ledger.db").exists()
        assert not (home.folder / "work").exists()

    @pytest.mark.parametrize(
        "words",
        [
            ("--clip-seconds", "soon"),
            ("--clip-seconds", "0"),
            ("--clip-seconds", "1e3"),
            ("--clip-seconds", "86401"),
            ("--budget", "much"),
            ("--tag", "client"),
            ("--tag", "=acme"),
            ("--budgets", "none.yaml"),
            ("--retries", "11"),
            ("--max-in-flight", "0"),
        ],
        ids=str,
    )
    def test_flags_that_make_no_sense_are_told(self, plan: Plan, words: tuple[str, ...]) -> None:
        with pytest.raises(SettingsError):
            plan(*words)

    def test_a_storyboard_with_mistakes_has_no_price(self, home: Home, plan: Plan) -> None:
        home.storyboard("shots: [{id: a, prompt: A lake, duration: 50}]")
        with pytest.raises(StoryboardError):
            plan()


@pytest.mark.parametrize(("text", "seconds"), [(None, None), ("", None), (" 90 ", "90"), ("0.5", "0.5")])
def test_seconds_are_decimal(text: str | None, seconds: str | None) -> None:
    assert parse_clip_seconds(text, "--clip-seconds") == (None if seconds is None else Decimal(seconds))


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        ("0", "0 s"),
        ("59", "59 s"),
        ("59.1", "1:00 min"),
        ("125", "2:05 min"),
        ("3600", "1:00:00 h"),
        ("7384", "2:03:04 h"),
    ],
)
def test_people_read_minutes(seconds: str, told: Any) -> None:
    assert minutes(Decimal(seconds)) == told
