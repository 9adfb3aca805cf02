"""An emulator, and Runware's own clients, each as a child process that speaks to it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest
from PIL import Image

from tasks.emulator import EmulatorServer, EmulatorSettings

_ROOT = Path(__file__).parents[2]
_SCENARIOS = Path(__file__).parent / "scenarios.py"
_LEGACY = Path(__file__).parent / "legacy.py"


def sdk_python(root: Path = _ROOT, name: str = ".venv-sdk") -> Path:
    """The interpreter that Runware's client is installed for; a failure that says what to do where there is none."""
    folder = root / name
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        pytest.fail(f"Runware's client is not installed in {name}. Run: make test-sdk", pytrace=False)
    return python


def sdk_command(url: str, scenario: str, *arguments: str) -> list[str]:
    return [str(sdk_python()), str(_SCENARIOS), url, scenario, *arguments]


def sdk(server: EmulatorServer, scenario: str, *arguments: str, by: Literal["rest", "websocket"] = "rest") -> Any:
    """Let the client play a scenario against an emulator.

    Returns:
        What it printed: results as it returned them, `{"error": {...}}` for what it raised.
    """
    return _played(sdk_command(server.ws_url if by == "websocket" else server.base_url, scenario, *arguments))


def legacy(server: EmulatorServer, scenario: str, *arguments: str, patience_s: float = 10) -> Any:
    """Let the older client, which speaks by WebSocket only, play a scenario against an emulator.

    Args:
        server: The emulator.
        scenario: Of `legacy.py`.
        arguments: Of the scenario.
        patience_s: How long it waits for the answer to a question, of which it hears only results.

    Returns:
        What it printed: results as it returned them, `{"error": {...}}` for what it raised.
    """
    command = [str(sdk_python(name=".venv-sdk-legacy")), str(_LEGACY), server.ws_url, scenario, *arguments]
    patience = {"RUNWARE_VIDEO_INITIAL_TIMEOUT": patience_s * 1000, "RUNWARE_VIDEO_POLLING_DELAY": 100}
    return _played(command, {name: str(int(value)) for name, value in patience.items()})


def _played(command: list[str], more: dict[str, str] | None = None) -> Any:
    # Nothing of ours on its path, no key of the user's in its reach.
    environment = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "RUNWARE_API_KEY"}}
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment | (more or {}), timeout=50, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def error_of(outcome: Any) -> dict[str, Any]:
    """The error that an outcome is."""
    assert set(outcome) == {"error"}, outcome
    error: dict[str, Any] = outcome["error"]
    return error


def books(server: EmulatorServer) -> dict[str, Any]:
    """The emulator's books."""
    answer: dict[str, Any] = httpx.get(f"{server.origin}/_emulator/books").json()
    return answer


# Clips of a frame a second are rendered in a blink.
QUICK = EmulatorSettings(latency_s=0.5, frames_per_second=1)


@pytest.fixture
def server() -> Iterator[EmulatorServer]:
    with EmulatorServer(QUICK) as running:
        yield running


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A PNG that may be a frame: 640 by 360 pixels."""
    file = tmp_path / "lighthouse.png"
    Image.linear_gradient("L").resize((640, 360)).convert("RGB").save(file)
    return file
