"""A storyboard becomes a published film, on a real Prefect server and a real emulator."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any, Self

import av
import httpx
import pytest

from flows.render import render
from tasks.emulator.server import EmulatorServer
from tasks.emulator.settings import EmulatorSettings
from tasks.errors import ApprovalNeeded, BadInput, Incomplete, OverBudget, StoryboardError, UnpinnedInput
from tasks.ledger import open_ledger
from tasks.progress import Event, Stage, watch
from tests.flows.conftest import Home

pytestmark = [pytest.mark.usefixtures("on_server"), pytest.mark.runs]

CHAIN = """
title: A heron lands
defaults: {duration: 5}
shots:
  - {id: lake, prompt: A calm lake at dawn, duration: 2}
  - {id: ripples, prompt: The lake ripples, boundary: continue}
  - {id: island, prompt: "An island in the same lake, seen from above", duration: 2}
"""

TYPED = "shots:\n  - {id: a, prompt: A calm lake, duration: 1}"


def books(server: EmulatorServer) -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(f"{server.origin}/_emulator/books").json()
    return found


def manifest_at(path: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    return told


def decoded_frames(film: Path) -> int:
    with av.open(str(film)) as container:
        return sum(1 for _ in container.decode(video=0))


@pytest.fixture
def runware(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("RUNWARE_API_KEY", "key-of-the-tests")
    with EmulatorServer(EmulatorSettings(latency_s=0.0)) as server:
        yield server


@pytest.mark.quick
async def test_a_film_holds_exactly_the_planned_frames_and_its_manifest_tells_all(
    home: Home, runware: EmulatorServer
) -> None:
    board = home.storyboard(CHAIN)
    film = home.folder / "films" / "heron.mp4"
    outcome = await render(str(board), str(film), base_url=runware.base_url, budget_usd="1.26")
    assert (outcome["reserved_usd"], outcome["unknown_usd"]) == ("0.00", "0.00")

    # 2 s are frames 0…48; the chained shot's first frame is the one before's last and is shown once.
    assert outcome["frames"] == 49 + 120 + 49 == decoded_frames(film)
    assert {key: outcome[key] for key in ("shots", "generated", "reused", "failed", "cost_usd")} == {
        "shots": 3,
        "generated": 3,
        "reused": 0,
        "failed": 0,
        "cost_usd": "1.26",
    }
    manifest = json.loads((home.folder / "films" / "heron.manifest.json").read_text())
    assert manifest["film"]["sha256"] == hashlib.sha256(film.read_bytes()).hexdigest()
    assert manifest["cost_usd"] == "1.26" == books(runware)["total_usd"]
    assert [shot["film"]["frames"] for shot in manifest["shots"]] == [49, 120, 49]
    told = {take["taskUUID"] for shot in manifest["shots"] for take in shot["takes"]}
    assert told == {task["taskUUID"] for task in books(runware)["tasks"]}
    assert "key-of-the-tests" not in json.dumps(manifest)

    # Again, unchanged: nothing is sent, nothing is paid, the film is the same.
    before = books(runware)["counts"]
    again = await render(str(board), str(home.folder / "again.mp4"), base_url=runware.base_url, budget_usd="0")
    assert (again["generated"], again["reused"], again["cost_usd"]) == (0, 3, "0.00")
    assert books(runware)["counts"] == before
    assert (home.folder / "again.mp4").read_bytes() == film.read_bytes()

    # One shot edited: it and what continues from it, nothing else.
    board.write_text(CHAIN.replace("A calm lake at dawn", "A calm lake at noon"))
    edited = await render(str(board), str(film), base_url=runware.base_url)
    assert (edited["generated"], edited["reused"], edited["cost_usd"]) == (2, 1, "0.84")


async def test_the_graph_of_the_run_has_an_edge_for_each_frame_that_is_handed_on(home: Home) -> None:
    from prefect import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName

    board = home.storyboard(CHAIN)
    named = render.with_options(flow_run_name="graph under test")
    await named(str(board), str(home.folder / "film.mp4"), provider="emulator")
    async with get_client() as client:
        runs = await client.read_flow_runs(
            flow_run_filter=FlowRunFilter(name=FlowRunFilterName(any_=["graph under test"]))
        )
        wanted = {
            "plan": set(),
            "reserve": {"plan"},
            "lake · take 1": {"reserve"},
            "ripples · take 1": {"reserve", "lake · take 1"},
            "island · take 1": {"reserve"},
            "lake · conform": {"lake · take 1"},
            "ripples · conform": {"ripples · take 1"},
            "island · conform": {"island · take 1"},
            "join": {"lake · conform", "ripples · conform", "island · conform"},
            "provenance": {"join"},
            "publish": {"provenance"},
        }
        edges: dict[str, set[str]] = {}
        for _ in range(200):  # the server learns of task runs by events, a moment later
            answer = await client._client.get(f"/flow_runs/{runs[0].id}/graph-v2")
            nodes = answer.json()["nodes"]
            labels = {node[0]: node[1]["label"] for node in nodes}
            edges = {node[1]["label"]: {labels[parent["id"]] for parent in node[1]["parents"]} for node in nodes}
            wanted["plan"] = {label for label in edges if label == "read the storyboard"}
            if all(edges.get(label) == parents for label, parents in wanted.items()):
                break
            await asyncio.sleep(0.2)
        assert {label: edges.get(label) for label in wanted} == wanted
        artifacts = Counter(item.key for item in await client.read_artifacts())
    assert artifacts["shotchain-plan"]
    assert artifacts["shotchain-bill"]


async def test_a_storyboard_may_be_typed_into_the_form_and_names_its_run(home: Home) -> None:
    from prefect import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName

    told = await render("title: Typed in\n" + TYPED, str(home.folder / "film.mp4"), provider="emulator")
    assert (told["frames"], told["cost_usd"]) == (25, "0.42")
    with pytest.raises(StoryboardError, match="typed in has no folder"):
        await render(f"{TYPED}\n  - {{id: b, prompt: A hill, first_frame: a/b.png}}", "film.mp4", provider="emulator")
    async with get_client() as client:
        named = FlowRunFilter(name=FlowRunFilterName(any_=["Typed in"]))
        assert len(await client.read_flow_runs(flow_run_filter=named)) == 1


@pytest.mark.quick
async def test_a_budget_without_room_refuses_before_anything_is_sent(home: Home, runware: EmulatorServer) -> None:
    board = home.storyboard(CHAIN)
    with pytest.raises(OverBudget):
        await render(str(board), str(home.folder / "film.mp4"), base_url=runware.base_url, budget_usd="1.25")
    assert books(runware)["counts"]["posts"] == 0
    assert not (home.folder / "film.mp4").exists()


async def test_more_than_may_be_spent_without_asking_is_not_spent(home: Home, runware: EmulatorServer) -> None:
    board = home.storyboard(CHAIN)
    with pytest.raises(ApprovalNeeded):
        await render(str(board), str(home.folder / "film.mp4"), base_url=runware.base_url, approve_above_usd="1")
    assert books(runware)["counts"]["posts"] == 0


@pytest.mark.quick
async def test_an_input_that_cannot_be_read_is_not_paid_for(home: Home, runware: EmulatorServer) -> None:
    board = home.storyboard("shots: [{id: a, prompt: A lake, first_frame: 'http://127.0.0.1:9/nothing.png'}]")
    with pytest.raises(UnpinnedInput):
        await render(str(board), str(home.folder / "film.mp4"), base_url=runware.base_url)
    assert books(runware)["counts"]["posts"] == 0


async def test_a_shot_that_fails_stops_only_those_that_need_it(home: Home, runware: EmulatorServer) -> None:
    board = home.storyboard(
        """
        title: One fails
        shots:
          - {id: good, prompt: A calm lake at dawn}
          - {id: bad, prompt: Refuse me}
          - {id: after, prompt: The lake goes on, boundary: continue}
        """
    )
    refusing = Refusing(runware.base_url, "Refuse me")
    with refusing, pytest.raises(Incomplete) as caught:
        await render(str(board), str(home.folder / "film.mp4"), base_url=refusing.base_url)
    assert {failure.shot for failure in caught.value.failures} == {"bad", "after"}
    summary = caught.value.summary
    assert (summary["generated"], summary["failed"], summary["output"]) == (1, 2, None)
    assert "1 of 3 shots are made and kept; the film is not" in str(caught.value)
    assert not (home.folder / "film.mp4").exists()
    assert books(runware)["total_usd"] == "0.42"

    manifest = manifest_at(summary["manifest"])
    assert manifest["complete"] is False
    assert manifest["film"] is None
    good, bad, after = manifest["shots"]
    assert (good["error"], good["takes"][0]["made"], good["takes"][0]["paid_usd"]) == (None, True, "0.42")
    assert (bad["error"]["type"], bad["error"]["parameter"]) == ("ContentRefused", "positivePrompt")
    assert [attempt["state"] for attempt in bad["takes"][0]["attempts"]] == ["refused"]
    assert (after["error"]["type"], after["takes"][0]["made"]) == ("NeedFailed", False)


async def test_a_bug_ends_the_run_and_lets_nobody_wait_for_ever(home: Home, runware: EmulatorServer) -> None:
    def broken(event: Event) -> None:
        if event.shot == "lake" and event.stage is Stage.DOWNLOADING:
            raise RuntimeError("a bug in whoever watches")

    board = home.storyboard(CHAIN)
    watch(broken)
    with pytest.raises(RuntimeError, match="a bug in whoever watches"):
        async with asyncio.timeout(40):
            await render(str(board), str(home.folder / "film.mp4"), base_url=runware.base_url)
    watch(lambda _: None)

    # What was paid before it is kept.
    outcome = await render(str(board), str(home.folder / "film.mp4"), base_url=runware.base_url)
    assert (outcome["frames"], books(runware)["total_usd"]) == (218, "1.26")


async def test_a_film_with_slates_has_every_frame_that_was_planned(home: Home, runware: EmulatorServer) -> None:
    board = home.storyboard(
        """
        title: One is missing
        shots:
          - {id: good, prompt: A calm lake at dawn, duration: 2}
          - {id: bad, prompt: Refuse me}
          - {id: after, prompt: It goes on, boundary: continue}
          - {id: last, prompt: Another lake, duration: 2}
        """
    )
    film = home.folder / "film.mp4"
    with Refusing(runware.base_url, "Refuse me") as refusing, pytest.raises(Incomplete) as caught:
        await render(str(board), str(film), base_url=refusing.base_url, placeholder=True)
    summary = caught.value.summary
    assert "2 of 4 shots are made and kept; the film shows slates in place of the others" in str(caught.value)
    assert summary["frames"] == decoded_frames(film) == 49 + 121 + 120 + 49
    manifest = manifest_at(summary["manifest"])
    assert (manifest["complete"], manifest["film"]["sha256"]) == (False, hashlib.sha256(film.read_bytes()).hexdigest())
    assert [shot["film"] for shot in manifest["shots"][1:3]] == [
        {"slate": True, "begin_frame": 49, "frames": 121},
        {"slate": True, "begin_frame": 170, "frames": 120},
    ]


async def test_where_the_film_cannot_be_written_its_manifest_still_tells_what_there_is(
    home: Home, runware: EmulatorServer
) -> None:
    film = home.folder / "film.mp4"

    def in_the_way(event: Event) -> None:
        if event.stage is Stage.JOINING:
            film.mkdir()

    board = home.storyboard("shots: [{id: good, prompt: A calm lake, duration: 1}, {id: bad, prompt: Refuse me}]")
    watch(in_the_way)
    with Refusing(runware.base_url, "Refuse me") as refusing, pytest.raises(Incomplete) as caught:
        await render(str(board), str(film), base_url=refusing.base_url, placeholder=True)
    watch(lambda _: None)
    manifest = manifest_at(caught.value.summary["manifest"])
    assert (manifest["complete"], manifest["film"]) == (False, None)
    assert [shot["takes"][0]["made"] for shot in manifest["shots"]] == [True, False]


async def test_no_shots_are_no_order(home: Home, runware: EmulatorServer) -> None:
    board = home.storyboard(CHAIN)
    with pytest.raises(BadInput, match="no shot is named"):
        await render(str(board), str(home.folder / "film.mp4"), base_url=runware.base_url, only=[])
    assert books(runware)["tasks"] == []


async def test_two_films_of_one_name_in_two_folders_are_remembered_each(
    home: Home, runware: EmulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two"):
        folder = home.folder / name
        folder.mkdir()
        board = f"title: Teaser\nshots: [{{id: a, prompt: A calm lake {name}, duration: 1}}]"
        (folder / "film.yaml").write_text(board, encoding="utf-8")
        monkeypatch.chdir(folder)
        await render("film.yaml", "film.mp4", base_url=runware.base_url)
    with open_ledger(home.environment["SHOTCHAIN_LEDGER"]) as ledger:
        remembered = [item.file for item in ledger.remembered_plans()]
    assert remembered == [str(home.folder / name / "film.yaml") for name in ("one", "two")]


class Refusing:
    """A provider in front of the emulator that refuses one prompt, as its moderation would."""

    def __init__(self, base_url: str, prompt: str) -> None:
        from starlette.applications import Starlette
        from starlette.requests import Request
        from starlette.responses import JSONResponse, Response
        from starlette.routing import Route

        async def answer(request: Request) -> Response:
            tasks = await request.json()
            for task in tasks:
                if task.get("positivePrompt") == prompt:
                    error = {
                        "code": "contentPolicyViolation",
                        "message": "refused",
                        "parameter": "positivePrompt",
                        "taskUUID": task["taskUUID"],
                    }
                    return JSONResponse({"errors": [error]}, status_code=400)
            async with httpx.AsyncClient() as client:
                passed = await client.post(
                    base_url, json=tasks, headers={"Authorization": request.headers["authorization"]}
                )
            return Response(passed.content, passed.status_code, media_type="application/json")

        self._app = Starlette(routes=[Route("/v1", answer, methods=["POST"])])

    def __enter__(self) -> Self:
        import socket
        import threading
        import time

        import uvicorn

        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        config = uvicorn.Config(self._app, host="127.0.0.1", port=port, log_level="error", lifespan="off", ws="none")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        self.base_url = f"http://127.0.0.1:{port}/v1"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(5)


async def test_takes_are_made_each_and_the_selected_one_is_shown(home: Home) -> None:
    board = home.storyboard("shots: [{id: a, prompt: A calm lake, duration: 1, takes: 2, select: 2}]")
    outcome = await render(str(board), str(home.folder / "out"), provider="emulator")
    manifest = json.loads((home.folder / "out" / "manifest.json").read_text())
    takes = manifest["shots"][0]["takes"]
    assert outcome["generated"] == 2
    assert takes[0]["sha256"] != takes[1]["sha256"]
    assert (home.folder / "out" / "film.mp4").is_file()

    # The other one is there already.
    board.write_text(board.read_text().replace("select: 2", "select: 1"))
    again = await render(str(board), str(home.folder / "out"), provider="emulator")
    assert (again["generated"], again["cost_usd"]) == (0, "0.00")


async def test_the_bill_counts_a_failed_attempt_that_was_charged(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNWARE_API_KEY", "key")
    rule = {"nth": 1, "fault": "fail", "code": "providerInternalError", "charged": True, "times": 1}
    with EmulatorServer(EmulatorSettings(instant=True, faults={"rules": [rule]})) as server:
        board = home.storyboard("shots: [{id: a, prompt: A calm lake, duration: 1}]")
        outcome = await render(str(board), str(home.folder / "out"), base_url=server.base_url)
        total = (await _books(server))["total_usd"]
    manifest = json.loads((home.folder / "out" / "manifest.json").read_text())
    spent = [outcome[key] for key in ("cost_usd", "unknown_usd")]
    assert total == "0.84"
    # The provider named no cost with the failure, so its price stays in doubt; it is not forgotten.
    assert spent in (["0.84", "0.00"], ["0.42", "0.42"])
    assert [manifest["cost_usd"], manifest["unknown_usd"]] == spent


async def test_a_take_that_is_refused_leaves_its_paid_sibling_to_finish(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNWARE_API_KEY", "key")
    rule = {"nth": 1, "fault": "fail", "after_s": 0.2, "code": "contentPolicyViolation", "charged": False}
    with EmulatorServer(EmulatorSettings(instant=True, latency_s=1.5, faults={"rules": [rule]})) as server:
        board = home.storyboard("shots: [{id: a, prompt: A calm lake, duration: 1, takes: 2}]")
        with pytest.raises(Incomplete) as caught:
            await render(str(board), str(home.folder / "out"), base_url=server.base_url)
        assert (await _books(server))["total_usd"] == "0.42"
    assert (caught.value.summary["generated"], caught.value.summary["cost_usd"]) == (1, "0.42")


async def _books(server: EmulatorServer) -> dict[str, Any]:
    async with httpx.AsyncClient() as client:
        found: dict[str, Any] = (await client.get(f"{server.origin}/_emulator/books")).json()
    return found
