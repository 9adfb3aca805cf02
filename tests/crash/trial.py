"""One user, one provider, one storyboard: runs that are killed, a run that finishes, and what then must be true."""

from __future__ import annotations

import asyncio
import hashlib
import json
import multiprocessing
import os
import signal
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import av
import httpx

from tasks.clips.store import ClipStore
from tasks.emulator import EmulatorServer, EmulatorSettings
from tasks.emulator.fault_plan import parse_faults
from tasks.errors import Charged
from tasks.ledger import Attempt, State, open_ledger
from tasks.plan.build import build_plan
from tasks.settings import resolve_settings
from tasks.storyboard.inputs import inspect_inputs
from tasks.storyboard.read import read_storyboard
from tests.crash.job import Job, work
from tests.crash.kills import Kill

__all__ = ["KILLED", "Ended", "Running", "Trial", "film_frames", "group_is_gone"]

KILLED = -signal.SIGKILL
_RUN_S = 120.0
_ORPHANS_S = 10.0

# Every library is loaded once, in a process that never has a second thread; each run is a fork of it.
_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["tests.crash.child"])


@dataclass(frozen=True)
class Ended:
    """How a run ended.

    Attributes:
        code: Its exit code, or `KILLED`.
        outcome: What the flow returned, or `{"error": …}`; nothing if it was killed.
        phase: What it was doing last.
    """

    code: int
    outcome: Mapping[str, Any]
    phase: str

    @property
    def was_killed(self) -> bool:
        return self.code == KILLED


class Running:
    """A run under way, in a process and a process group of its own."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._process = _forks.Process(target=work, args=(job,), daemon=True)
        self._process.start()

    @property
    def is_over(self) -> bool:
        return not self._process.is_alive()

    def kill(self, *, group: bool) -> None:
        """Kill it outright: with all its child processes (`group`), or leaving those to themselves."""
        if group:
            self._signal(signal.SIGKILL)
        self._process.kill()

    def sleep(self) -> None:
        """Stop it, with its child processes, as a machine does that falls asleep."""
        self._signal(signal.SIGSTOP)

    def wake(self) -> None:
        """Let it go on where it was stopped."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        assert self._process.pid is not None
        with suppress(ProcessLookupError):  # it is over, or has no group of its own yet
            os.killpg(self._process.pid, number)

    def join(self) -> Ended:
        """Wait for its end."""
        self._process.join(_RUN_S)
        if self._process.exitcode is None:
            self.kill(group=True)
            raise AssertionError(f"a run did not end in {_RUN_S} s:\n{self._text('log')}\n{self._text('events')}")
        assert self._process.exitcode is not None
        outcome = self._text("outcome.json")
        return Ended(self._process.exitcode, json.loads(outcome) if outcome else {}, self._phase())

    def forget(self) -> None:
        """See that it left no process behind. What a killed run's ffmpeg still had to do takes a moment."""
        pid = self._process.pid
        assert pid is not None
        assert group_is_gone(pid, _ORPHANS_S), "a child process outlived its run"
        self._process.close()

    def _phase(self) -> str:
        if death := self._text("death"):
            return death
        lines = self._text("events").splitlines()
        return lines[-1].split()[0] if lines else "beginning"

    def _text(self, name: str) -> str:
        path = self._job.folder / name
        return path.read_text(encoding="utf-8") if path.exists() else ""


def group_is_gone(pid: int, within_s: float) -> bool:
    """Whether no process of a group is left, waiting a while for it."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            os.killpg(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    return False


@dataclass
class Trial:
    """Where a storyboard is rendered, killed and resumed against one emulator.

    Attributes:
        folder: Of the user; everything is in it.
        board: The storyboard.
        emulator: The provider.
        ended: Every run so far.
        films: How many films were looked at.
        notes: What is to be said in the summary.
        settings: Further environment of the runs.
    """

    folder: Path
    board: str
    emulator: EmulatorServer
    ended: list[Ended] = field(default_factory=list)
    films: int = 0
    notes: list[str] = field(default_factory=list)
    settings: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.folder / "tmp").mkdir()
        self.write(self.board)
        self._runs: list[Running] = []

    @classmethod
    @contextmanager
    def of(cls, folder: Path, board: str, **settings: Any) -> Iterator[Trial]:
        """A trial with an emulator of its own, whose clips have a frame a second."""
        environment = settings.pop("environment", {})
        chosen = EmulatorSettings(
            **{"latency_s": 0.0, "frames_per_second": 1, "state_dir": folder / "provider", **settings}
        )
        with EmulatorServer(chosen) as emulator:
            trial = cls(folder, board, emulator, settings=environment)
            try:
                yield trial
            finally:
                trial.stop()

    # -- running -------------------------------------------------------------------------------------------------------

    def write(self, board: str) -> None:
        """Write another storyboard in the place of the one there."""
        self.board = board
        self.storyboard.write_text(board, encoding="utf-8")

    @property
    def storyboard(self) -> Path:
        return self.folder / "board.yaml"

    @property
    def film(self) -> Path:
        return self.folder / "film.mp4"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "SHOTCHAIN_WORK": str(self.folder / "work"),
            "SHOTCHAIN_LEDGER": str(self.folder / "ledger.db"),
            "SHOTCHAIN_CACHE": str(self.folder / "cache"),
            "TMPDIR": str(self.folder / "tmp"),
            "RUNWARE_API_KEY": "key",
            "SHOTCHAIN_GRACE_S": "0.3",
            "SHOTCHAIN_LEASE_S": "1",  # how long a resumed run waits for a dead one
            "SHOTCHAIN_DEADLINE_S": "20",
            **self.settings,
        }

    def start(self, kill: Kill | None = None, **parameters: Any) -> Running:
        """Start a run."""
        given = {
            "storyboard": str(self.storyboard),
            "output": str(self.film),
            "base_url": self.emulator.base_url,
            **parameters,
        }
        running = Running(Job(self.folder / f"run-{len(self._runs) + 1}", self.environment, given, kill))
        self._runs.append(running)
        return running

    def ends(self, running: Running) -> Ended:
        """Wait for a run's end and remember it."""
        ended = running.join()
        self.ended.append(ended)
        return ended

    def run(self, kill: Kill | None = None, **parameters: Any) -> Ended:
        """Run to the end, or to the kill."""
        return self.ends(self.start(kill, **parameters))

    def killed_when(self, ready: Callable[[], bool], *, group: bool, phase: str = "") -> Ended:
        """Run, and kill as soon as `ready`; `phase` is what it is doing then, if that is known better than it knows."""
        running = self.start()
        deadline = time.monotonic() + _RUN_S
        while not running.is_over and not ready() and time.monotonic() < deadline:
            time.sleep(0.002)
        running.kill(group=group)
        ended = self.ends(running)
        if ended.was_killed and phase:
            self.ended[-1] = ended = replace(ended, phase=phase)
        return ended

    def killed_after(self, seconds: float, *, group: bool) -> Ended:
        """Run, and kill after so many seconds, if it is not over then."""
        at = time.monotonic() + seconds
        return self.killed_when(lambda: time.monotonic() >= at, group=group)

    def faults_given(self) -> int:
        """How often the faults at hand were given."""
        return sum(self.emulator.faults.as_json()["given"])

    def finish(self, most: int = 4) -> Ended:
        """Run until it is done; a run that fails is run again, as its advice says, at most so often."""
        for _ in range(most):
            ended = self.run()
            if ended.code == 0:
                break
        return ended

    def settle(self) -> int:
        """Tell the ledger, as a person does, what the provider's books say of what nobody else can tell."""
        charges = {task["taskUUID"]: Decimal(task["charge_usd"]) for task in self.books()["tasks"]}
        unknown = [attempt for attempt in self.attempts() if attempt.state is State.UNKNOWN]
        with open_ledger(str(self.folder / "ledger.db")) as ledger:
            for attempt in unknown:
                cost_usd = charges.get(attempt.task_uuid, Decimal(0))
                charged = Charged.YES if cost_usd else Charged.NO
                ledger.settle(attempt.task_uuid, charged=charged, cost_usd=cost_usd or None)
        return len(unknown)

    def stop(self) -> None:
        """See that no process is left."""
        for running in self._runs:
            running.kill(group=not running.is_over)
            running.join()
            running.forget()
        self._runs.clear()

    # -- what is left --------------------------------------------------------------------------------------------------

    def books(self) -> dict[str, Any]:
        with httpx.Client() as http:
            return dict(http.get(f"{self.emulator.origin}/_emulator/books").json())

    def set_faults(self, *rules: Mapping[str, Any], seed: int = 0) -> None:
        self.emulator.faults.replace(parse_faults(json.dumps({"seed": seed, "rules": list(rules)})))

    def attempts(self) -> list[Attempt]:
        with open_ledger(str(self.folder / "ledger.db")) as ledger:
            return ledger.attempts()

    def stuck(self) -> set[str]:
        """The tasks that the provider will be working at for ever."""
        return {task["taskUUID"] for task in self.books()["tasks"] if task["state"] == "processing"}

    def keys(self) -> set[str]:
        """The content keys of the storyboard's takes."""
        settings = resolve_settings(base_url=self.emulator.base_url, environ=self.environment)
        board = read_storyboard(str(self.storyboard))
        facts = asyncio.run(inspect_inputs(board, settings.cache))
        return build_plan(board, facts, settings.identity).content_keys

    # -- what must be true ---------------------------------------------------------------------------------------------

    def check_money(self) -> None:
        """Nothing was charged twice, and the ledger holds what the provider's books hold.

        Only a generation that failed and was charged all the same is paid for besides the one that succeeded.
        """
        books = self.books()
        attempts = {attempt.task_uuid: attempt for attempt in self.attempts()}
        charges = {task["taskUUID"]: Decimal(task["charge_usd"]) for task in books["tasks"]}
        assert set(charges) <= set(attempts), "the provider has a task that the ledger does not know"
        made: defaultdict[str, list[str]] = defaultdict(list)
        for task in books["tasks"]:
            attempt, charge = attempts[task["taskUUID"]], charges[task["taskUUID"]]
            money = attempt.totals
            # What is not over for the ledger has been charged or not; in any case its money is held.
            is_held = bool(money.unknown_usd or money.reserved_usd)
            assert charge == money.spent_usd or (is_held and not money.spent_usd), (attempt, charge)
            if task["state"] != "error":
                made[attempt.content_key].append(f"{attempt.task_uuid} {attempt.state}")
        twice = {key: tasks for key, tasks in made.items() if len(tasks) > 1}
        assert not twice, f"generated twice: {twice}"
        for attempt in attempts.values():
            if attempt.task_uuid not in charges:
                assert not attempt.totals.spent_usd, f"the ledger knows of a charge that was none: {attempt}"
        assert Decimal(books["total_usd"]) == sum(charges.values(), Decimal(0))

    def check_settled(self) -> None:
        """Nothing is held or in doubt any more, and every cent of the books is in the ledger."""
        money = [attempt.totals for attempt in self.attempts()]
        assert sum((each.spent_usd for each in money), Decimal(0)) == Decimal(self.books()["total_usd"])
        assert not [each for each in money if each.unknown_usd or each.reserved_usd]

    def check_one_charge_a_take(self, takes: int) -> None:
        """Every take was submitted, accepted and charged once. No two takes of the storyboard may ask for the same."""
        tasks = self.books()["tasks"]
        assert len(tasks) == takes
        assert all(Decimal(task["charge_usd"]) > 0 for task in tasks)
        contents = Counter(
            json.dumps({name: value for name, value in task["request"].items() if name != "taskUUID"}, sort_keys=True)
            for task in tasks
        )
        assert set(contents.values()) == {1}
        self.check_money()
        self.check_settled()

    def check_store(self) -> None:
        """Every clip that was paid for is in the store, whole."""
        store = ClipStore(str(self.folder / "work"), self.folder / "cache")
        stored = {item.content_key: item.task_uuid for item in self.attempts() if item.state is State.STORED}
        assert self.keys() <= set(stored)

        async def look() -> None:
            for key, task_uuid in stored.items():
                clip = await store.find(key)
                assert clip is not None, f"a paid clip is not in the store: {key}"
                assert clip.origin.task_uuid == task_uuid

        asyncio.run(look())

    def check_film(self) -> list[str]:
        """The film is the one that the manifest describes, whole; returns its frames."""
        self.films += 1
        manifest = json.loads(self.film.with_suffix(".manifest.json").read_text(encoding="utf-8"))
        assert manifest["film"]["sha256"] == hashlib.sha256(self.film.read_bytes()).hexdigest()
        frames = film_frames(self.film)
        assert len(frames) == manifest["film"]["frames"] == sum(shot["film"]["frames"] for shot in manifest["shots"])
        return frames


def film_frames(film: Path) -> list[str]:
    """The md5 of every picture of a film as decoded."""
    with av.open(str(film)) as container:
        return [
            hashlib.md5(frame.to_ndarray(format="yuv420p").tobytes(), usedforsecurity=False).hexdigest()
            for frame in container.decode(video=0)
        ]
