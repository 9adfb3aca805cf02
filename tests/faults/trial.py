"""Runs of the real client against the real emulator while something goes wrong, and what they leave behind."""

from __future__ import annotations

import json
import re
import ssl
import time
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx

from tasks.clips.store import ClipStore
from tasks.clips.taken import Taken
from tasks.emulator import EmulatorServer
from tasks.emulator.fault_plan import parse_faults
from tasks.emulator.instant import VARIANTS
from tasks.errors import ShotchainError
from tasks.ledger import Attempt, State, open_ledger
from tasks.media.frames import decode_whole
from tests.clips.house import House

__all__ = ["ALWAYS", "SHOT_USD", "Case", "Line", "Trial", "fault", "warmed_up"]

ALWAYS: int | None = None
"""As often as it can be."""

SHOT_USD = Decimal("0.42")
"""What the shot of a trial costs."""

# Made once: nothing here is encrypted, and each client would read all certificates anew.
_TLS = ssl.create_default_context()
_KINDS = {
    "videoInference": "submit",
    "getResponse": "poll",
    "getTaskDetails": "details",
}


def fault(name: str, **fields: Any) -> dict[str, Any]:
    """A rule of a fault plan that is given once, unless it says otherwise."""
    rule = {"fault": name, "times": 1, **fields}
    return {key: value for key, value in rule.items() if value is not None}


def warmed_up(emulator: EmulatorServer) -> None:
    """Have each of the clips that are handed out made once, so that from now on they are there with the question."""
    seen: set[int] = set()
    with httpx.Client(verify=_TLS, headers={"Authorization": "Bearer key"}) as http:
        while len(seen) < VARIANTS:
            task: dict[str, Any] = {
                "taskType": "videoInference",
                "taskUUID": str(uuid.uuid4()),
                "model": "klingai:kling@o1-standard",
            }
            task |= {"positivePrompt": f"warm {uuid.uuid4()}", "width": 1280, "height": 720}
            http.post(emulator.base_url, json=[task]).raise_for_status()
            question = {"taskType": "getResponse", "taskUUID": task["taskUUID"]}
            while (item := http.post(emulator.base_url, json=[question]).json()["data"][0])["status"] != "success":
                time.sleep(0.01)
            seen.add(item["seed"] % VARIANTS)


class Line(httpx.AsyncHTTPTransport):
    """A line to the emulator that gives up after `patience_s` of silence, and notes when what was sent."""

    def __init__(self, patience_s: float = 10.0) -> None:
        super().__init__(verify=_TLS)
        self.patience_s = patience_s
        self.sent: list[tuple[str, float]] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.sent.append((_kind(request), time.monotonic()))
        request.extensions["timeout"] = dict.fromkeys(("connect", "read", "write", "pool"), self.patience_s)
        return await super().handle_async_request(request)


def _kind(request: httpx.Request) -> str:
    if request.method == "GET":
        return "download"
    if not isinstance(request.stream, httpx.ByteStream):
        return "upload"
    return _KINDS[json.loads(request.content)[0]["taskType"]]


@dataclass(frozen=True)
class Seen:
    """What a run left.

    Attributes:
        taken: The takes that it has, none if it failed.
        error: How it failed.
        told: What was told on the way, one sentence a line.
        sent: Requests that left, in order, by kind.
        gaps_s: Seconds between the first request of each kind and the next of that kind.
        books_usd: What the provider charged, of all runs of the trial.
        spent_usd: What the ledger holds as paid, of all runs.
        doubt_usd: What the ledger holds as possibly paid: unknown, or with the provider still.
        attempts: All rows of the ledger.
        tasks: Tasks that the provider accepted, of all runs.
        clips: Whole clips in the store.
        aside: Damaged files that were kept.
    """

    taken: tuple[Taken, ...]
    error: ShotchainError | None
    told: str
    sent: tuple[str, ...]
    gaps_s: Mapping[str, float]
    books_usd: Decimal
    spent_usd: Decimal
    doubt_usd: Decimal
    attempts: tuple[Attempt, ...]
    tasks: Sequence[Mapping[str, Any]]
    clips: tuple[Path, ...]
    aside: tuple[Path, ...]

    @property
    def states(self) -> str:
        """States of the attempts: of each shot, in the order in which they were made."""
        return " ".join(attempt.state for attempt in self.attempts)


@dataclass
class Trial:
    """One house and one emulator, which has a fault plan."""

    emulator: EmulatorServer
    house: House
    before: Mapping[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.before = self.books()

    def books(self) -> dict[str, Any]:
        with httpx.Client(verify=_TLS) as http:
            return dict(http.get(f"{self.emulator.origin}/_emulator/books").json())

    def set_faults(self, *rules: Mapping[str, Any]) -> None:
        self.emulator.faults.replace(parse_faults(json.dumps({"rules": list(rules)})))

    @property
    def given(self) -> list[int]:
        """How often each rule was met."""
        return list(self.emulator.faults.as_json()["given"])

    async def run(self, run_id: str = "run", *, patience_s: float = 10.0, **options: Any) -> Seen:
        """One whole run, as it is made when the clips of a plan are wanted."""
        line = Line(patience_s)
        self.house.events.clear()
        ended = await self.house.render(line, run_id, base_url=self.emulator.base_url, **options)
        books = self.books()
        tasks = books["tasks"][len(self.before["tasks"]) :]
        with open_ledger(str(self.house.folder / "ledger.db")) as ledger:
            totals = [ledger.totals(run.run_id) for run in ledger.runs()]
            attempts = tuple(sorted(ledger.attempts(), key=lambda attempt: (attempt.shot, attempt.number)))
        files = self.house.files()
        return Seen(
            taken=tuple(ended) if isinstance(ended, list) else (),
            error=ended if isinstance(ended, ShotchainError) else None,
            told="\n".join(event.message for event in self.house.events if event.message),
            sent=tuple(kind for kind, _ in line.sent),
            gaps_s={
                kind: times[1] - times[0]
                for kind in Counter(kind for kind, _ in line.sent)
                if len(times := [at for one, at in line.sent if one == kind]) > 1
            },
            books_usd=Decimal(books["total_usd"]) - Decimal(self.before["total_usd"]),
            spent_usd=sum((one.spent_usd for one in totals), Decimal(0)),
            doubt_usd=sum((one.unknown_usd + one.reserved_usd for one in totals), Decimal(0)),
            attempts=attempts,
            tasks=tasks,
            clips=tuple(path for path in files if path.suffix != ".json" and ".damaged-" not in path.name),
            aside=tuple(path for path in files if ".damaged-" in path.name),
        )


@dataclass(frozen=True)
class Case:
    """What goes wrong in a run of one shot for $0.42, what that costs, what is kept, and what the user sees.

    Attributes:
        name: In words.
        faults: The rules of the plan.
        states: Of the attempts, in order.
        books_usd: What the provider charged.
        spent_usd: What the ledger holds as paid; by default what was charged.
        doubt_usd: What it holds beside that, since nobody knows, or not yet.
        sent: How often what was sent, as `submit=2`; kinds without a word are not looked at.
        error: What the run raised; None if it has its clip.
        says: What the error says.
        advises: What it advises.
        told: What was told on the way.
        aside: How many damaged files are kept.
        clips: How many clips are kept; by default one, or none if the run failed.
        shot: The shot that failed.
        next_usd: What all will have cost when the same run has been made again, without faults, and has the clip;
            None if it ends as this one did, without having asked for anything new.
        options: Of the run.
    """

    name: str
    faults: Sequence[Mapping[str, Any]]
    states: str = "stored"
    books_usd: str = "0.42"
    spent_usd: str | None = None
    doubt_usd: str = "0"
    sent: str = "submit=1 download=1"
    error: type[ShotchainError] | None = None
    says: str = ""
    advises: str = ""
    told: str = ""
    aside: int = 0
    clips: int | None = None
    shot: str = "a"
    next_usd: str | None = "0.42"
    options: Mapping[str, Any] = field(default_factory=dict)

    async def check(self, trial: Trial) -> None:
        """Make the run, hold it against what is said here, and make it again without faults."""
        trial.set_faults(*self.faults)
        seen = await trial.run(**self.options)
        assert all(trial.given), "a fault was not met"
        self._check_money(seen)
        self._check_clip(trial, seen)
        self._check_words(seen)
        trial.set_faults()
        await self._check_next(trial)

    def _check_money(self, seen: Seen) -> None:
        assert seen.states == self.states
        assert seen.books_usd == Decimal(self.books_usd)
        assert seen.spent_usd == Decimal(self.spent_usd or self.books_usd)
        assert seen.doubt_usd == Decimal(self.doubt_usd)
        # Nothing was bought that the ledger does not know, and none of it twice.
        assert {task["taskUUID"] for task in seen.tasks} <= {attempt.task_uuid for attempt in seen.attempts}
        assert seen.books_usd <= seen.spent_usd + seen.doubt_usd
        counts = Counter(seen.sent)
        assert {part: f"{kind}={counts[kind]}" for part in self.sent.split() for kind in [part.partition("=")[0]]} == {
            part: part for part in self.sent.split()
        }

    def _check_clip(self, trial: Trial, seen: Seen) -> None:
        assert len(seen.aside) == self.aside
        assert len(seen.clips) == (self.clips if self.clips is not None else self.error is None)
        assert len(seen.taken) == (0 if self.error else len(seen.clips))
        stored = {attempt.task_uuid for attempt in seen.attempts if attempt.state is State.STORED}
        for one in seen.taken:
            assert decode_whole(one.clip.path).frames == one.clip.frames
            assert one.clip.origin.task_uuid in stored
        assert not any(path.is_file() for path in (trial.house.folder / "scratch").rglob("*"))

    def _check_words(self, seen: Seen) -> None:
        assert type(seen.error) is (self.error or type(None)), seen.error
        if seen.error is not None:
            assert seen.error.shot == self.shot
            assert re.search(self.says, seen.error.message), seen.error.message
            assert re.search(self.advises, seen.error.advice or ""), seen.error.advice
        assert re.search(self.told, seen.told), seen.told

    async def _check_next(self, trial: Trial) -> None:
        seen = await trial.run("next")
        if self.next_usd is None:
            assert type(seen.error) is self.error
            assert seen.books_usd == Decimal(self.books_usd)
            assert "submit" not in seen.sent
            return
        assert seen.error is None, seen.error
        assert seen.books_usd == Decimal(self.next_usd)
        store = ClipStore(trial.house.work, trial.house.folder / "cache")
        for one in seen.taken:
            assert await store.find(one.clip.key) == one.clip
