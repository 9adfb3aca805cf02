"""A private Prefect server is quiet, and gone with the command that started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from flows.server.temporary import TemporaryServer, prefect_session
from tasks.clips.scratch import sweep_scratch
from tasks.errors import PrefectUnreachable

pytestmark = pytest.mark.runs

STARTER = """
import sys, time
from pathlib import Path
from flows.server.temporary import TemporaryServer
server = TemporaryServer(Path(sys.argv[1]))
server.start()
server.wait()
print(server.api_url, flush=True)
time.sleep(60)
"""


def answers(api_url: str) -> bool:
    try:
        return httpx.get(f"{api_url}/health", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.mark.server
def test_a_second_server_starts_from_a_prepared_database(tmp_path: Path) -> None:
    for _ in range(2):
        server = TemporaryServer(tmp_path)
        server.start()
        server.wait()
        assert answers(server.api_url)
        assert httpx.post(f"{server.api_url}/flow_runs/filter", json={}).json() == []
        server.stop()
        assert not answers(server.api_url)
        assert [path.suffix for path in tmp_path.iterdir() if path.is_file()] == [".db"]
        assert list((tmp_path / "scratch").iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL, which only POSIX systems have")
def test_it_ends_with_a_command_that_was_killed(tmp_path: Path) -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert starter.stdout is not None
    assert starter.stderr is not None
    api_url = starter.stdout.readline().strip()
    assert answers(api_url)
    starter.send_signal(signal.SIGKILL)
    _, said = starter.communicate()
    assert said == ""
    deadline = time.monotonic() + 10
    while answers(api_url) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not answers(api_url)
    # What it left behind, the next command removes.
    assert sweep_scratch(tmp_path) == 1
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_configured_server_that_does_not_answer_is_told_clearly(tmp_path: Path) -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    session = prefect_session(tmp_path)
    with (
        temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}),
        pytest.raises(PrefectUnreachable, match="does not answer"),
    ):
        session.__enter__()
