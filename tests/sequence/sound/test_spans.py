from __future__ import annotations

import time
from concurrent.futures import CancelledError
from itertools import pairwise
from threading import Event

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.sequence.sound.spans import GRID_SAMPLES, side_by_side, spans_of


@given(st.integers(1, 4 * 3600 * 48_000))
def test_spans_follow_one_another_on_the_grid_from_end_to_end(samples: int) -> None:
    spans = spans_of(samples)

    assert spans[0].begin == 0
    assert spans[-1].end == samples
    assert all(earlier.end == later.begin for earlier, later in pairwise(spans))
    assert all(span.begin % GRID_SAMPLES == 0 for span in spans)
    assert all(0 < span.end - span.begin <= 20 * 48_000 for span in spans)
    assert len(spans) == 1 or len(spans) % 2 == 0


def test_results_come_in_order() -> None:
    assert side_by_side(lambda number: number * number, range(50), Event()) == [number * number for number in range(50)]


def test_a_failure_is_raised_and_what_waits_is_not_begun() -> None:
    begun = []

    def work(number: int) -> int:
        begun.append(number)
        time.sleep(0.002)
        return 1 // (number - 3)

    with pytest.raises(ZeroDivisionError):
        side_by_side(work, range(2000), Event())

    assert len(begun) < 2000


def test_what_was_stopped_begins_nothing_more() -> None:
    stop = Event()
    begun = []

    def work(number: int) -> None:
        begun.append(number)
        stop.set()

    with pytest.raises(CancelledError):
        side_by_side(work, range(1000), stop)

    assert len(begun) < 1000
