"""The page of a run shows plan, graph, progress, shots, pictures, film and words, and can neither fail nor delay it."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from PIL import Image
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    LogFilter,
    LogFilterFlowRunId,
)
from prefect.client.schemas.objects import Artifact
from prefect.logging.handlers import APILogHandler
from prefect.runtime import flow_run
from prefect.settings import PREFECT_LOGGING_TO_API_ENABLED, PREFECT_SERVER_UI_ENABLED, temporary_settings

from flows.page import Rows, open_page, write_to
from flows.render import render
from tasks.emulator.server import EmulatorServer
from tasks.emulator.settings import EmulatorSettings
from tasks.errors import Incomplete
from tasks.plan.build import build_plan
from tasks.plan.model import Plan
from tasks.progress import Event, Stage, watch
from tasks.storyboard.read import read_storyboard
from tests.flows.conftest import Home

pytestmark = [pytest.mark.usefixtures("on_server"), pytest.mark.runs]

CHAIN = """
title: A heron | lands
defaults: {duration: 1}
shots:
  - {id: lake, prompt: A calm lake at dawn}
  - {id: ripples, prompt: The lake ripples, boundary: continue, duration: 5}
  - {id: island, prompt: "An island in the same lake, seen from above", takes: 2}
"""
SHORT = "shots: [{id: lake, prompt: A calm lake at dawn, duration: 1}]"


@pytest.fixture
def run_ids() -> Iterator[list[str]]:
    """The ids of the flow runs of a test, in the order in which they began to make something."""
    found: list[str] = []

    def note(_: Event) -> None:
        run_id = str(flow_run.get_id())
        if run_id not in found:
            found.append(run_id)

    watch(note)
    yield found
    watch(lambda _: None)


async def artifacts_of(run_id: str) -> dict[str, list[Artifact]]:
    """What a run has left, by key."""
    wanted = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[UUID(run_id)]))
    async with get_client() as client:
        found = await client.read_artifacts(artifact_filter=wanted)
    by_key: dict[str, list[Artifact]] = defaultdict(list)
    for item in found:
        by_key[item.key or ""].append(item)
    return by_key


def rows_of(artifact: Artifact) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(str(artifact.data))
    return rows


def pictures_in(markdown: str) -> list[Image.Image]:
    found = re.findall(r"!\[(?:first|last) frame\]\(data:image/jpeg;base64,([A-Za-z0-9+/=]+)\)", markdown)
    return [Image.open(io.BytesIO(base64.b64decode(item))) for item in found]


async def test_a_producer_sees_the_whole_run_on_its_page(home: Home, run_ids: list[str]) -> None:
    board = home.storyboard(CHAIN)
    film = home.folder / "film.mp4"
    with temporary_settings({PREFECT_LOGGING_TO_API_ENABLED: True}):
        outcome = await render(str(board), str(film), provider="emulator")
        await APILogHandler.aflush()
    left = await artifacts_of(run_ids[0])
    assert {key: len(items) for key, items in left.items()} == {
        "shotchain-plan": 1,
        "shotchain-graph": 1,
        "shotchain-progress": 1,
        "shotchain-shots": 1,
        "shotchain-bill": 1,
        "shotchain-film": 1,
        "shotchain-contact-sheet": 1,
    }
    one = {key: items[0] for key, items in left.items()}

    plan = rows_of(one["shotchain-plan"])
    assert [(row["shot"], row["waits for"], row["takes"], row["price"]) for row in plan] == [
        ("lake", "–", 1, "$0.42"),
        ("ripples", "lake", 1, "$0.42"),
        ("island", "–", 2, "$0.84"),
    ]
    assert one["shotchain-plan"].description == "**A heron \\| lands**: 3 shots, 170 frames, 7.083 s, at most $1.68"
    assert str(one["shotchain-graph"].data).startswith("```mermaid\nflowchart LR\n")

    progress = one["shotchain-progress"]
    assert (progress.type, progress.data) == ("progress", 100.0)
    assert progress.description == "**A heron \\| lands**: 3 of 3 shots done; published"

    shots = rows_of(one["shotchain-shots"])
    assert [(row["shot"], row["became"], row["take"], row["paid"]) for row in shots] == [
        ("lake", "generated", "1 of 1", "$0.42"),
        ("ripples", "generated", "1 of 1", "$0.42"),
        ("island", "generated", "1 of 2", "$0.84"),
    ]
    assert len(rows_of(one["shotchain-bill"])) == 4

    # A browser opens nothing on the server's disk, so the path is said.
    said = str(one["shotchain-film"].data)
    assert (one["shotchain-film"].type, f"`{film}`" in said) == ("markdown", True)
    assert f"{outcome['duration_s']} s, {outcome['frames']} frames, " in said

    sheet = str(one["shotchain-contact-sheet"].data)
    pictures = pictures_in(sheet)
    assert [picture.width for picture in pictures] == [160] * 6
    # The placeholder of each shot has a look of its own, and a number that runs.
    assert len({picture.tobytes() for picture in pictures}) == 6
    assert len(sheet) < 60_000

    lines = await log_of(run_ids[0])
    for line in (
        "lake: generating",
        "lake: stored, $0.42",
        "ripples: conformed",
        "island · take 2: stored, $0.42",
        "film: joining the shots",
        f"film: published to {film}, {outcome['frames']} frames, $1.68",
    ):
        assert line in lines
    assert "base64" not in "\n".join(lines)

    # Media go from task to task as paths; what Prefect is given back is small and plain.
    assert len(json.dumps(outcome)) < 64_000

    # Once more: nothing is paid, and the page says so.
    await render(str(board), str(film), provider="emulator")
    again = await artifacts_of(run_ids[1])
    assert {row["became"] for row in rows_of(again["shotchain-shots"][0])} == {"reused"}
    assert [row["price"] for row in rows_of(again["shotchain-plan"][0])] == ["reused", "reused", "2 reused"]


async def log_of(run_id: str) -> list[str]:
    """The lines of a run's log; the server has them a moment later."""
    async with get_client() as client:
        for _ in range(50):
            found = await client.read_logs(
                log_filter=LogFilter(flow_run_id=LogFilterFlowRunId(any_=[UUID(run_id)])), limit=200
            )
            lines = [line.message for line in found]
            if any(line.startswith("film: published") for line in lines):
                break
            await asyncio.sleep(0.2)
    return lines


async def test_a_run_that_fails_says_of_each_shot_what_became_of_it(
    home: Home, monkeypatch: pytest.MonkeyPatch, run_ids: list[str]
) -> None:
    monkeypatch.setenv("RUNWARE_API_KEY", "key-of-the-tests")
    board = home.storyboard(
        """
        title: One fails
        shots:
          - {id: good, prompt: A calm lake at dawn, duration: 1}
          - {id: bad, prompt: Refuse me}
          - {id: after, prompt: The lake goes on, boundary: continue}
        """
    )
    rule = {"fault": "refuse", "prompt": "Refuse me", "code": "contentPolicyViolation", "message": "not this"}
    faulty = EmulatorServer(EmulatorSettings(instant=True, faults={"rules": [rule]}))
    with faulty as server, pytest.raises(Incomplete):
        await render(str(board), str(home.folder / "film.mp4"), base_url=server.base_url, budget_usd="5")
    left = await artifacts_of(run_ids[0])
    (budget,) = rows_of(left["shotchain-budgets"][0])
    assert (budget["budget"], budget["limit"], budget["spent"]) == ("this run", "$5.00", "$0.42")
    good, bad, after = rows_of(left["shotchain-shots"][0])
    assert (good["became"], good["paid"], good["what to change"]) == ("generated", "$0.42", "–")
    assert (bad["became"], bad["paid"]) == ("failed", "$0.00")
    assert "not this" in bad["what to change"]
    assert after["became"] == "skipped"
    assert left["shotchain-progress"][0].description == ("**One fails**: 1 of 3 shots done, 2 failed or not begun")
    assert len(pictures_in(str(left["shotchain-contact-sheet"][0].data))) == 2
    assert "shotchain-film" not in left
    assert "key-of-the-tests" not in str(left)


@dataclass
class _Refusing:
    """A server that takes no artifact, and takes its time to say so."""

    asked: list[str] = field(default_factory=list)

    async def _refuse(self, key: str) -> None:
        self.asked.append(key)
        await asyncio.sleep(0.01)
        raise ConnectionError("no room for artifacts; Authorization: Bearer abc123456789")

    async def table(self, key: str, description: str, rows: Rows) -> None:
        await self._refuse(key)

    async def markdown(self, key: str, description: str, markdown: str) -> None:
        await self._refuse(key)

    async def link(self, key: str, description: str, url: str, text: str) -> None:
        await self._refuse(key)

    async def progress(self, key: str, description: str, percent: float) -> None:
        await self._refuse(key)


async def test_a_server_that_takes_no_artifact_is_noted_once_and_the_film_is_made(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    refusing = _Refusing()
    board = home.storyboard(SHORT)
    with write_to(refusing), caplog.at_level("WARNING"):
        outcome = await render(str(board), str(home.folder / "film.mp4"), provider="emulator")
    assert outcome["frames"] == 25
    assert set(refusing.asked) >= {"shotchain-plan", "shotchain-shots", "shotchain-contact-sheet"}
    notes = [record.getMessage() for record in caplog.records if "not complete" in record.getMessage()]
    assert len(notes) == 2  # before the run, and in it
    assert "no room for artifacts" in notes[0]
    assert "abc123456789" not in str(notes)


async def test_where_nobody_can_look_nothing_is_written(home: Home, run_ids: list[str]) -> None:
    board = home.storyboard(SHORT)
    with temporary_settings({PREFECT_SERVER_UI_ENABLED: False}):
        await render(str(board), str(home.folder / "film.mp4"), provider="emulator")
    assert await artifacts_of(run_ids[0]) == {}


def plan_for(home: Home) -> Plan:
    return build_plan(read_storyboard(str(home.storyboard(CHAIN))), {}, "emulator")


async def test_outside_a_flow_run_a_page_only_passes_on_what_it_is_told(home: Home) -> None:
    told: list[Event] = []
    async with open_page(plan_for(home), told.append) as page:
        page.observe(Event(Stage.GENERATING, "lake"))
    assert told == [Event(Stage.GENERATING, "lake")]


@dataclass
class _Slow(_Refusing):
    """A server that never answers."""

    async def _refuse(self, key: str) -> None:
        self.asked.append(key)
        await asyncio.sleep(3600)


async def test_a_run_that_is_stopped_waits_a_second_for_its_page_at_most(home: Home) -> None:
    opened = asyncio.Event()

    async def run() -> None:
        async with open_page(plan_for(home), lambda _: None):
            opened.set()
            await asyncio.sleep(3600)

    with write_to(_Slow()):
        running = asyncio.create_task(run())
        await opened.wait()
        running.cancel()
        async with asyncio.timeout(3):
            with pytest.raises(asyncio.CancelledError):
                await running


@dataclass
class _Counting(_Refusing):
    """A server that takes everything."""

    async def _refuse(self, key: str) -> None:
        self.asked.append(key)


async def test_progress_is_told_once_a_second_at_most(home: Home) -> None:
    counting = _Counting()
    with write_to(counting):
        async with open_page(plan_for(home), lambda _: None) as page:
            for _ in range(50):
                for stage in (Stage.JOINING, Stage.PUBLISHING):
                    page.observe(Event(stage))
                    await asyncio.sleep(0.005)
    # At the start, within the half second perhaps once, at the end.
    assert counting.asked.count("shotchain-progress") <= 3
