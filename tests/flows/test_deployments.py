"""prefect.yaml deploys without a question; workers make the same films as the command line, batches too."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tasks.emulator.server import EmulatorServer
from tasks.emulator.settings import EmulatorSettings
from tasks.ledger import State, open_ledger
from tests.flows.conftest import Home, Shotchain

pytestmark = pytest.mark.runs

ROOT = Path(__file__).parents[2]
PREFECT = Path(sys.executable).with_name("prefect")
BOARD = """
shots:
  - {id: lake, prompt: A calm lake at dawn, duration: 1}
  - {id: ripples, prompt: The lake ripples, duration: 1, boundary: continue}
"""
ONE = "title: {0}\nshots: [{{id: {0}, prompt: 'A calm lake, seen by {0}', duration: 1}}]\n"

Prefect = Callable[..., str]


@pytest.fixture(scope="module")
def prefect(prefect_server: str, tmp_path_factory: pytest.TempPathFactory) -> Prefect:
    """Runs Prefect's command line against a server that has the deployments."""
    home = str(tmp_path_factory.mktemp("prefect-home"))

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [str(PREFECT), "--no-prompt", *arguments],
            cwd=ROOT,
            env={**os.environ, "PREFECT_API_URL": prefect_server, "PREFECT_HOME": home},
            capture_output=True,
            text=True,
            timeout=120,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("work-pool", "create", "--overwrite", "--type", "process", "shotchain")
    run("deploy", "--all")
    return run


@contextmanager
def worker(server: str, home: Home) -> Iterator[None]:
    """A worker, for as long as the block lasts."""
    environment = {**os.environ, "PREFECT_API_URL": server, "PREFECT_HOME": str(home.folder / "prefect")}
    with (home.folder / "worker.log").open("wb") as log:
        process = subprocess.Popen(
            [str(PREFECT), "worker", "start", "--pool", "shotchain"], cwd=ROOT, env=environment, stdout=log, stderr=log
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(60)


def runs_of(server: str, parent: str) -> list[dict[str, Any]]:
    """A flow run and its subflows."""
    found = httpx.post(f"{server}/flow_runs/filter", json={"flow_runs": {"id": {"any_": [parent]}}}).json()
    body = {"flow_runs": {"parent_flow_run_id": {"any_": [parent]}}}
    return [*found, *httpx.post(f"{server}/flow_runs/filter", json=body).json()]


def wait_until(said: Callable[[], bool], most_s: float = 120.0) -> None:
    deadline = time.monotonic() + most_s
    while not said():
        assert time.monotonic() < deadline
        time.sleep(0.3)


def begin(server: str, name: str, **parameters: Any) -> str:
    """Start a run of a deployment; gives its id."""
    deployment = httpx.get(f"{server}/deployments/name/{name}").json()["id"]
    answer = httpx.post(f"{server}/deployments/{deployment}/create_flow_run", json={"parameters": parameters})
    answer.raise_for_status()
    return str(answer.json()["id"])


@pytest.mark.server
@pytest.mark.timeout(120)
def test_everything_is_deployed_as_it_is_written(prefect: Prefect, prefect_server: str) -> None:
    found = {item["name"]: item for item in httpx.post(f"{prefect_server}/deployments/filter", json={}).json()}

    assert {name: item["entrypoint"] for name, item in found.items()} == {
        "render": "flows.render.render",
        "previs": "flows.render.render",
        "estimate": "flows.estimate.estimate",
        "batch": "flows.batch.batch",
        "render-nightly": "flows.batch.batch",
        "recover": "flows.recover.recover",
    }
    assert all(item["tags"] == ["shotchain"] and item["work_pool_name"] == "shotchain" for item in found.values())
    assert all(len(item["description"]) > 40 for item in found.values())
    assert all(item["job_variables"]["env"]["PREFECT_LOGGING_EXTRA_LOGGERS"] == "shotchain" for item in found.values())
    # Batches can be given workers of their own, so that they never take all the places of their renders.
    queues = {name: item["work_queue_name"] for name, item in found.items()}
    assert {name for name, queue in queues.items() if queue == "batches"} == {"batch", "render-nightly"}
    assert set(queues.values()) == {"batches", "default"}
    schema = found["render"]["parameter_openapi_schema"]
    assert schema["required"] == ["storyboard", "output"]
    assert all(item["enforce_parameter_schema"] for item in found.values())

    schedules = {
        name: [(it["slug"], it["schedule"]["cron"], it["active"]) for it in item["schedules"]]
        for name, item in found.items()
        if item["schedules"]
    }
    # What spends money by itself is switched on by a person.
    assert schedules == {
        "recover": [("quarter-hourly", "*/15 * * * *", True)],
        "render-nightly": [("nightly", "0 2 * * *", False)],
    }
    assert {name: item["parameters"] for name, item in found.items() if item["parameters"]} == {
        "previs": {"provider": "emulator"},
        "render-nightly": {"storyboards": "storyboards", "output": "films", "budget_usd": "25.00"},
    }
    limits = {
        name: (item["global_concurrency_limit"]["limit"], item["concurrency_options"]["collision_strategy"])
        for name, item in found.items()
        if item["global_concurrency_limit"]
    }
    assert limits == {
        "render": (8, "ENQUEUE"),
        "previs": (8, "ENQUEUE"),
        "batch": (2, "ENQUEUE"),
        "render-nightly": (1, "CANCEL_NEW"),
        "recover": (1, "CANCEL_NEW"),
    }


def test_in_compose_batches_take_no_place_of_their_renders() -> None:
    services = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text(encoding="utf-8"))["services"]
    commands = {name: service.get("command", []) for name, service in services.items()}

    queues = {
        name: command[command.index("--work-queue") + 1] for name, command in commands.items() if "worker" in command
    }
    assert queues == {"worker": "default", "batches": "batches"}


@pytest.mark.server
@pytest.mark.timeout(300)
def test_a_batch_runs_on_workers_under_one_budget_and_cancels_what_it_began(
    home: Home, prefect: Prefect, prefect_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNWARE_API_KEY", "key-of-the-tests")
    boards, films = home.folder / "boards", home.folder / "films"
    boards.mkdir()
    for name in ("dawn", "dusk"):
        (boards / f"{name}.yaml").write_text(ONE.format(name))
    with (
        EmulatorServer(EmulatorSettings(latency_s=0.0)) as quick,
        EmulatorServer(EmulatorSettings(latency_s=600.0)) as slow,  # nothing is over before it is cancelled
    ):
        told = {"storyboards": str(boards), "output": str(films), "budget_usd": "0.42", "base_url": quick.base_url}
        batch = begin(prefect_server, "batch/batch", **told)
        left = begin(prefect_server, "batch/batch", **{**told, "base_url": slow.base_url, "budget_usd": "2.00"})

        def over(run_id: str) -> bool:
            return all(run["state"]["type"] in {"FAILED", "CANCELLED"} for run in runs_of(prefect_server, run_id)[:1])

        with worker(prefect_server, home):
            wait_until(lambda: httpx.get(f"{slow.origin}/_emulator/books").json()["counts"]["videoInference"] == 2)
            wait_until(lambda: over(batch))
            cancelling = {"state": {"type": "CANCELLING"}}
            httpx.post(f"{prefect_server}/flow_runs/{left}/set_state", json=cancelling).raise_for_status()
            wait_until(
                lambda: [run["state"]["type"] for run in runs_of(prefect_server, left)] == ["CANCELLED"] * 3, most_s=90
            )

    (own, *children) = runs_of(prefect_server, batch)
    assert own["name"] == f"batch of {boards}"
    assert {child["name"] for child in children} == {"dawn", "dusk"}
    assert sorted(child["state"]["type"] for child in children) == ["COMPLETED", "FAILED"]
    body = {"artifacts": {"key": {"any_": ["shotchain-batch"]}, "flow_run_id": {"any_": [batch]}}}
    (table,) = httpx.post(f"{prefect_server}/artifacts/filter", json=body).json()
    assert table["description"] == "2 storyboards: 1 published, 1 refused; $0.42 of $0.42"
    assert {row["outcome"]: row["frames"] for row in json.loads(table["data"])} == {"published": 25, "refused": "–"}
    with open_ledger(home.environment["SHOTCHAIN_LEDGER"]) as ledger:
        states = sorted((attempt.provider, attempt.state) for attempt in ledger.attempts())
        tags = {run.deployment for run in ledger.runs()}
    # What was cancelled is still the provider's, and a next run takes it up.
    assert states == sorted([(quick.origin, State.STORED), *[(slow.origin, State.ACCEPTED)] * 2])
    assert tags == {"batch/batch"}


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.timeout(180)
def test_a_deployed_run_leaves_the_same_film_as_the_command_line(
    home: Home, shotchain: Shotchain, prefect: Prefect
) -> None:
    board, film = home.storyboard(BOARD), home.folder / "deployed" / "film.mp4"
    prefect(
        "deployment",
        "run",
        "render/previs",
        "-p",
        f"storyboard={board}",
        "-p",
        f"output={film}",
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
