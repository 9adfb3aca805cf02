"""Renders of a batch on workers: found again when it is started again, and never waited for in vain."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from uuid import UUID

import pytest
from prefect import Task, flow
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Paused

from flows.batches.runs import Ended
from flows.batches.workers import Workers
from tasks.errors import PrefectUnreachable, SettingsError, Unreachable

pytestmark = pytest.mark.runs

BOARD = {"storyboard": "a.yaml"}


@flow(name="batch-of-tests")
def _batch() -> None:
    """Stands for a batch that is started again and again."""


class Studio:
    """A server that has a deployment, and one batch; each call of `start` is the batch's next start."""

    deployment = "render-of-tests/of-tests"

    def __init__(self, client: PrefectClient, batch: UUID, monkeypatch: pytest.MonkeyPatch) -> None:
        self.client = client
        self.batch = batch
        self._environment = monkeypatch
        self._starts = 0
        self._asked: list[asyncio.Task[Ended]] = []
        self._lost: list[asyncio.Task[Ended]] = []

    def start(self, *, patience_s: float = 60.0, give_up_s: float = 60.0) -> Workers:
        self._starts += 1
        self._environment.setenv("PREFECT__RUNTIME__FLOW_RUN__RUN_COUNT", str(self._starts))
        return Workers(self.deployment, poll_s=0.05, patience_s=patience_s, give_up_s=give_up_s)

    async def ask(self, workers: Workers, name: str, film: str = "film") -> tuple[asyncio.Task[Ended], FlowRun]:
        """Ask for a render, and give the run that is begun for it."""
        before = {run.id for run in await self.runs()}
        task = asyncio.create_task(workers.render(name, film, {"storyboard": f"{name}.yaml"}))
        self._asked.append(task)
        new: list[FlowRun] = []
        for _ in range(100):
            await asyncio.sleep(0.05)
            new = [run for run in await self.runs() if run.id not in before]
            if new:
                break
        return task, new[0]

    async def runs(self) -> list[FlowRun]:
        deployment = await self.client.read_deployment_by_name(self.deployment)
        return [run for run in await self.client.read_flow_runs(limit=200) if run.deployment_id == deployment.id]

    async def put(self, run: FlowRun, kind: StateType, message: str | None = None) -> None:
        await self.client.set_flow_run_state(run.id, State(type=kind, message=message), force=True)

    def leave(self, task: asyncio.Task[Ended]) -> None:
        """The process of the batch dies: nothing is cancelled."""
        # It is kept from ending, and from cancelling anything, until the test is over.
        self._asked.remove(task)
        self._lost.append(task)

    async def close(self) -> None:
        for task in (*self._asked, *self._lost):
            task.cancel()
        await asyncio.gather(*self._asked, *self._lost, return_exceptions=True)


@pytest.fixture
async def studio(on_server: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Studio]:
    async with get_client() as client:
        flow_id = await client.create_flow_from_name("render-of-tests")
        deployment = await client.create_deployment(flow_id=flow_id, name="of-tests")
        batch = await client.create_flow_run(_batch)
        monkeypatch.setenv("PREFECT__FLOW_RUN_ID", str(batch.id))
        studio = Studio(client, batch.id, monkeypatch)
        yield studio
        await studio.close()
        await client.delete_deployment(deployment)


async def test_a_run_that_is_over_is_no_answer(studio: Studio) -> None:
    first, run = await studio.ask(studio.start(), "a")
    await studio.put(run, StateType.COMPLETED)
    assert (await first).run_id == str(run.id)

    # The film is not there, or the storyboard says another, or it is forced: else nobody would ask again.
    second, anew = await studio.ask(studio.start(), "a")

    assert anew.id != run.id
    await studio.put(anew, StateType.FAILED, "Flow run encountered an exception: OverBudget: no")
    assert (await second).exit_code == 3


@pytest.mark.quick
async def test_one_that_is_under_way_is_found_by_any_later_start(studio: Studio) -> None:
    failed, run = await studio.ask(studio.start(), "a")
    await studio.put(run, StateType.FAILED)
    await failed
    second, alive = await studio.ask(studio.start(), "a")
    studio.leave(second)

    # Two starts later, though the one before this began no run.
    again = [asyncio.create_task(studio.start().render("a", "film", {"storyboard": "a.yaml"})) for _ in range(2)]
    await asyncio.sleep(1)
    await studio.put(alive, StateType.COMPLETED)

    assert [(await each).run_id for each in again] == [str(alive.id)] * 2
    assert len([run for run in await studio.runs() if run.name == "a"]) == 2


async def test_names_that_look_like_keys_are_names(studio: Studio) -> None:
    first, two = await studio.ask(studio.start(), "b:2")
    studio.leave(first)

    _, one = await studio.ask(studio.start(), "b")

    assert one.id != two.id
    assert one.parameters == {"storyboard": "b.yaml"}


async def test_a_run_for_what_the_storyboard_said_before_is_stopped(studio: Studio) -> None:
    studio.start()
    parent = await studio.client.create_task_run(Task(name="render", fn=lambda: None), studio.batch, "0")
    deployment = await studio.client.read_deployment_by_name(studio.deployment)
    old = await studio.client.create_flow_run_from_deployment(
        deployment.id, parameters=BOARD, name="a", idempotency_key="of another film", parent_task_run_id=parent.id
    )

    _, anew = await studio.ask(studio.start(), "a")

    assert anew.id != old.id
    state = (await studio.client.read_flow_run(old.id)).state
    assert state is not None
    assert state.is_cancelled()


async def test_one_that_crashed_is_given_time_to_be_started_again(studio: Studio) -> None:
    workers = studio.start(patience_s=1.0)
    again, back = await studio.ask(workers, "again")
    gone, lost = await studio.ask(workers, "gone")
    for run in (back, lost):
        await studio.put(run, StateType.CRASHED)
    await asyncio.sleep(0.4)
    assert not again.done()
    await studio.put(back, StateType.RUNNING)
    await asyncio.sleep(0.4)
    await studio.put(back, StateType.COMPLETED)

    ends = await asyncio.gather(again, gone)

    assert [(end.run_id, end.exit_code) for end in ends] == [(str(back.id), 0), (str(lost.id), 1)]


async def test_a_batch_that_comes_back_waits_for_a_crashed_render_and_then_begins_it_anew(studio: Studio) -> None:
    first, run = await studio.ask(studio.start(), "a")
    studio.leave(first)
    await studio.put(run, StateType.CRASHED)

    workers = studio.start(patience_s=1.5)
    asked = asyncio.create_task(workers.render("a", "film", {"storyboard": "a.yaml"}))
    await asyncio.sleep(0.7)
    assert [each.id for each in await studio.runs() if each.name == "a"] == [run.id]
    for _ in range(40):
        await asyncio.sleep(0.1)
        if new := [each for each in await studio.runs() if each.name == "a" and each.id != run.id]:
            break
    await studio.put(new[0], StateType.COMPLETED)

    assert (await asked).run_id == str(new[0].id)


async def test_a_run_that_somebody_deletes_is_told_of(studio: Studio) -> None:
    task, run = await studio.ask(studio.start(), "a")
    await studio.client.delete_flow_run(run.id)

    ended = await asyncio.wait_for(task, 5)

    assert (ended.run_id, ended.exit_code) == (str(run.id), 1)
    assert (ended.error or {})["type"] == "Deleted"


async def test_a_batch_whose_renders_nobody_begins_gives_its_place_back(studio: Studio) -> None:
    workers = studio.start(give_up_s=0.5)
    tasks = [await studio.ask(workers, name) for name in ("a", "b")]

    for task, run in tasks:
        with pytest.raises(Unreachable, match="no worker has begun a render") as caught:
            await asyncio.wait_for(task, 5)
        assert caught.value.exit_code == 6
        state = (await studio.client.read_flow_run(run.id)).state
        assert state is not None
        assert state.is_cancelled()


async def test_it_waits_as_long_as_one_of_them_runs_or_asks_or_another_batch_has_one(studio: Studio) -> None:
    other, busy = await studio.ask(studio.start(), "other")
    await studio.put(busy, StateType.RUNNING)
    studio.leave(other)
    workers = studio.start(give_up_s=0.4)
    waits, _ = await studio.ask(workers, "waits")
    await asyncio.sleep(1.0)
    assert not waits.done()

    _, asks = await studio.ask(workers, "asks")
    # First it asks, then the other is done: the other way round there is a moment in which nothing is under way.
    await studio.client.set_flow_run_state(asks.id, Paused(timeout_seconds=60), force=True)
    await studio.put(busy, StateType.COMPLETED)
    await asyncio.sleep(1.0)
    assert not waits.done()

    await studio.put(asks, StateType.COMPLETED)
    with pytest.raises(Unreachable):
        await asyncio.wait_for(waits, 5)


async def test_a_deployment_that_is_none_is_bad_input(studio: Studio) -> None:
    assert await studio.start().is_there()
    assert not await Workers("render/nothing").is_there()
    for name in ("render", "/render", "a/b/c", ""):
        with pytest.raises(SettingsError, match="names no deployment"):
            await Workers(name).is_there()
    with pytest.raises(SettingsError, match="takes no such run"):
        await Workers("render/nothing").render("a", "film", {})


# -- a server that is away for a while -------------------------------------------------------------------------------


@contextmanager
def ailing(failures: int) -> Iterator[str]:
    """The address of a server that answers so often with an error of its own, and then that it has no such thing."""
    left = [failures]

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            left[0] -= 1
            self.send_response(500 if left[0] >= 0 else 404)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/api"
        server.shutdown()
        thread.join()


async def test_an_error_of_the_server_is_waited_out() -> None:
    with ailing(2) as address, temporary_settings({PREFECT_API_URL: address}):
        assert not await Workers("render/render", poll_s=0.01).is_there()


async def test_one_that_lasts_is_no_bug_of_ours() -> None:
    with (
        ailing(10_000) as address,
        temporary_settings({PREFECT_API_URL: address}),
        pytest.raises(PrefectUnreachable),
    ):
        await Workers("render/render", poll_s=0.01, silent_s=0.2).is_there()
