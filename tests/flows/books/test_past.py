"""What the ledger remembers of a plan: the one before it, and what was paid; asked without making a ledger."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from flows.books.past import past_of
from tasks.errors import SettingsError
from tasks.ledger import State, Wanted, open_ledger
from tests.plan.boards import PROVIDER, plan

TRAMS = plan("title: Trams\nshots: [{id: one, prompt: A tram}]")


@pytest.mark.parametrize("scheme", ["", "sqlite:///", "sqlite+pysqlite:///"])
def test_where_there_is_no_ledger_nothing_is_remembered_and_none_is_made(scheme: str, tmp_path: Path) -> None:
    past = past_of(TRAMS, f"{scheme}{tmp_path}/ledger.db")

    assert (past.plan, past.paid) == (None, set())
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_no_ledger_can_have_is_told(tmp_path: Path) -> None:
    for place in (str(tmp_path / ("x" * 300)), "~nobody-of-that-name/ledger.db"):
        with pytest.raises(SettingsError):
            past_of(TRAMS, place)


def test_the_plan_of_the_same_file_is_meant_and_else_the_newest_of_that_title(tmp_path: Path) -> None:
    place = str(tmp_path / "ledger.db")
    with open_ledger(place) as ledger:
        for title, file in (("Trams", "film.yaml"), ("Trams", "other.yaml"), ("Trains", "film.yaml")):
            memory = {"shots": [], "from": f"{title} {file}"}
            whole = str(Path(file).resolve())
            ledger.remember_plan(provider=PROVIDER, storyboard=title, file=whole, run_id="r", plan=memory)

    def remembered(title: str, file: str, provider: str = PROVIDER) -> object:
        past = past_of(replace(TRAMS, title=title, file=file, provider=provider), place)
        return past.plan and past.plan["from"]

    assert remembered("Trams", "film.yaml") == "Trams film.yaml"
    assert remembered("Trams", "moved.yaml") == "Trams other.yaml"
    assert remembered("Ships", "film.yaml") is None
    assert remembered("Trams", "film.yaml", "runware") is None


def test_what_was_paid_is_known_of_the_plans_own_takes_alone(tmp_path: Path) -> None:
    place = str(tmp_path / "ledger.db")
    key = TRAMS.shot("one").selected.content_key
    with open_ledger(place) as ledger:
        ledger.begin_run(run_id="r", provider=PROVIDER, account="", storyboard="Trams", budget_usd=None)
        keys = (key, "another")
        wanted = [Wanted(one, "one", 1, TRAMS.model, Decimal("0.42"), {}) for one in keys]
        attempts = ledger.reserve("r", wanted)
        assert past_of(TRAMS, place).paid == set()
        for attempt in attempts:
            ledger.move(attempt.task_uuid, State.SUBMITTED)
            ledger.move(attempt.task_uuid, State.SUCCEEDED, cost_usd=Decimal("0.42"))

    past = past_of(TRAMS, place)
    assert past.paid == {key}
    assert [attempt.state for attempt in past.attempts[key]] == [State.SUCCEEDED]
