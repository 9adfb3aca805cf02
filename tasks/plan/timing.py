"""How long making a plan takes: seconds a clip, as learnt from clips that were made, and the shots laid out in time.

Only the generation is counted, which is nearly all of it; what else a run does hides behind it.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from statistics import median
from typing import Literal, TypeAlias

from tasks.plan import graph
from tasks.plan.model import Plan, PlannedShot

__all__ = ["ClipTime", "ClipTimes", "Sample", "Schedule", "Source", "Span", "lay_out", "learn"]

Source: TypeAlias = Literal["learnt", "stated", "unknown"]

_LATEST = 50
_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Sample:
    """One clip that was made: the seconds that were generated, and those that the provider took for it."""

    generate_s: Decimal
    took_s: Decimal


@dataclass(frozen=True, slots=True)
class ClipTime:
    """The median time of `samples` clips, in seconds."""

    took_s: Decimal
    samples: int


@dataclass(frozen=True, slots=True)
class ClipTimes:
    """How long one clip takes at the provider, by the seconds that are generated.

    What was learnt goes before what somebody states (`stated_s`, for a clip of any length).
    """

    learnt: Mapping[Decimal, ClipTime] = field(default_factory=dict)
    stated_s: Decimal | None = None

    @property
    def source(self) -> Source:
        """Where the times come from; `unknown` where there are none."""
        if self.learnt:
            return "learnt"
        return "unknown" if self.stated_s is None else "stated"

    def took_s(self, generate_s: Decimal) -> Decimal | None:
        """Seconds for a clip of `generate_s`; of the nearest length that is known, the longer of two. None: unknown."""
        if not self.learnt:
            return self.stated_s
        nearest = min(self.learnt, key=lambda length_s: (abs(length_s - generate_s), -length_s))
        return self.learnt[nearest].took_s


def learn(samples: Iterable[Sample], stated_s: Decimal | None = None) -> ClipTimes:
    """Medians by generated length, each of the latest 50 clips of that length.

    Args:
        samples: Oldest first.
        stated_s: What somebody says, for where nothing is learnt.
    """
    by_length: dict[Decimal, deque[Decimal]] = {}
    for sample in samples:
        by_length.setdefault(sample.generate_s, deque(maxlen=_LATEST)).append(sample.took_s)
    learnt = {
        length_s: ClipTime(_tenths(median(by_length[length_s])), len(by_length[length_s]))
        for length_s in sorted(by_length)
    }
    return ClipTimes(learnt, stated_s)


@dataclass(frozen=True, slots=True)
class Span:
    """When the takes of a shot are made, in seconds from the start of the run; the same moment if all are reused."""

    begins_s: Decimal
    ends_s: Decimal


@dataclass(frozen=True, slots=True)
class Schedule:
    """A plan laid out in time.

    `wall_s` is when the last take is there, with at most so many at the provider at once; `critical_s` with no such
    limit, along `critical_path` (shots in order); `serial_s` one after the other.
    """

    wall_s: Decimal
    critical_s: Decimal
    serial_s: Decimal
    critical_path: tuple[str, ...]
    spans: Mapping[str, Span]


def lay_out(plan: Plan, reused: Collection[str], times: ClipTimes, max_in_flight: int) -> Schedule | None:
    """Lay a plan out as a run does: what is ready takes a slot, longest remaining path first.

    Args:
        plan: What is made.
        reused: Content keys of clips that are there already.
        times: How long a clip takes.
        max_in_flight: At most so many clips at the provider at once.

    Returns:
        The layout; None where it is not known how long a clip takes.
    """
    took_s: dict[str, Decimal] = {}
    for shot in plan.shots:
        for take in shot.takes:
            if take.content_key in reused:
                continue
            seconds = times.took_s(shot.generate_s)
            if seconds is None:
                return None
            took_s[take.content_key] = seconds
    made = _Run(plan, took_s, max_in_flight)
    critical_s, path = _critical(plan, took_s)
    return Schedule(
        wall_s=max(made.there_s.values(), default=_ZERO),
        critical_s=critical_s,
        serial_s=sum(took_s.values(), _ZERO),
        critical_path=path,
        spans=made.spans,
    )


class _Run:
    """One simulated run. Takes of one content key are one clip, which the first shot that is ready begins."""

    def __init__(self, plan: Plan, took_s: Mapping[str, Decimal], max_in_flight: int) -> None:
        self._took_s = took_s
        self._priority = plan.priority
        self._shots = {shot.id: shot for shot in plan.shots}
        needs = _needs(plan)
        self._missing = {shot_id: len(needs[shot_id]) for shot_id in needs}
        self._feeds: dict[str, list[str]] = {shot_id: [] for shot_id in needs}
        for shot_id, needed in needs.items():
            for need in needed:
                self._feeds[need].append(shot_id)
        self._waits_for: dict[str, list[str]] = {}
        self._asked: set[str] = set()
        self._queue: list[tuple[int, int, str]] = []
        self._running: list[tuple[Decimal, int, str]] = []
        self._begun_s: dict[str, Decimal] = {}
        self._ready_s: dict[str, Decimal] = {}
        self._free = max_in_flight
        self.there_s: dict[str, Decimal] = {}
        self._ready([shot_id for shot_id, count in self._missing.items() if not count], _ZERO)
        while self._running:
            self._step()
        self.spans = {shot.id: self._span(shot) for shot in plan.shots}

    def _step(self) -> None:
        """Go to the next moment at which clips are there, and past all of them: what they free is given out at once."""
        now = self._running[0][0]
        ready: list[str] = []
        while self._running and self._running[0][0] == now:
            key = heapq.heappop(self._running)[2]
            self._free += 1
            self.there_s[key] = now
            for shot_id in self._waits_for.pop(key, ()):
                ready += self._fed_by(shot_id)
        self._ready(ready, now)

    def _ready(self, shot_ids: Iterable[str], now: Decimal) -> None:
        """Ask for the takes of these shots, and of all that waits for nothing else; fill the slots."""
        waiting = deque(shot_ids)
        while waiting:
            shot = self._shots[waiting.popleft()]
            self._ready_s[shot.id] = now
            for take in shot.takes:
                key = take.content_key
                if key in self._took_s and key not in self._asked:
                    self._asked.add(key)
                    heapq.heappush(self._queue, (-self._priority[shot.id], len(self._asked), key))
            key = shot.selected.content_key
            if key in self._took_s and key not in self.there_s:
                self._waits_for.setdefault(key, []).append(shot.id)
            else:
                waiting += self._fed_by(shot.id)
        while self._free and self._queue:
            key = heapq.heappop(self._queue)[2]
            self._free -= 1
            self._begun_s[key] = now
            heapq.heappush(self._running, (now + self._took_s[key], len(self._begun_s), key))

    def _fed_by(self, shot_id: str) -> Iterator[str]:
        """The shots that waited for the selected take of this one, and for nothing else."""
        for fed in self._feeds[shot_id]:
            self._missing[fed] -= 1
            if not self._missing[fed]:
                yield fed

    def _span(self, shot: PlannedShot) -> Span:
        keys = [take.content_key for take in shot.takes if take.content_key in self._took_s]
        ready_s = self._ready_s[shot.id]
        begins_s = min((max(ready_s, self._begun_s[key]) for key in keys), default=ready_s)
        # A clip that it shares with another shot may have been there before.
        return Span(begins_s, max([begins_s, *(self.there_s[key] for key in keys)]))


def _needs(plan: Plan) -> dict[str, list[str]]:
    """What each shot waits for; what a part of a plan needs of other shots is there already."""
    ids = {shot.id for shot in plan.shots}
    return {shot.id: [need for need in shot.depends_on if need in ids] for shot in plan.shots}


def _critical(plan: Plan, took_s: Mapping[str, Decimal]) -> tuple[Decimal, tuple[str, ...]]:
    """The longest path by time, and the shots on it that take time."""
    shots = {shot.id: shot for shot in plan.shots}
    needs = _needs(plan)
    there_s: dict[str, Decimal] = {}
    ends_s: dict[str, Decimal] = {}
    before: dict[str, str | None] = {}
    for shot_id in graph.in_order(needs):
        shot = shots[shot_id]
        last = max(needs[shot_id], key=lambda need: there_s[need], default=None)
        ready_s = _ZERO if last is None else there_s[last]
        before[shot_id] = last
        there_s[shot_id] = ready_s + took_s.get(shot.selected.content_key, _ZERO)
        ends_s[shot_id] = ready_s + max(took_s.get(take.content_key, _ZERO) for take in shot.takes)
    at: str | None = max(ends_s, key=lambda shot_id: ends_s[shot_id])
    longest_s, path = ends_s[str(at)], list[str]()
    while at is not None:
        if any(take.content_key in took_s for take in shots[at].takes):
            path.append(at)
        at = before[at]
    return longest_s, tuple(reversed(path))


def _tenths(seconds: Decimal) -> Decimal:
    return seconds.quantize(Decimal("0.1"), rounding=ROUND_HALF_UP)
