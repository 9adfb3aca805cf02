from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.runware.pauses import Pauses


@given(turn=st.integers(1, 5000), seed=st.integers())
def test_waits_double_up_to_a_limit_and_are_jittered(turn: int, seed: int) -> None:
    seconds = Pauses(random_source=random.Random(seed)).backoff_s(turn, first_s=0.5, most_s=30.0)
    rule = min(30.0, 0.5 * 2.0 ** min(turn - 1, 100))
    assert rule / 2 <= seconds <= rule


def test_what_the_provider_asks_for_is_waited() -> None:
    pauses = Pauses()
    assert pauses.backoff_s(1, first_s=1, most_s=30, asked_s=7.0) == pytest.approx(7.35, abs=0.35)
    assert pauses.backoff_s(1, first_s=1, most_s=30, asked_s=80_000.0) == pytest.approx(630.0, abs=30.0)
    assert 0.5 <= pauses.backoff_s(1, first_s=1, most_s=30, asked_s=0.0) <= 1.0


def test_those_who_were_told_the_same_do_not_come_back_together_and_never_too_soon() -> None:
    pauses = Pauses()
    waits = {pauses.backoff_s(1, first_s=1, most_s=30, asked_s=5.0) for _ in range(20)}
    assert len(waits) > 10
    assert min(waits) >= 5.0


def test_the_scale_is_of_every_wait() -> None:
    pauses = Pauses(scale=0.01)
    assert pauses.backoff_s(1, first_s=1, most_s=30, asked_s=7.0) == pytest.approx(0.0735, abs=0.0035)
    assert pauses.jittered_s(10.0) < 0.12
