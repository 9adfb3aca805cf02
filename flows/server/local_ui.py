"""Prefect on this machine, in the background: `python -m flows.server.local_ui start|stop [--port N]`, by `make ui`.

A server, a worker, and the deployments of prefect.yaml. All that they keep is in one folder: database, logs, and a
note of which processes were started, so that exactly these are ended. Starting twice starts nothing twice.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx

from flows.server.temporary import quiet_environment
from tasks.errors import PrefectUnreachable, ShotchainError

__all__ = ["LocalUi", "Started", "birth", "main"]

PORT = 4200
_START_S = 120.0
# A worker passes SIGTERM on, and its runs get as long to say what is still at the provider.
_STOP_S = 40.0
_KILL_S = 5.0
_POOL = "shotchain"


@dataclass(frozen=True, slots=True)
class Started:
    """A process that was started here, in a process group of its own.

    Attributes:
        pid: Its id, and its group's.
        born: What tells it from another process that has its id by now; see `birth`. Empty where that was not told.
    """

    pid: int
    born: str

    def lives(self) -> bool:
        """Whether it surely still runs."""
        return bool(self.born) and birth(self.pid) == self.born

    def may_live(self) -> bool:
        """Whether it still runs, or a process has its id of which nobody can tell whether it is the same."""
        now = birth(self.pid)
        if now == "":
            return False
        is_told = now is not None and now.partition(" ")[0] == self.born.partition(" ")[0]
        return now == self.born if is_told else True


class LocalUi:
    """What runs in the background, as its folder knows it.

    Args:
        folder: Where database, logs and notes are; made if it is not there.
        root: The folder with prefect.yaml.
    """

    def __init__(self, folder: Path, root: Path) -> None:
        self._folder = folder
        self._root = root
        self._notes = folder / "running.json"

    @property
    def address(self) -> str | None:
        """Where the UI is, if its server runs."""
        notes = self._read()
        return str(notes["address"]) if _started(notes.get("server")).may_live() else None

    def start(self, port: int | None) -> str:
        """Start what does not run yet, deploy what is in prefect.yaml, and say where the UI is.

        Args:
            port: The server's; if None, 4200, or a free one if that is taken.

        Raises:
            PrefectUnreachable: Something does not start; its log is named.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / ".gitignore").write_text("*\n", encoding="utf-8")
        address = self.address
        if address is None:
            port = _port(port)
            address = f"http://127.0.0.1:{port}"
            self._launch("server", address, [sys.executable, "-m", "flows.server.private", str(port), "--stay"])
        self._wait(address)
        self._run(address, [_beside("shotchain"), "bootstrap"])
        self._run(address, [_beside("prefect"), "--no-prompt", "deploy", "--all"])
        if not _started(self._read().get("worker")).may_live():
            worker = ["worker", "start", "--pool", _POOL, "--name", "local"]
            self._launch("worker", address, [_beside("prefect"), *worker])
        return address

    def stop(self) -> list[str]:
        """End what was started here, the worker first, and say what that was.

        Raises:
            PrefectUnreachable: Something may still run. It stays noted.
        """
        ended = []
        notes = self._read()
        for name in ("worker", "server"):
            if (started := _started(notes.get(name))).lives():
                _end(started)
                ended.append(name)
            if not started.may_live():
                notes.pop(name, None)
        left = [f"{name} (process {_started(notes[name]).pid})" for name in ("worker", "server") if name in notes]
        if left:
            self._write(notes)
            raise PrefectUnreachable(
                f"{' and '.join(left)} may still run: not known to be ours, or it did not end",
                advice=f"See what it is and end it yourself, then delete {self._notes}.",
            )
        self._notes.unlink(missing_ok=True)
        return ended

    def environment(self, address: str) -> dict[str, str]:
        """The environment of all that is started: quiet, and in this folder."""
        mine = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        return {
            **mine,
            "DO_NOT_TRACK": "1",
            "PREFECT_HOME": str(self._folder.absolute()),
            "PREFECT_API_URL": f"{address}/api",
            "PREFECT_CLI_PROMPT": "false",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
            "PREFECT_TELEMETRY_ENABLE_RESOURCE_METRICS": "false",
        }

    def _launch(self, name: str, address: str, command: list[str]) -> None:
        with (self._folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=self._root,
                env=self.environment(address),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        started = Started(process.pid, birth(process.pid) or "")
        self._write({**self._read(), "address": address, name: asdict(started)})

    def _write(self, notes: Mapping[str, Any]) -> None:
        partial = self._notes.with_suffix(".part")
        partial.write_text(json.dumps(notes), encoding="utf-8")
        partial.replace(self._notes)

    def _wait(self, address: str) -> None:
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline and self.address is not None:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{address}/api/health", timeout=2.0).status_code == 200:
                    return
            time.sleep(0.2)
        raise PrefectUnreachable(
            f"the Prefect server did not start at {address}", advice=f"Its log: {self._folder / 'server.log'}."
        )

    def _run(self, address: str, command: list[str]) -> None:
        done = subprocess.run(
            command,
            cwd=self._root,
            env=self.environment(address),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        with (self._folder / "setup.log").open("a", encoding="utf-8") as log:
            log.write(f"$ {' '.join(command)}\n{done.stdout}{done.stderr}\n")
        if done.returncode != 0:
            last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
            raise PrefectUnreachable(
                f"`{Path(command[0]).name} {' '.join(command[1:])}` failed{': ' + last[0] if last else ''}",
                advice=f"All that it said: {self._folder / 'setup.log'}.",
            )

    def _read(self) -> dict[str, Any]:
        try:
            notes = json.loads(self._notes.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except ValueError:
            notes = None
        if not isinstance(notes, dict):
            raise PrefectUnreachable(
                f"what was started here is not known any more: {self._notes} cannot be read",
                advice="See whether `prefect server` and `prefect worker` run, end them, then delete it.",
            )
        return notes


def _started(note: object) -> Started:
    return Started(int(note["pid"]), str(note["born"])) if isinstance(note, dict) else Started(0, "")


def birth(pid: int) -> str | None:
    """When a process began, in words that no clock, time zone or language changes while it runs.

    Returns:
        First by what it is told, then when; empty if there is no such process, or it only waits to be buried; None
        where there is one, and nobody to tell.
    """
    if pid <= 0:
        return ""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass  # somebody else's
    try:
        return _by_proc(pid) if sys.platform == "linux" else _by_ps(pid)
    except OSError:
        return None


def _by_proc(pid: int) -> str:
    """The ticks from the machine's start to the process's, and which start of the machine that was."""
    # The name, in brackets, may hold anything; behind it come the state and 18 numbers, then the ticks.
    state, *numbers = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].decode().split()
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return "" if state in {"Z", "X"} else f"proc {boot} {numbers[18]}"


def _by_ps(pid: int) -> str | None:
    told = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)],
        env={**os.environ, "TZ": "UTC", "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=False,
    ).stdout.split(maxsplit=1)
    if len(told) < 2:
        return None
    return "" if told[0].startswith("Z") else f"ps {told[1].strip()}"


def _end(started: Started) -> None:
    """End its process group: kindly, and after some time for good."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(started.pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_S
    while _group_lives(started.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(started.pid, signal.SIGKILL)
    deadline = time.monotonic() + _KILL_S
    while _group_lives(started.pid) and time.monotonic() < deadline:
        time.sleep(0.1)


def _group_lives(group: int) -> bool:
    birth(group)  # buries it, if it is a child of ours
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def _port(wanted: int | None) -> int:
    """A port of this machine that is free.

    Raises:
        PrefectUnreachable: The wanted one is taken.
    """
    for port in (PORT, 0) if wanted is None else (wanted,):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return int(probe.getsockname()[1])
    raise PrefectUnreachable(f"port {wanted} is taken", advice="Give another, or none for a free one.")


def _beside(name: str) -> str:
    """A command of the same environment as this Python."""
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.exists() else shutil.which(name) or name


def main(arguments: list[str] | None = None) -> int:
    """Start or stop, and say so; the exit code."""
    quiet_environment()
    parser = argparse.ArgumentParser(
        prog="python -m flows.server.local_ui", description="Prefect on this machine, in the background."
    )
    parser.add_argument("do", choices=["start", "stop"])
    parser.add_argument("--port", type=int, default=None, help="the server's; else 4200, or a free one")
    parser.add_argument("--folder", type=Path, default=Path(".ui"), help="where all that it keeps is")
    given = parser.parse_args(arguments)
    ui = LocalUi(given.folder, Path.cwd())
    try:
        if given.do == "stop":
            ended = ui.stop()
            sys.stdout.write(f"ended: {', '.join(ended)}\n" if ended else "nothing of ours runs\n")
            return 0
        address = ui.start(given.port)
    except ShotchainError as error:
        sys.stderr.write(f"error: {error.message}\n    {error.advice}\n")
        return error.exit_code
    sys.stdout.write(f"{address}    (logs in {given.folder}; `make ui-stop` ends it)\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
