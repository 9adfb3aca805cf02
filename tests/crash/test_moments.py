"""Killed at random moments, up to three times, and in the middle of what only the provider or the network does."""

from __future__ import annotations

import random

import pytest

from tests.crash.conftest import NewTrial, Undisturbed
from tests.crash.films import TWELVE, TWELVE_TAKES
from tests.crash.trial import Trial

MOMENTS = 100
A_WHILE = 20.0


def finished(trial: Trial, undisturbed: Undisturbed) -> None:
    """The film is made, is the one that nobody disturbed, and each of its takes was paid once."""
    assert trial.finish(1).code == 0, trial.ended
    trial.check_one_charge_a_take(TWELVE_TAKES)
    trial.check_store()
    assert trial.check_film() == undisturbed.frames


@pytest.mark.crash
@pytest.mark.parametrize("seed", range(MOMENTS))
def test_killed_at_random_moments_a_film_is_resumed_and_every_take_was_paid_once(
    seed: int, new_trial: NewTrial, undisturbed: Undisturbed
) -> None:
    draws = random.Random(seed)
    trial = new_trial(TWELVE)
    for _ in range(draws.randint(1, 3)):
        trial.killed_after(draws.uniform(0.0, 1.1) * undisturbed.took_s, group=draws.random() < 0.5)
    finished(trial, undisturbed)


@pytest.mark.crash
@pytest.mark.parametrize("nth", range(1, TWELVE_TAKES + 1))
def test_killed_while_the_reply_to_a_request_is_on_its_way(
    nth: int, new_trial: NewTrial, undisturbed: Undisturbed
) -> None:
    trial = new_trial(TWELVE)
    trial.set_faults({"fault": "hang", "call": "submit", "nth": nth, "after_s": A_WHILE})
    killed = trial.killed_when(lambda: trial.faults_given() > 0, group=nth % 2 == 0, phase="the reply under way")
    assert killed.was_killed
    trial.set_faults()
    finished(trial, undisturbed)


@pytest.mark.crash
@pytest.mark.parametrize("nth", range(1, TWELVE_TAKES + 1))
def test_killed_while_a_request_is_not_answered_and_not_accepted(
    nth: int, new_trial: NewTrial, undisturbed: Undisturbed
) -> None:
    """It left, and nobody took it: the same UUID goes once more after the grace time."""
    trial = new_trial(TWELVE)
    trial.set_faults({"fault": "drop_request", "call": "submit", "nth": nth})
    killed = trial.killed_when(lambda: trial.faults_given() > 0, group=nth % 2 == 0, phase="the request lost")
    assert killed.was_killed
    trial.set_faults()
    finished(trial, undisturbed)


@pytest.mark.crash
@pytest.mark.parametrize("nth", range(1, TWELVE_TAKES + 1))
def test_killed_in_the_middle_of_a_download(nth: int, new_trial: NewTrial, undisturbed: Undisturbed) -> None:
    trial = new_trial(TWELVE)
    trial.set_faults({"fault": "drip", "call": "download", "nth": nth, "over_s": A_WHILE})
    killed = trial.killed_when(lambda: trial.faults_given() > 0, group=nth % 2 == 0, phase="a download under way")
    assert killed.was_killed
    trial.set_faults()
    finished(trial, undisturbed)


@pytest.mark.crash
@pytest.mark.parametrize("seed", range(12))
def test_killed_again_and_again_it_comes_to_its_end(seed: int, new_trial: NewTrial, undisturbed: Undisturbed) -> None:
    """Each run lives for a moment; what it did in that moment is never done again."""
    draws = random.Random(seed)
    trial = new_trial(TWELVE)
    for _ in range(8):
        trial.killed_after(draws.uniform(0.1, 0.5) * undisturbed.took_s, group=draws.random() < 0.5)
    finished(trial, undisturbed)
