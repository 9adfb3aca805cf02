"""Processes of the studio, each in a session of its own, ended for certain."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import httpx

__all__ = ["ROOT", "Service", "command", "free_port", "is_alive", "run", "tree", "wait_until"]

ROOT = Path(__file__).parents[2]
_END_S = 40.0
_RUN_S = 180.0


def command(name: str) -> str:
    """A command of the same environment as this Python."""
    return str(Path(sys.executable).with_name(name))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(said: Callable[[], bool], what: str, most_s: float = 90.0) -> float:
    """Wait for it, and say how many seconds that took."""
    began = time.monotonic()
    while not said():
        assert time.monotonic() - began < most_s, f"not within {most_s} s: {what}"
        time.sleep(0.1)
    return time.monotonic() - began


def tree(pid: int) -> list[int]:
    """A process and all that came of it, itself first."""
    listed = subprocess.run(["ps", "-e", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    children: dict[int, list[int]] = {}
    for line in listed.splitlines():
        child, parent = (int(word) for word in line.split())
        children.setdefault(parent, []).append(child)
    found = [pid]
    for each in found:
        found += children.get(each, [])
    return found


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be buried does not."""
    told = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(told.strip()) and not told.strip().startswith("Z")


def run(
    arguments: Sequence[str], environment: Mapping[str, str], folder: Path = ROOT, *, most_s: float = _RUN_S
) -> str:
    """Run a command to its end; what it wrote on stdout. It must succeed."""
    done = subprocess.run(
        list(arguments),
        cwd=folder,
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=most_s,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


class Service:
    """A process in the background, which can be started again after its end.

    Args:
        arguments: The command.
        environment: All of it.
        folder: Its working directory, with its log.
        answers: An address that answers with 200 as soon as it is ready; without one it is ready at once.
    """

    def __init__(
        self, arguments: Sequence[str], environment: Mapping[str, str], folder: Path, answers: str | None = None
    ) -> None:
        self._arguments = list(arguments)
        self._environment = dict(environment)
        self._folder = folder
        self._answers = answers
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        """All that it said."""
        path = self._folder / "log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def start(self) -> None:
        """Start it; see `ready`."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._arguments,
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def ready(self) -> None:
        """Wait until it answers."""
        wait_until(self._does_answer, f"{self._arguments} answers\n{self.log}", 120.0)

    def _does_answer(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"{self._arguments} ended\n{self.log}"
        with contextlib.suppress(httpx.HTTPError):
            return self._answers is None or httpx.get(self._answers, timeout=2.0).status_code == 200
        return False

    def stop(self) -> None:
        """End it kindly, with all that came of it, and after some time for good."""
        if self._process is None or self._process.poll() is not None:
            return
        everything = tree(self._process.pid)
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_S)
        self._end(everything)

    def kill(self) -> None:
        """Have it gone at once, and all that came of it, as when the power fails."""
        if self._process is not None and self._process.poll() is None:
            self._end(tree(self._process.pid))

    def _end(self, everything: Sequence[int]) -> None:
        assert self._process is not None
        for pid in everything:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait(_END_S)
