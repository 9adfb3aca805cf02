"""Two processes that want the same film at the same time share its takes."""

from __future__ import annotations

import random
import time

import pytest

from tests.crash.conftest import NewTrial
from tests.crash.films import in_a_row
from tests.crash.trial import film_frames

SHOTS = 20
_ASLEEP_S = 20.0


@pytest.mark.crash
@pytest.mark.parametrize("latency_s", [0.0, 1.0])
def test_two_runs_of_twenty_shots_at_once_pay_for_twenty(latency_s: float, new_trial: NewTrial) -> None:
    trial = new_trial(in_a_row(SHOTS), latency_s=latency_s)
    others = trial.folder / "other.mp4"
    both = [trial.start(), trial.start(output=str(others))]
    ended = [trial.ends(running) for running in both]
    assert [one.code for one in ended] == [0, 0], ended
    trial.check_one_charge_a_take(SHOTS)
    trial.check_store()
    assert trial.check_film() == film_frames(others)
    # What the two say that they made adds up to what was made, once.
    assert sum(one.outcome["generated"] for one in ended) == SHOTS


@pytest.mark.crash
@pytest.mark.parametrize("seed", range(10))
def test_one_of_two_is_killed_and_the_other_goes_on(seed: int, new_trial: NewTrial) -> None:
    draws = random.Random(seed)
    trial = new_trial(in_a_row(SHOTS))
    survivor = trial.start(output=str(trial.film))
    trial.killed_after(draws.uniform(0.0, 4.0), group=draws.random() < 0.5)
    assert trial.ends(survivor).code == 0, trial.ended
    trial.check_one_charge_a_take(SHOTS)
    trial.check_store()
    trial.check_film()


@pytest.mark.crash
@pytest.mark.parametrize("seed", range(20))
def test_a_run_that_sleeps_past_its_lease_wakes_up_beside_its_successor(seed: int, new_trial: NewTrial) -> None:
    """The machine of one run falls asleep at a random moment; another run takes over; then the first goes on."""
    draws = random.Random(seed)
    trial = new_trial(in_a_row(SHOTS // 2), latency_s=draws.choice([0.0, 0.5]))
    sleeper = trial.start(output=str(trial.folder / "other.mp4"))
    time.sleep(draws.uniform(0.1, 3.0))
    sleeper.sleep()
    successor = trial.start()
    # It is woken at the latest when the successor is done; where it sleeps with the ledger locked, a little earlier.
    wakes = time.monotonic() + draws.choice([2.0, _ASLEEP_S])
    while not successor.is_over and time.monotonic() < wakes:
        time.sleep(0.02)
    sleeper.wake()
    ended = [trial.ends(successor), trial.ends(sleeper)]
    assert [one.code for one in ended] == [0, 0], ended
    trial.check_one_charge_a_take(SHOTS // 2)
    trial.check_store()
    assert trial.check_film() == film_frames(trial.folder / "other.mp4")
