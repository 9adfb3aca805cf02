"""An emulator, and Runware's own client as a child process that speaks to it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from tasks.emulator import EmulatorServer, EmulatorSettings

_ROOT = Path(__file__).parents[2]
_SCENARIOS = Path(__file__).parent / "scenarios.py"


def sdk_python(root: Path = _ROOT) -> Path:
    """The interpreter that Runware's client is installed for; a failure that says what to do where there is none."""
    folder = root / ".venv-sdk"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        pytest.fail("Runware's client is not installed in .venv-sdk. Run: make test-sdk", pytrace=False)
    return python


def sdk_command(base_url: str, scenario: str, *arguments: str) -> list[str]:
    return [str(sdk_python()), str(_SCENARIOS), base_url, scenario, *arguments]


def sdk(server: EmulatorServer, scenario: str, *arguments: str) -> Any:
    """Let the client play a scenario against an emulator.

    Returns:
        What it printed: results as it returned them, `{"error": {...}}` for what it raised.
    """
    # Nothing of ours on its path, no key of the user's in its reach.
    environment = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "RUNWARE_API_KEY"}}
    done = subprocess.run(
        sdk_command(server.base_url, scenario, *arguments),
        capture_output=True,
        text=True,
        env=environment,
        timeout=50,
        check=False,
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
