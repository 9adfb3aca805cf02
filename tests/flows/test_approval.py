"""A deployed run asks on its page whether a sum may be spent; a yes is needed, and everything else spends nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from tasks.emulator import EmulatorServer, EmulatorSettings
from tasks.ledger import open_ledger
from tests.flows.conftest import Home

ROOT = Path(__file__).parents[2]
PREFECT = Path(sys.executable).with_name("prefect")
PROMPTS = {"yes": "A calm lake", "more": "A green hill", "no": "A red house", "silent": "A blue door", "late": "A bell"}


def state_of(api: str, run_id: str) -> str:
    return str(httpx.get(f"{api}/flow_runs/{run_id}").json()["state"]["type"])


def wait_for(api: str, run_id: str, *states: str) -> str:
    deadline = time.monotonic() + 90
    while (state := state_of(api, run_id)) not in states:
        assert time.monotonic() < deadline, f"{run_id} is {state}"
        time.sleep(0.3)
    return state


@pytest.mark.timeout(240)
def test_only_a_yes_spends_and_every_answer_is_written_down(home: Home, prefect_server: str) -> None:
    with EmulatorServer(EmulatorSettings(instant=True)) as emulator:
        environment = {
            **os.environ,
            "PREFECT_API_URL": prefect_server,
            "PREFECT_HOME": str(home.folder / "prefect"),
            "RUNWARE_API_KEY": "key",
        }

        def prefect(*arguments: str) -> None:
            command = [str(PREFECT), "--no-prompt", *arguments]
            done = subprocess.run(
                command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
            )
            assert done.returncode == 0, done.stdout + done.stderr

        prefect("work-pool", "create", "--overwrite", "--type", "process", "shotchain")
        prefect("deploy", "--all")
        deployment = httpx.get(f"{prefect_server}/deployments/name/render/render").json()["id"]

        def start(name: str, **parameters: Any) -> str:
            board = home.storyboard(f"shots: [{{id: a, prompt: {PROMPTS[name]}, duration: 1}}]", f"{name}.yaml")
            given = {
                "storyboard": str(board),
                "output": str(home.folder / f"{name}.mp4"),
                "base_url": emulator.base_url,
                "approve_above_usd": "0.10",
                **parameters,
            }
            url = f"{prefect_server}/deployments/{deployment}/create_flow_run"
            return str(httpx.post(url, json={"parameters": given, "state": {"type": "SCHEDULED"}}).json()["id"])

        runs = {name: start(name) for name in ("yes", "no", "silent")}
        # Its own budget would not let it pass; whoever approves it raises that too.
        runs["more"] = start("more", budget_usd="0.20")
        runs["late"] = start("late", approval_timeout_s=1)
        command = [str(PREFECT), "--no-prompt", "worker", "start", "--pool", "shotchain", "--run-once"]
        worker = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        answers: dict[str, dict[str, str]] = {
            "yes": {"answer": "approve", "note": "go"},
            "no": {"answer": "reject", "note": "too dear"},
            "more": {"answer": "approve", "new_limit_usd": "0.50"},
            "silent": {},
        }
        for name, answer in answers.items():
            wait_for(prefect_server, runs[name], "PAUSED")
            resumed = httpx.post(f"{prefect_server}/flow_runs/{runs[name]}/resume", json={"run_input": answer})
            # A form that was sent empty is no answer: the server does not take it.
            told = resumed.json().get("status", resumed.text)
            assert told == ("REJECT" if name == "silent" else "ACCEPT"), (name, resumed.text)
        assert wait_for(prefect_server, runs["yes"], "COMPLETED", "FAILED") == "COMPLETED"
        assert wait_for(prefect_server, runs["more"], "COMPLETED", "FAILED") == "COMPLETED"
        assert wait_for(prefect_server, runs["no"], "COMPLETED", "FAILED", "CRASHED") == "FAILED"
        assert wait_for(prefect_server, runs["late"], "COMPLETED", "FAILED", "CRASHED") == "FAILED"
        assert state_of(prefect_server, runs["silent"]) == "PAUSED"
        httpx.post(
            f"{prefect_server}/flow_runs/{runs['silent']}/resume", json={"run_input": {"answer": "reject"}}
        ).raise_for_status()
        wait_for(prefect_server, runs["silent"], "FAILED", "CRASHED")
        worker.wait(60)
        books = httpx.get(f"{emulator.origin}/_emulator/books").json()

    prompts = {task["request"]["positivePrompt"] for task in books["tasks"]}
    assert prompts == {PROMPTS["yes"], PROMPTS["more"]}
    assert books["total_usd"] == "0.84"
    with open_ledger(home.environment["SHOTCHAIN_LEDGER"]) as ledger:
        said = {name: ledger.approvals(run_id) for name, run_id in runs.items()}
        run = ledger.run(runs["yes"])
    assert run is not None
    assert run.deployment == "render/render"
    assert {name: [str(one.answer) for one in given] for name, given in said.items()} == {
        "yes": ["approved"],
        "more": ["approved"],
        "no": ["rejected"],
        "silent": ["rejected"],
        "late": ["timed_out"],
    }
    assert (said["yes"][0].sum_usd, said["yes"][0].note, said["yes"][0].how) == (Decimal("0.42"), "go", "prefect")
    assert said["more"][0].limit_usd == Decimal("0.50")
