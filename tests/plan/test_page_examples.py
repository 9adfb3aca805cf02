"""The model page's own ten examples, written as storyboards: the same request, the published price, accepted and billed."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from tasks.emulator import EmulatorServer, EmulatorSettings
from tasks.plan.build import build_plan
from tasks.plan.model import PlannedShot
from tasks.storyboard.read import read_storyboard

EXAMPLES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "emulator" / "page_examples.json").read_text(encoding="utf-8")
)
by_name = pytest.mark.parametrize("example", EXAMPLES, ids=[example["name"] for example in EXAMPLES])


def as_storyboard(request: dict[str, Any]) -> str:
    """What a person would write to get this request."""
    shot: dict[str, Any] = {"id": "example", "prompt": request["positivePrompt"]}
    board: dict[str, Any] = {"model": request["model"], "shots": [shot]}
    if "duration" in request:
        shot["duration"] = request["duration"]
    if "width" in request:
        board["size"] = f"{request['width']}x{request['height']}"
    inputs = request.get("inputs", {})
    for frame in inputs.get("frameImages", []):
        shot[f"{frame['frame']}_frame"] = frame["image"]
    if "referenceImages" in inputs:
        shot["reference_images"] = inputs["referenceImages"]
    if "referenceVideos" in inputs:
        shot["reference_videos"] = inputs["referenceVideos"]
    if "video" in inputs:
        board["assets"] = {"source": {"source": inputs["video"], "source_duration": 6}}
        shot["video"] = "source"
    settings = request.get("providerSettings", {}).get("klingai", {})
    if "keepOriginalSound" in settings:
        shot["keep_original_sound"] = settings["keepOriginalSound"]
    return json.dumps(board)


def planned(example: dict[str, Any]) -> PlannedShot:
    board = read_storyboard("example.json", text=as_storyboard(example["request"]))
    (shot,) = build_plan(board, {}, "emulator").shots
    return shot


@pytest.fixture(scope="module")
def emulator() -> Iterator[EmulatorServer]:
    """Its clips have a frame a second, to be made quickly; what they cost does not depend on that."""
    with EmulatorServer(EmulatorSettings(latency_s=0, frames_per_second=1)) as server:
        yield server


def post(server: EmulatorServer, task: dict[str, Any]) -> dict[str, Any]:
    reply = httpx.post(server.base_url, json=[task], headers={"Authorization": "Bearer a-key"}, timeout=20)
    assert reply.status_code == 200, reply.text
    (item,) = reply.json()["data"]
    return dict(item)


def test_there_are_ten() -> None:
    assert len(EXAMPLES) == 10


@by_name
def test_the_planned_request_is_that_of_the_page(example: dict[str, Any]) -> None:
    request = {name: value for name, value in example["request"].items() if name != "taskUUID"}

    assert planned(example).request == {**request, "deliveryMethod": "async", "includeCost": True}


@by_name
def test_the_planned_price_is_the_published_one(example: dict[str, Any]) -> None:
    assert planned(example).cost_usd == Decimal(example["cost_usd"])


@by_name
def test_the_planned_request_is_accepted_and_billed_as_planned(
    emulator: EmulatorServer, example: dict[str, Any]
) -> None:
    shot, task_uuid = planned(example), str(uuid.uuid4())

    post(emulator, {**shot.request, "taskUUID": task_uuid})

    deadline = time.monotonic() + 30
    while (result := post(emulator, {"taskType": "getResponse", "taskUUID": task_uuid}))["status"] != "success":
        assert time.monotonic() < deadline, result
        time.sleep(0.02)
    assert Decimal(str(result["cost"])) == shot.price_usd
