"""A rendering that fails is told as a failed task, and costs nothing."""

from __future__ import annotations

import base64
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.emulator import EmulatorServer, EmulatorSettings

if TYPE_CHECKING:
    from tests.emulator.conftest import Api, Pictures


def test_a_failed_rendering_is_an_error_of_its_task_and_is_not_charged(
    api: Api, pictures: type[Pictures], tmp_path: Path
) -> None:
    settings = EmulatorSettings(latency_s=0, state_dir=tmp_path)
    picture = base64.b64encode(pictures.png(pictures.detailed(960, 960))).decode()
    task = api.media_task({"frameImages": [picture]})
    with EmulatorServer(settings) as server:
        client = type(api)(server)
        client.submit(task)
        client.http.close()
    for media in (tmp_path / "media").iterdir():
        media.write_bytes(b"damaged")

    with EmulatorServer(settings) as server:
        client = type(api)(server)
        deadline = time.monotonic() + 10
        while client.poll(task["taskUUID"])["data"] and time.monotonic() < deadline:
            time.sleep(0.02)
        failed = client.poll(task["taskUUID"])
        books = client.books()
        client.http.close()

    assert failed["data"] == []
    assert (
        failed["errors"][0].items()
        >= {
            "code": "processingFailed",
            "status": "error",
            "taskType": "videoInference",
            "taskUUID": task["taskUUID"],
        }.items()
    )
    assert books["tasks"][0].items() >= {"state": "error", "charge_usd": "0.00"}.items()
    assert books["total_usd"] == "0.00"
