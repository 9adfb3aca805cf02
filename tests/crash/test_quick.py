"""A few of the trials of this folder, for every day; `make test-crash` makes them all."""

from __future__ import annotations

import random

import pytest

from tests.crash.conftest import NewTrial
from tests.crash.films import in_a_row
from tests.crash.kills import Kill
from tests.crash.test_faults import disturbed

SHOTS = 4
POINTS = [Kill("after-commit", 9), Kill("rename", 5, group=True)]


@pytest.mark.parametrize("kill", POINTS, ids=str)
def test_killed_at_a_point_a_film_is_resumed_and_every_take_was_paid_once(kill: Kill, new_trial: NewTrial) -> None:
    trial = new_trial(in_a_row(SHOTS))
    assert trial.run(kill).was_killed
    assert trial.finish(1).code == 0, trial.ended
    trial.check_one_charge_a_take(SHOTS)
    trial.check_store()
    trial.check_film()


def test_killed_at_random_moments_a_film_is_resumed_and_every_take_was_paid_once(new_trial: NewTrial) -> None:
    draws = random.Random(0)
    trial = new_trial(in_a_row(SHOTS))
    for _ in range(3):
        trial.killed_after(draws.uniform(0.1, 1.0), group=draws.random() < 0.5)
    assert trial.finish(1).code == 0, trial.ended
    trial.check_one_charge_a_take(SHOTS)
    trial.check_store()
    trial.check_film()


@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_happens_on_the_way_nothing_is_paid_twice(seed: int, new_trial: NewTrial) -> None:
    disturbed(seed, new_trial)


def test_two_runs_at_once_pay_once(new_trial: NewTrial) -> None:
    trial = new_trial(in_a_row(SHOTS))
    both = [trial.start(), trial.start(output=str(trial.folder / "other.mp4"))]
    assert [trial.ends(running).code for running in both] == [0, 0], trial.ended
    trial.check_one_charge_a_take(SHOTS)
