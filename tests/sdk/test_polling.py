"""What waiting for fifty clips costs: our poller beside Runware's own client, at the same time, in the same minute."""

from __future__ import annotations

import asyncio
import json
import sys
import time
import uuid
from dataclasses import dataclass
from typing import Any

import pytest

from tasks.emulator import EmulatorServer, EmulatorSettings
from tasks.runware.client import RunwareClient
from tasks.runware.messages import VideoResult
from tasks.runware.poller import Poller
from tests.sdk.conftest import books, sdk_command

CLIPS = 50
TEXT = {
    "taskType": "videoInference",
    "deliveryMethod": "async",
    "model": "klingai:kling@o1-standard",
    "positivePrompt": "A tram climbs through autumn trees",
    "width": 1280,
    "height": 720,
    "duration": 5,
    "includeCost": True,
}


@dataclass(frozen=True)
class Waiting:
    """Requests that only asked, and the mean time between the end of a clip and the client's knowing of it."""

    polls: int
    delay_s: float

    def __str__(self) -> str:
        return f"{self.polls} polling requests, learnt {self.delay_s:.2f} s after the end on average"


def waiting(kept: dict[str, Any], learnt_at: dict[str, float]) -> Waiting:
    """By the emulator's books and the client's clock."""
    delays = [learnt_at[task["taskUUID"]] - task["finished_at"] for task in kept["tasks"]]
    assert len(delays) == CLIPS
    assert kept["total_usd"] == "21.00"
    return Waiting(kept["counts"]["posts"] - kept["counts"]["videoInference"], sum(delays) / len(delays))


async def ours(server: EmulatorServer) -> dict[str, float]:
    async with RunwareClient(server.base_url, "a-key") as client:
        poller = Poller(client)

        async def one(task_uuid: str) -> tuple[str, float]:
            await client.submit({**TEXT, "taskUUID": task_uuid})
            result = await poller.wait(task_uuid, deadline_s=120)
            assert isinstance(result, VideoResult)
            return task_uuid, time.time()

        learnt_at = dict(await asyncio.gather(*(one(str(uuid.uuid4())) for _ in range(CLIPS))))
        await poller.close()
    return learnt_at


async def theirs(server: EmulatorServer) -> dict[str, float]:
    command = sdk_command(server.base_url, "many", *(str(uuid.uuid4()) for _ in range(CLIPS)))
    child = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        told, problem = await asyncio.wait_for(child.communicate(), 120)
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    assert child.returncode == 0, problem.decode()
    return {entry["taskUUID"]: entry["learnt_at"] for entry in json.loads(told)}


@pytest.mark.speed
@pytest.mark.timeout(150)
async def test_fifty_clips_in_flight_for_a_minute() -> None:
    settings = EmulatorSettings(latency_s=60, instant=True)
    with EmulatorServer(settings) as here, EmulatorServer(settings) as there:
        learnt_here, learnt_there = await asyncio.gather(ours(here), theirs(there))
        we, they = waiting(books(here), learnt_here), waiting(books(there), learnt_there)
    sys.stderr.write(f"\nours: {we}\nRunware's client: {they}\n")
    assert we.polls <= they.polls / 10
    assert we.delay_s <= they.delay_s
