"""How a render of a batch ended, and by which key its run is known."""

from __future__ import annotations

from itertools import product
from typing import Any
from uuid import uuid4

import pytest
from prefect import Task, flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.states import Running

from flows.batches.runs import Ended, Here, ended_of, exit_code_of, plain_name, run_key
from tests.flows.conftest import Home

pytestmark = pytest.mark.runs


def test_no_two_renders_have_one_key() -> None:
    asked = list(product(("night", "day"), ("a", "a:2", 'a", "b'), ("film", "2"), (1, 2, 12)))

    assert len({run_key(*each) for each in asked}) == len(asked)
    assert run_key("night", "a", "film", 1) == run_key("night", "a", "film", 1)


@flow(name="batch-of-tests")
def _batch() -> None:
    """Stands for a batch."""


@pytest.mark.usefixtures("on_server")
async def test_what_a_dead_process_left_running_is_said_to_have_crashed(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with get_client() as client:
        batch = await client.create_flow_run(_batch)
        parent = await client.create_task_run(Task(name="render", fn=lambda: None), batch.id, "0")
        left = await client.create_flow_run(_batch, state=Running(), parent_task_run_id=parent.id)
        monkeypatch.setenv("PREFECT__FLOW_RUN_ID", str(batch.id))
        monkeypatch.setenv("PREFECT__RUNTIME__FLOW_RUN__RUN_COUNT", "2")
        parameters = {"storyboard": "nowhere.yaml", "output": str(home.folder / "a.mp4"), "provider": "emulator"}

        ended = await Here(1).render("a", "film", parameters)

        assert (ended.exit_code, ended.run_id is None) == (2, False)
        assert (await client.read_flow_run(left.id)).state_type is StateType.CRASHED
        (run,) = [run for run in await client.read_flow_runs(limit=200) if str(run.id) == ended.run_id]
        assert (run.name, run.state_type, run.parent_task_run_id is None) == ("a", StateType.FAILED, False)


def test_braces_are_nothing_that_prefect_fills_in() -> None:
    assert plain_name("a{b}") == "a(b)"


@pytest.mark.parametrize(
    ("kind", "message", "code", "error"),
    [
        (StateType.COMPLETED, None, 0, None),
        (StateType.FAILED, "Flow run encountered an exception: OverBudget: this needs $2", 3, "OverBudget"),
        (StateType.FAILED, "Flow run encountered an exception: Incomplete: 1 of 2\n    Again.", 5, "Incomplete"),
        (StateType.FAILED, "Flow run encountered an exception: KeyError: 'a'", 1, "KeyError"),
        (StateType.FAILED, "Flow run encountered an exception: Problem: no error of ours", 1, "Problem"),
        (StateType.FAILED, "Something else", 1, "Failed"),
        (StateType.CRASHED, "exited with status code: -9", 1, "Crashed"),
        (StateType.CANCELLED, None, 5, "Cancelled"),
    ],
)
def test_what_the_state_of_a_run_tells(kind: StateType, message: str | None, code: int, error: str | None) -> None:
    ended = ended_of(FlowRun(flow_id=uuid4(), state=State(type=kind, message=message)))

    assert ended.exit_code == code
    assert (ended.error or {}).get("type") == error


@pytest.mark.parametrize(
    ("manifest", "code"),
    [
        (None, 5),
        ({"to_finish": None, "shots": [{"error": None}, {"error": {"type": "ContentRefused"}}]}, 5),
        ({"to_finish": None, "shots": [{"error": {"type": "NeedFailed"}}, {"error": {"type": "KeyRefused"}}]}, 6),
        ({"to_finish": {"exit_code": 4}, "shots": [{"error": {"type": "OverBudget"}}]}, 4),
    ],
)
def test_why_a_run_on_another_machine_is_incomplete_is_told_by_its_manifest(
    manifest: dict[str, Any] | None, code: int
) -> None:
    message = "Flow run encountered an exception: Incomplete: 1 of 2 shots"
    ended = ended_of(FlowRun(flow_id=uuid4(), state=State(type=StateType.FAILED, message=message)))
    assert exit_code_of(ended, manifest) == code
    assert exit_code_of(Ended("run", 0), manifest) == 0
