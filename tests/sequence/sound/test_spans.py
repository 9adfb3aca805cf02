from __future__ import annotations

import os
import sys
import threading
import time
from concurrent.futures import CancelledError
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.media.thread import Stop
from tasks.sequence.sound.spans import GRID_SAMPLES, Cores, spans_of


@given(st.integers(1, 4 * 3600 * 48_000))
def test_spans_follow_one_another_on_the_grid_from_end_to_end(samples: int) -> None:
    spans = spans_of(samples)

    assert spans[0].begin == 0
    assert spans[-1].end == samples
    assert all(earlier.end == later.begin for earlier, later in pairwise(spans))
    assert all(span.begin % GRID_SAMPLES == 0 for span in spans)
    assert all(0 < span.end - span.begin <= 20 * 48_000 for span in spans)


@given(st.integers(1, 3600 * 48_000), st.integers(1, 60 * 48_000))
def test_spans_stay_where_they_are_when_a_film_becomes_longer(samples: int, more: int) -> None:
    spans, longer = spans_of(samples), spans_of(samples + more)

    assert longer[: len(spans) - 1] == spans[:-1]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has priorities of threads")
def test_work_ahead_of_time_comes_after_all_else() -> None:
    def priority(_: int) -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    own = priority(0)

    assert set(Cores(Stop(), is_yielding=True).each(priority, range(20))) == {10}
    assert set(Cores(Stop()).each(priority, range(20))) == {own}


def test_results_come_in_order() -> None:
    assert Cores(Stop()).each(lambda number: number * number, range(50)) == [number * number for number in range(50)]


def test_a_failure_is_raised_and_what_waits_is_not_begun() -> None:
    begun = []

    def work(number: int) -> int:
        begun.append(number)
        time.sleep(0.002)
        return 1 // (number - 3)

    with pytest.raises(ZeroDivisionError):
        Cores(Stop()).each(work, range(2000))

    assert len(begun) < 2000


def test_what_was_stopped_begins_nothing_more() -> None:
    stop = Stop()
    begun = []

    def work(number: int) -> None:
        begun.append(number)
        stop.set()

    with pytest.raises(CancelledError):
        Cores(stop).each(work, range(1000))

    assert len(begun) < 1000
