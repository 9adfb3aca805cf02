"""Starting and stopping leave nothing behind."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time

import httpx
import pytest

from tasks.emulator import EmulatorServer, EmulatorSettings
from tasks.errors import SettingsError


def test_a_taken_port_is_said_clearly() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=str(port)):
            EmulatorServer(EmulatorSettings(port=port)).start()


def test_it_stops_soon_with_work_in_hand_and_frees_its_port(capfd: pytest.CaptureFixture[str]) -> None:
    server = EmulatorServer(EmulatorSettings(latency_s=0))
    before = threading.active_count()
    server.start()
    port = int(server.origin.rpartition(":")[2])
    task = {
        "taskType": "videoInference",
        "model": "klingai:kling@o1",
        "positivePrompt": "A tram",
        "width": 1920,
        "height": 1080,
        "duration": 10,
        "numberResults": 4,
    }
    with httpx.Client(headers={"Authorization": "Bearer k"}) as client:
        import uuid

        assert client.post(server.base_url, json=[{**task, "taskUUID": str(uuid.uuid4())}]).status_code == 200
        started = time.monotonic()
        server.stop()
        assert time.monotonic() - started < 2

    assert threading.active_count() == before
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", port))
    assert capfd.readouterr() == ("", "")


def test_it_can_be_started_again() -> None:
    server = EmulatorServer(EmulatorSettings())
    for _ in range(2):
        with server:
            assert httpx.get(f"{server.origin}/_emulator/books").json()["total_usd"] == "0.00"


def test_served_by_a_process_it_ends_cleanly_at_a_signal() -> None:
    number = signal.SIGTERM
    program = (
        "from tasks.emulator import EmulatorSettings, serve\n"
        "number = serve(EmulatorSettings(), lambda url: print(url, flush=True))\n"
        "print(number, flush=True)"
    )
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert httpx.post(url, json=[{"taskType": "authentication", "apiKey": "k"}]).status_code == 200
        process.send_signal(number)
        out, err = process.communicate(timeout=5)

    assert (out.strip(), err, process.returncode) == (str(int(number)), "", 0)
