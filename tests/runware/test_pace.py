"""Pauses grow with the wait, are bounded, and remember what is usual."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.runware.pace import Pace

SECONDS = st.floats(0, 100_000)


def knowing(*spans: tuple[float, float]) -> Pace:
    pace = Pace()
    for in_work_s, over_s in spans:
        pace.learn(in_work_s, over_s)
    return pace


@given(SECONDS, SECONDS, st.lists(st.tuples(SECONDS, SECONDS).map(sorted), max_size=30))
def test_a_pause_is_a_quarter_of_a_second_to_ten_seconds(
    waited_s: float, longest_s: float, spans: list[list[float]]
) -> None:
    pace = knowing(*((low, high) for low, high in spans))
    assert 0.25 <= pace.pause_s(waited_s, longest_s) <= 10.0


@given(SECONDS, st.lists(st.tuples(SECONDS, SECONDS).map(sorted), max_size=30))
def test_no_task_is_learnt_of_more_than_a_tenth_late_measured_by_its_own_time_or_the_usual(
    waited_s: float, spans: list[list[float]]
) -> None:
    pace = knowing(*((low, high) for low, high in spans))
    usual_s = min((low for low, _ in spans[-20:]), default=waited_s)
    assert pace.pause_s(waited_s, waited_s) <= max(0.25, 0.1 * max(waited_s, usual_s))


def test_a_new_task_is_asked_about_at_the_pace_of_those_before_it() -> None:
    assert Pace().pause_s(0, 0) == 0.25
    assert Pace().pause_s(0, 50) == pytest.approx(4.5)
    assert knowing((50, 55), (60, 66)).pause_s(0, 200) == pytest.approx(4.5)


def test_questions_come_closer_together_when_a_task_usually_ends() -> None:
    pace = knowing((50, 55), (60, 66))
    assert pace.pause_s(44, 44) == pytest.approx(4.5)
    assert pace.pause_s(50, 50) == pytest.approx(3.0)
    assert pace.pause_s(72, 72) == pytest.approx(4.32)
    assert pace.pause_s(74, 74) == pytest.approx(6.66)


def test_what_was_usual_long_ago_is_forgotten() -> None:
    pace = knowing((1, 2), *[(60.0, 66.0)] * 20)
    assert pace.pause_s(0, 0) == pytest.approx(5.4)
