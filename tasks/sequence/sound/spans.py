"""A film's sound in spans, on which the cores work side by side. Where they lie depends on the film's length alone."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError, ThreadPoolExecutor
from threading import Event
from typing import Final, NamedTuple, TypeVar

from tasks.sequence.timeline import SAMPLE_RATE

__all__ = ["GRID_SAMPLES", "Span", "side_by_side", "spans_of"]

GRID_SAMPLES: Final = 76_800
"""Spans meet at multiples of this: 75 frames of AAC, 16 tenths of a second of measuring, 600 of the limiter's cells."""

_SPAN_SAMPLES: Final = SAMPLE_RATE * 12
_MOST_THREADS: Final = 8

Item = TypeVar("Item")
Result = TypeVar("Result")


class Span(NamedTuple):
    """The samples `begin` … `end - 1` of a film's sound."""

    begin: int
    end: int


def spans_of(samples: int) -> list[Span]:
    """A film's sound in spans of about 12 s, an even number of them if it is longer."""
    grid = max(1, round(samples / GRID_SAMPLES))
    count = min(grid, max(1, 2 * round(samples / (2 * _SPAN_SAMPLES))))
    meet = [grid * number // count * GRID_SAMPLES for number in range(count)]
    return [Span(begin, end) for begin, end in zip(meet, [*meet[1:], samples], strict=True)]


def side_by_side(work: Callable[[Item], Result], items: Iterable[Item], stop: Event) -> list[Result]:
    """What `work` gives for each item, in order, worked out by as many threads as there are cores.

    Raises:
        CancelledError: `stop` was set on the way. What was begun is done by then.
    """

    def one(item: Item) -> Result:
        if stop.is_set():
            raise CancelledError
        return work(item)

    with ThreadPoolExecutor(min(_MOST_THREADS, os.cpu_count() or 1)) as pool:
        return list(pool.map(one, items))
