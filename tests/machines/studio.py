"""A studio on several machines: what they share, and the machines themselves, each with a disk of its own.

They share a Prefect server, a ledger on PostgreSQL, a bucket and a provider. A machine knows the addresses of the
server and of the object store from its environment, and all else by `shotchain bootstrap`.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fsspec
import httpx
from moto.server import ThreadedMotoServer

from tasks.ledger import Attempt, open_ledger
from tests.machines.boards import PICTURE, board, picture
from tests.machines.processes import Service, command, free_port, is_alive, run, tree, wait_until
from tests.postgres import running_postgres

__all__ = ["BUCKET", "Machine", "Studio", "Tally", "running_studio"]

BUCKET = "studio"
KEY = "key-of-the-studio"
LATENCY_S = 5.0
"""How long the provider takes for a clip."""

SILENT_S = 45
"""After so many seconds without a heartbeat a run counts as dead; they come every 30 s, Prefect's least."""
RERUN_AFTER_S = 15
UNBEGUN_S = 20

# How late automations may be: they are looked at every 5 s, and a heartbeat may have come just before the end.
_AUTOMATION_S = 45.0
_OVER = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


class Machine:
    """A worker on a machine of its own: home, cache, temporary files and working directory are on its disk."""

    def __init__(self, name: str, folder: Path, shared: dict[str, str]) -> None:
        self.name = name
        self.folder = folder
        environment = {
            **shared,
            "HOME": str(folder / "home"),
            "TMPDIR": str(folder / "tmp"),
            "PREFECT_HOME": str(folder / "prefect"),
            "SHOTCHAIN_CACHE": str(folder / "cache"),
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
            # How long a run waits for one whose process is gone, and for a reply that may come yet.
            "SHOTCHAIN_LEASE_S": "4",
            "SHOTCHAIN_GRACE_S": "4",
        }
        worker = [command("prefect"), "worker", "start", "--pool", "shotchain", "--name", name, "--limit", "3"]
        self._worker = Service(worker, environment, folder / "work")

    def start(self) -> None:
        for name in ("home", "tmp"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self._worker.start()

    def stop(self) -> None:
        self._worker.stop()

    def die(self) -> None:
        """Lose it: all its processes in one moment, and its disk."""
        self._worker.kill()
        shutil.rmtree(self.folder)

    @property
    def log(self) -> str:
        """What its worker said."""
        return self._worker.log

    def has_process(self, pid: int) -> bool:
        return pid in tree(self._worker.pid)

    def has_run(self, run_id: str) -> bool:
        """Whether it took a run, since it was started or its disk was lost."""
        return f"submitting flow run '{run_id}'" in self.log


@dataclass
class Tally:
    """What was done to the studio."""

    began_s: float = field(default_factory=time.monotonic)
    kills: Counter[str] = field(default_factory=Counter)
    restarts: int = 0
    measured: list[str] = field(default_factory=list)


class Studio:
    """All of it, and what a person at its API can do."""

    def __init__(
        self, server: Service, api: str, provider: str, ledger: str, bucket: Any, shared: dict[str, str]
    ) -> None:
        self.server = server
        self.api = api
        self.shared = shared
        self.bucket = bucket
        self.boards: list[str] = []
        self.machines: list[Machine] = []
        self.tally = Tally()
        self._http = httpx.Client(timeout=30)
        self._ledger = ledger
        self._provider = provider

    # -- Prefect's API -------------------------------------------------------------------------------------------------

    def ask(self, path: str, content: dict[str, Any] | None = None, method: str | None = None) -> Any:
        """What the server answers, once its database is not too busy to give one."""
        method = method or ("GET" if content is None else "POST")
        while (answer := self._http.request(method, f"{self.api}/{path}", json=content)).status_code == 503:
            time.sleep(0.3)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def begin(self, deployment: str, **parameters: Any) -> str:
        """Begin a run; gives its id."""
        found = self.ask(f"deployments/name/{deployment}")["id"]
        return str(self.ask(f"deployments/{found}/create_flow_run", {"parameters": parameters})["id"])

    def take_and_die(self, deployment: str, **parameters: Any) -> str:
        """A run as a machine leaves it that took it, and died before it began it; gives its id."""
        found = self.ask(f"deployments/name/{deployment}")["id"]
        later = {"type": "SCHEDULED", "state_details": {"scheduled_time": "2100-01-01T00:00:00Z"}}
        made = self.ask(f"deployments/{found}/create_flow_run", {"parameters": parameters, "state": later})
        self.set_state(str(made["id"]), "PENDING", "Pending")
        return str(made["id"])

    def wait_until_planned_anew(self, run_id: str) -> float:
        """Wait until a run that was taken and never begun has begun; gives the seconds."""
        return self._by_itself(
            run_id, lambda: int(self.run(run_id)["run_count"]) > 0, UNBEGUN_S, "SCHEDULED", "Scheduled"
        )

    def render(self, name: str, **parameters: Any) -> str:
        """Begin to render a new storyboard of that name; gives the run's id."""
        self.put(name)
        return self.render_again(name, **parameters)

    def render_again(self, name: str, **parameters: Any) -> str:
        """Begin to render a storyboard that is in the bucket; gives the run's id."""
        given = {"storyboard": self.board_of(name), "output": self.film_of(name), **parameters}
        return self.begin("render/render", **given)

    def run(self, run_id: str) -> dict[str, Any]:
        return dict(self.ask(f"flow_runs/{run_id}"))

    def state(self, run_id: str) -> str:
        """The type of a run's state, such as COMPLETED."""
        return str(self.run(run_id)["state"]["type"])

    def wait(self, run_id: str, state: str = "COMPLETED", most_s: float = 90.0) -> float:
        """Wait until a run is in a state; gives the seconds. It must not end in another one."""

        def is_there() -> bool:
            found = self.run(run_id)["state"]
            assert found["type"] == state or found["type"] not in _OVER, self.told(run_id)
            return bool(found["type"] == state)

        return wait_until(is_there, f"{run_id} is {state}", most_s)

    def set_state(self, run_id: str, kind: str, name: str) -> None:
        """Do as the UI's buttons do."""
        answer = self.ask(f"flow_runs/{run_id}/set_state", {"state": {"type": kind, "name": name}})
        assert answer["status"] == "ACCEPT", answer

    def retry(self, run_id: str) -> None:
        """Press «Retry»."""
        self.set_state(run_id, "SCHEDULED", "AwaitingRetry")

    def cancel(self, run_id: str) -> None:
        """Press «Cancel»."""
        self.set_state(run_id, "CANCELLING", "Cancelling")

    def process_of(self, run_id: str) -> int:
        """The process of a run that is under way."""
        return int(self.run(run_id)["infrastructure_pid"].rpartition(":")[2])

    def machine_of(self, run_id: str) -> Machine:
        """The machine that runs it now."""
        pid = self.process_of(run_id)
        (found,) = [machine for machine in self.machines if machine.has_process(pid)]
        return found

    def states_of(self, run_id: str) -> list[str]:
        """The names of all states that a run has had."""
        found = self.ask(f"flow_run_states/?flow_run_id={run_id}")
        return [str(state["name"]) for state in sorted(found, key=lambda state: str(state["timestamp"]))]

    def children_of(self, run_id: str) -> list[dict[str, Any]]:
        return list(self.ask("flow_runs/filter", {"flow_runs": {"parent_flow_run_id": {"any_": [run_id]}}}))

    def table_of(self, run_id: str, key: str) -> dict[str, Any]:
        """An artifact that a run left: its description, and its rows under `data`."""
        wanted = {"key": {"any_": [key]}, "flow_run_id": {"any_": [run_id]}}
        (found,) = self.ask("artifacts/filter", {"artifacts": wanted})
        return {**found, "data": json.loads(found["data"])}

    def told(self, run_id: str) -> str:
        """What a run says of itself, for whoever has to find out."""
        wanted = {"flow_run_id": {"any_": [run_id]}}
        lines = [line["message"] for line in self.ask("logs/filter", {"logs": wanted, "sort": "TIMESTAMP_ASC"})]
        state = self.run(run_id)["state"]
        return "\n".join([f"{run_id} is {state['name']}: {state['message']}", str(self.states_of(run_id)), *lines])

    # -- what the server does by itself --------------------------------------------------------------------------------

    def wait_until_missed(self, run_id: str) -> float:
        """Wait until a run that says nothing any more is marked as crashed; gives the seconds."""
        return self._by_itself(run_id, lambda: "Crashed" in self.states_of(run_id), SILENT_S, "CRASHED", "Crashed")

    def wait_until_rerun(self, run_id: str) -> float:
        """Wait until a run that crashed has begun again; gives the seconds."""
        return self._by_itself(
            run_id, lambda: int(self.run(run_id)["run_count"]) > 1, RERUN_AFTER_S, "SCHEDULED", "AwaitingRetry"
        )

    def _by_itself(self, run_id: str, done: Callable[[], bool], rule_s: float, kind: str, name: str) -> float:
        """Have an automation do it; where the server lost the event for that, do it as a person would.

        On SQLite a Prefect server that is busy finds its database locked, and drops what automations should hear of.
        """
        began = time.monotonic()
        while not done() and time.monotonic() - began < rule_s + _AUTOMATION_S:
            time.sleep(0.3)
        if not done():
            self.tally.measured.append(f"by hand, since no automation did it: {name}")
            self.set_state(run_id, kind, name)
            wait_until(done, f"{run_id} is {name}", 60)
        return time.monotonic() - began

    # -- the bucket ----------------------------------------------------------------------------------------------------

    def board_of(self, name: str) -> str:
        return f"s3://{BUCKET}/boards/{name}.yaml"

    def film_of(self, name: str) -> str:
        return f"s3://{BUCKET}/films/{name}.mp4"

    def put(self, name: str, folder: str = "boards") -> None:
        """Put a new storyboard into the bucket, with its picture."""
        self.boards.append(name)
        self.bucket.pipe_file(f"{BUCKET}/{folder}/{name}.yaml", board(name).encode())
        self.bucket.pipe_file(f"{BUCKET}/{folder}/{PICTURE}", picture())

    def film(self, name: str) -> bytes:
        """A film as it is published, and as its manifest says it is."""
        content = bytes(self.bucket.cat_file(self.film_of(name)))
        manifest = json.loads(self.bucket.cat_file(self.film_of(name).replace(".mp4", ".manifest.json")))
        assert manifest["film"]["sha256"] == hashlib.sha256(content).hexdigest()
        return content

    # -- the provider and the ledger -----------------------------------------------------------------------------------

    def books(self) -> dict[str, Any]:
        return dict(self._http.get(f"{self._provider}/_emulator/books").json())

    def tasks(self, name: str) -> list[dict[str, Any]]:
        """The provider's tasks of a storyboard."""
        return [task for task in self.books()["tasks"] if task["request"]["positivePrompt"].endswith(f"by {name}")]

    def wait_for_tasks(self, name: str, count: int = 2) -> None:
        """Wait until so many of a storyboard's clips are at the provider, and not yet made."""
        wait_until(lambda: len(self.tasks(name)) >= count, f"{count} clips of {name} are at the provider")

    def attempts(self) -> list[Attempt]:
        with open_ledger(self._ledger) as ledger:
            return ledger.attempts()

    def attempts_of(self, name: str) -> list[Attempt]:
        """The ledger's attempts that are the provider's tasks of a storyboard."""
        wanted = {task["taskUUID"] for task in self.tasks(name)}
        return [attempt for attempt in self.attempts() if attempt.task_uuid in wanted]

    def approvals(self, run_id: str) -> list[tuple[str, str, str]]:
        """Answer, who gave it, and for what sum."""
        with open_ledger(self._ledger) as ledger:
            return [(str(said.answer), said.who, str(said.sum_usd)) for said in ledger.approvals(run_id)]

    # -- trouble -------------------------------------------------------------------------------------------------------

    def kill(self, pid: int, what: str) -> None:
        """Kill one process outright."""
        os.kill(pid, 9)
        wait_until(lambda: not is_alive(pid), f"{pid} is gone", 10.0)
        self.tally.kills[what] += 1

    def lose(self, machine: Machine) -> None:
        """A machine is lost with everything on it; an empty one can be started in its place."""
        machine.die()
        self.tally.kills["machine"] += 1

    def restart_server(self, away_s: float) -> None:
        """Stop the Prefect server, and start it again on the same database and port."""
        self.server.stop()
        time.sleep(away_s)
        self.server.start()
        self.server.ready()
        self.tally.restarts += 1

    def close(self) -> None:
        self._http.close()


@contextmanager
def running_studio(folder: Path) -> Iterator[Studio]:
    """A studio with two machines, bootstrapped and deployed, everything of it below one folder.

    Nothing of it is left.
    """
    api_port, provider_port = free_port(), free_port()
    api, provider = f"http://127.0.0.1:{api_port}/api", f"http://127.0.0.1:{provider_port}"
    with ExitStack() as stack:
        store = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        store.start()
        stack.callback(store.stop)
        host, port = store.get_host_and_port()
        bucket = fsspec.filesystem(
            "s3",
            key="studio",
            secret="studio",
            endpoint_url=f"http://{host}:{port}",
            client_kwargs={"region_name": "eu-central-1"},
            use_listings_cache=False,
            skip_instance_cache=True,
        )
        bucket.mkdir(BUCKET)
        ledger = stack.enter_context(running_postgres()).create()
        plain = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "DO_NOT_TRACK": "1",
            "PREFECT_API_URL": api,
            "PREFECT_CLI_PROMPT": "false",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_TELEMETRY_ENABLE_RESOURCE_METRICS": "false",
        }
        shared = {
            **plain,
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "studio",
            "AWS_SECRET_ACCESS_KEY": "studio",
            "AWS_DEFAULT_REGION": "eu-central-1",
        }
        away = {name: str(folder / "server" / name) for name in ("HOME", "PREFECT_HOME")}
        server = Service(
            [command("prefect"), "server", "start", "--host", "127.0.0.1", "--port", str(api_port)],
            {**plain, **away, "PREFECT_LOGGING_SERVER_LEVEL": "WARNING"},
            folder / "server",
            f"{api}/health",
        )
        emulator = Service(
            [
                *(command("shotchain"), "emulator", "--port", str(provider_port), "--latency", str(LATENCY_S)),
                *("--frames-per-second", "1", "--state", str(folder / "provider" / "state")),
            ],
            {**plain, "HOME": str(folder / "provider")},
            folder / "provider",
            f"{provider}/_emulator/books",
        )
        for service in (server, emulator):
            service.start()
            stack.callback(service.stop)
        for service in (server, emulator):
            service.ready()
        studio = Studio(server, api, provider, ledger, bucket, shared)
        stack.callback(studio.close)
        _furnish(studio, folder / "office", f"{provider}/v1", ledger)
        for name in ("one", "two"):
            machine = Machine(name, folder / name, shared)
            machine.start()
            stack.callback(machine.stop)
            studio.machines.append(machine)
        yield studio


def _furnish(studio: Studio, office: Path, base_url: str, ledger: str) -> None:
    """Do once, from a machine that renders nothing, what docs/operations.md says."""
    office.mkdir()
    environment = {
        **studio.shared,
        "HOME": str(office),
        "PREFECT_HOME": str(office / "prefect"),
        "RUNWARE_API_KEY": KEY,
        "RUNWARE_BASE_URL": base_url,
        "SHOTCHAIN_WORK": f"s3://{BUCKET}/work",
        "SHOTCHAIN_LEDGER": ledger,
    }
    told = json.loads(run([command("shotchain"), "bootstrap", "--json"], environment))
    made = {item["name"] for item in told["made"]}
    assert {"runware-credentials/shotchain", "shotchain_work", "shotchain_ledger", "runware_base_url"} <= made, told
    run([command("prefect"), "--no-prompt", "deploy", "--all"], environment)
    # The same automations, with waits that fit into a test.
    waits = {
        "shotchain: mark dead runs crashed": SILENT_S,
        "shotchain: run crashed runs again": RERUN_AFTER_S,
        "shotchain: plan anew runs that never began": UNBEGUN_S,
    }
    for automation in studio.ask("automations/filter", {}):
        changed = {name: automation[name] for name in ("name", "description", "enabled", "trigger", "actions")}
        changed["trigger"]["within"] = waits.pop(automation["name"])
        studio.ask(f"automations/{automation['id']}", changed, method="PUT")
    assert not waits
