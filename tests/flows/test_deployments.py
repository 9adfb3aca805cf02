"""prefect.yaml deploys without a question, and a worker makes the same film as the command line."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.flows.conftest import Home, Shotchain

ROOT = Path(__file__).parents[2]
PREFECT = Path(sys.executable).with_name("prefect")
BOARD = """
shots:
  - {id: lake, prompt: A calm lake at dawn, duration: 1}
  - {id: ripples, prompt: The lake ripples, duration: 1, boundary: continue}
"""


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.timeout(180)
def test_a_deployed_run_leaves_the_same_film_as_the_command_line(
    home: Home, shotchain: Shotchain, prefect_server: str
) -> None:
    environment = {**os.environ, "PREFECT_API_URL": prefect_server, "PREFECT_HOME": str(home.folder / "prefect")}

    def prefect(*arguments: str) -> str:
        done = subprocess.run(
            [str(PREFECT), "--no-prompt", *arguments],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    prefect("work-pool", "create", "--overwrite", "--type", "process", "shotchain")
    prefect("deploy", "--all")
    found = httpx.post(f"{prefect_server}/deployments/filter", json={}).json()
    deployed = {item["entrypoint"]: item for item in found}
    assert deployed.keys() == {"flows.render.render", "flows.estimate.estimate", "flows.recover.recover"}
    schema = deployed["flows.render.render"]["parameter_openapi_schema"]
    assert schema["required"] == ["storyboard", "output"]
    assert all(item.get("description") for item in schema["properties"].values())

    board, film = home.storyboard(BOARD), home.folder / "deployed" / "film.mp4"
    prefect(
        "deployment",
        "run",
        "render/render",
        "-p",
        f"storyboard={board}",
        "-p",
        f"output={film}",
        "-p",
        "provider=emulator",
    )
    prefect("worker", "start", "--pool", "shotchain", "--run-once")
    assert film.is_file()

    by_hand = shotchain("render", str(board), "--provider", "emulator", "--output", "by-hand.mp4", "--json")
    assert by_hand.code == 0, by_hand.err
    # From the same clips, byte for byte: it was all paid for by the deployed run.
    assert by_hand.json["cost_usd"] == "0.00"
    assert sha256(home.folder / "by-hand.mp4") == sha256(film)

    # And from clips of its own: the emulator draws the same pictures for the same request.
    alone = shotchain(
        "render",
        str(board),
        "--provider",
        "emulator",
        "--output",
        "alone.mp4",
        SHOTCHAIN_WORK=str(home.folder / "other" / "work"),
        SHOTCHAIN_LEDGER=str(home.folder / "other" / "ledger.db"),
    )
    assert alone.code == 0, alone.err
    assert sha256(home.folder / "alone.mp4") == sha256(film)
