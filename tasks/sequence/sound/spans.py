"""A film's sound in spans, on which the cores work side by side.

Where they lie does not depend on the film: what was worked out of one is right as long as nothing in it changes.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final, NamedTuple, TypeVar

from tasks.media.thread import Stop

__all__ = ["GRID_SAMPLES", "Cores", "Span", "spans_of"]

GRID_SAMPLES: Final = 76_800
"""Spans meet at multiples of this: 75 frames of AAC, 16 tenths of a second of measuring, 600 of the limiter's cells."""

_SPAN_SAMPLES: Final = 4 * GRID_SAMPLES
_MOST_THREADS: Final = 8
_NICENESS: Final = 10

Item = TypeVar("Item")
Result = TypeVar("Result")


class Span(NamedTuple):
    """The samples `begin` … `end - 1` of a film's sound."""

    begin: int
    end: int


def spans_of(samples: int) -> list[Span]:
    """A film's sound in spans of 6.4 s, of which the last is up to half as much longer or shorter."""
    count = max(1, round(samples / _SPAN_SAMPLES))
    meet = [number * _SPAN_SAMPLES for number in range(count)]
    return [Span(begin, end) for begin, end in zip(meet, [*meet[1:], samples], strict=True)]


class Cores:
    """The cores of this machine, to work on spans side by side.

    Args:
        stop: Ends the work early, with a `CancelledError`; what was begun is done by then.
        is_yielding: Whether something is left for all else that this machine does: a core, and what else comes first
            wherever the system can be told so.
    """

    def __init__(self, stop: Stop, *, is_yielding: bool = False) -> None:
        self._stop = stop
        self._is_yielding = is_yielding

    def each(self, work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """What `work` gives for each item, in order, worked out by as many threads as there are cores.

        Raises:
            CancelledError: It was stopped on the way.
        """

        def one(item: Item) -> Result:
            self._stop.check()
            return work(item)

        cores = (os.cpu_count() or 1) - (1 if self._is_yielding else 0)
        with ThreadPoolExecutor(max(1, min(_MOST_THREADS, cores)), initializer=self._begin) as pool:
            return list(pool.map(one, items))

    def _begin(self) -> None:
        # Only Linux has priorities of threads. The thread is one of this pool's own, and soon over. It is as nice as
        # ffmpeg's processes and no nicer: now and then all other threads of this process wait for it, as for any.
        if self._is_yielding and sys.platform == "linux":
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
