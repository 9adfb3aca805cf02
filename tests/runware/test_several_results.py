"""Several results of one task, from the provider that runs here."""

from __future__ import annotations

import time
import uuid
from decimal import Decimal

import httpx

from tasks.emulator import EmulatorServer, EmulatorSettings
from tasks.runware.client import RunwareClient
from tasks.runware.poller import Poller


async def test_the_results_of_one_task_are_all_waited_for_and_each_has_its_own_clip_and_cost() -> None:
    with EmulatorServer(EmulatorSettings(instant=True, frames_per_second=1, latency_s=0.6)) as server:
        async with RunwareClient(server.base_url, "key") as client:
            poller = Poller(client)
            task_uuid = str(uuid.uuid4())
            request = {
                "taskType": "videoInference",
                "taskUUID": task_uuid,
                "model": "klingai:kling@o1-standard",
                "positivePrompt": "A tram climbs",
                "width": 1280,
                "height": 720,
                "numberResults": 3,
                "includeCost": True,
            }
            started = time.monotonic()
            assert await client.submit(request) == []
            ended = await poller.wait_all(task_uuid, 3, deadline_s=20)
            assert time.monotonic() - started >= 0.6
            await poller.close()
            assert ended.failure is None
            assert len({result.video_uuid for result in ended.results}) == 3
            assert [result.cost_usd for result in ended.results] == [Decimal("0.42")] * 3
            for result in ended.results:
                async with client.download(result.video_url) as response:
                    assert response.status_code == 200
        async with httpx.AsyncClient() as http:
            books = (await http.get(f"{server.origin}/_emulator/books")).json()
        assert books["total_usd"] == "1.26"
