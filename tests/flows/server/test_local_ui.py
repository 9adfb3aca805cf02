"""`make ui` starts Prefect once, and `make ui-stop` ends exactly that."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from flows.server.local_ui import LocalUi, Started
from tests.flows.conftest import Home

ROOT = Path(__file__).parents[3]


def do(home: Home, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "flows.server.local_ui", *arguments, "--folder", str(home.folder / "ui")],
        cwd=ROOT,
        env={**os.environ, **home.environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.server
@pytest.mark.timeout(180)
def test_starting_twice_starts_once_and_stopping_ends_it(home: Home) -> None:
    ui = LocalUi(home.folder / "ui", ROOT)
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"])
    try:
        address = do(home, "start", "--port", "0").split()[0]
        notes = (home.folder / "ui" / "running.json").read_text()
        assert ui.address == address
        deployed = httpx.post(f"{address}/api/deployments/filter", json={}).json()
        assert "render" in {item["name"] for item in deployed}
        assert httpx.get(f"{address}/").text.startswith("<!")
        assert [pool["name"] for pool in httpx.post(f"{address}/api/work_pools/filter", json={}).json()] == [
            "shotchain"
        ]

        assert do(home, "start").split()[0] == address
        assert (home.folder / "ui" / "running.json").read_text() == notes

        assert do(home, "stop") == "ended: worker, server\n"
        assert LocalUi(home.folder / "ui", ROOT).address is None
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"{address}/api/health")
        assert do(home, "stop") == "nothing of ours runs\n"
        assert bystander.poll() is None
    finally:
        ui.stop()
        bystander.kill()
        bystander.wait()


def test_another_process_with_the_same_id_is_not_ours() -> None:
    assert not Started(os.getpid(), "Thu Jan  1 00:00:00 1970").lives()
    assert not Started(0, "").lives()
