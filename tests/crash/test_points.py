"""Killed at every point at which something becomes true for good: a commit, a rename, the work of a child process."""

from __future__ import annotations

import pytest

from tests.crash.conftest import NewTrial, Undisturbed
from tests.crash.films import TWELVE, TWELVE_TAKES
from tests.crash.kills import At, Kill

# More than a run of the film of twelve shots has; a point that is never reached disturbs nobody.
POINTS: dict[At, int] = {"before-commit": 80, "after-commit": 80, "rename": 64, "process": 24}

# Every second time, what ffmpeg was doing goes on behind the back of the next run.
EVERY = [Kill(at, nth, group=nth % 2 == 0) for at, most in POINTS.items() for nth in range(1, most + 1)]


@pytest.mark.crash
@pytest.mark.parametrize("kill", EVERY, ids=str)
def test_killed_at_any_point_a_film_is_resumed_and_every_take_was_paid_once(
    kill: Kill, new_trial: NewTrial, undisturbed: Undisturbed
) -> None:
    trial = new_trial(TWELVE)
    first = trial.run(kill)
    assert first.was_killed or first.code == 0, first
    assert trial.finish(1).code == 0, trial.ended
    trial.check_one_charge_a_take(TWELVE_TAKES)
    trial.check_store()
    assert trial.check_film() == undisturbed.frames


@pytest.mark.crash
@pytest.mark.parametrize("at", POINTS)
def test_a_run_has_no_more_points_than_are_tried(at: At, new_trial: NewTrial) -> None:
    trial = new_trial(TWELVE)
    assert trial.run(Kill(at, POINTS[at])).code == 0, f"raise POINTS[{at!r}]"
