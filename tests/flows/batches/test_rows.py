"""What became of a storyboard is told by what is in its film's place, then by how its run ended."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from flows.batches.boards import Board
from flows.batches.rows import earlier, failed, found, new_row, spent
from flows.batches.runs import Ended
from flows.batches.survey import Surveyed
from tasks.errors import LedgerTooNew, SettingsError, StoryboardError, UnpinnedInput
from tasks.ledger import Ledger, State, Wanted, open_ledger
from tasks.plan.build import build_plan
from tasks.plan.model import Plan
from tasks.problems import Problem
from tasks.publish.manifest import FORMAT
from tasks.settings import DEFAULT_FINISH
from tasks.storyboard.read import read_storyboard

PLAN = build_plan(read_storyboard("title: Lake\nshots: [{id: a, prompt: A calm lake}]"), {}, "emulator")
LOST = Ended("mine", 1, {"type": "Failed", "message": "ConnectError"})


@pytest.fixture
def item(tmp_path: Path) -> Surveyed:
    return Surveyed(Board("lake", "lake.yaml", str(tmp_path / "lake.mp4")), plan=PLAN)


def publish(item: Surveyed, *, plan: Plan | None = PLAN, content: bytes = b"film", **other: Any) -> None:
    item.board.targets.film.put_bytes(content)
    told = {
        "format": FORMAT,
        "run_id": "mine",
        "complete": True,
        "cost_usd": "0.42",
        "film": {"frames": 121, "size_bytes": 4},
        "finish": DEFAULT_FINISH.as_dict(),
        "plan": None if plan is None else plan.as_dict(),
        **other,
    }
    item.board.targets.manifest.put_bytes(json.dumps(told).encode())


def test_a_film_that_is_whole_is_published_whatever_became_of_its_run(item: Surveyed) -> None:
    publish(item)

    row = found(item, LOST)

    assert (row["outcome"], row["exit_code"], row["error"]) == ("published", 0, None)
    assert "ConnectError" in row["note"]
    assert (row["frames"], row["cost_usd"], row["run_id"]) == (121, "0.42", "mine")


@pytest.mark.parametrize(
    "other", [{"run_id": "another"}, {"complete": False}, {"plan": None}, {"film": None}, {"film": {"size_bytes": 5}}]
)
def test_any_other_film_excuses_no_failure(item: Surveyed, other: dict[str, Any]) -> None:
    publish(item, **other)

    row = found(item, LOST)

    assert (row["outcome"], row["exit_code"], row["error"]) == ("failed", 1, LOST.error)


def test_a_film_that_is_not_to_be_seen_is_not_called_published(item: Surveyed) -> None:
    row = found(item, Ended("mine", told={"output": "/elsewhere/lake.mp4"}))

    assert (row["outcome"], row["exit_code"], row["error"]["type"]) == ("unseen", 6, "StorageUnreachable")
    publish(item, content=b"another")
    assert found(item, Ended("mine"))["outcome"] == "unseen"
    publish(item)
    assert found(item, Ended("mine"))["outcome"] == "published"
    # Somebody else published the same meanwhile.
    publish(item, run_id="another")
    assert found(item, Ended("mine"))["outcome"] == "published"


@pytest.mark.parametrize("junk", [None, 5, "many", [5], {"exit_code": "x"}, float("nan")])
def test_no_manifest_makes_a_bug_of_a_render_that_failed(item: Surveyed, junk: object) -> None:
    publish(item, shots=junk, to_finish=junk, cost_usd=junk, film=junk, complete=False)

    row = found(item, Ended("mine", 5, {"type": "Incomplete", "message": "1 of 2"}))

    assert (row["outcome"], row["exit_code"]) == ("incomplete", 5)
    assert Decimal(row["cost_usd"]).is_finite()


@pytest.mark.parametrize(
    ("error", "outcome", "code"),
    [
        (StoryboardError([Problem("unknown key")]), "broken", 2),
        (SettingsError("no folder"), "failed", 2),
        (LedgerTooNew("newer"), "failed", 2),
        (UnpinnedInput("cannot be read"), "failed", 6),
        (KeyError("shots"), "failed", 1),
    ],
)
def test_broken_is_what_has_mistakes_in_its_storyboard_alone(error: Exception, outcome: str, code: int) -> None:
    row = new_row(Board("a", "a.yaml", "a.mp4")) | failed(error)

    assert (row["outcome"], row["exit_code"]) == (outcome, code)


def pay(ledger: Ledger, run_id: str, key: str, **tags: str) -> None:
    ledger.begin_run(run_id=run_id, provider="emulator", account="", storyboard="Lake", budget_usd=None, tags=tags)
    wanted = Wanted(key, "a", 1, "klingai:kling-video@o1-standard", Decimal("0.42"), {})
    (attempt,) = ledger.reserve(run_id, [wanted])
    for state in (State.SUBMITTED, State.ACCEPTED):
        ledger.move(attempt.task_uuid, state)
    ledger.move(attempt.task_uuid, State.SUCCEEDED, cost_usd=Decimal("0.42"))


def test_the_cost_is_that_of_all_runs_of_the_batch(tmp_path: Path) -> None:
    url = str(tmp_path / "ledger.db")
    assert spent("night", url) == {}
    assert not Path(url).exists()
    with open_ledger(url) as ledger:
        pay(ledger, "one", "k1", batch="night", batch_storyboard="lake")
        pay(ledger, "two", "k2", batch="night", batch_storyboard="lake")
        pay(ledger, "three", "k3", batch="night", batch_storyboard="hill")
        pay(ledger, "four", "k4", batch="day", batch_storyboard="lake")

    assert spent("night", url) == {"lake": Decimal("0.84"), "hill": Decimal("0.42")}
    item = Surveyed(Board("lake", "lake.yaml", "lake.mp4"), manifest={"run_id": "two", "film": {}})
    assert earlier(item, "night", url) == {"outcome": "published", "run_id": "two"}
    assert earlier(item, "day", url) == {}
