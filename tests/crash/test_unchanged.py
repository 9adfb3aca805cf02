"""What is made already costs nothing and is not asked for: a hundred shots, and then one of them changed."""

from __future__ import annotations

import time

import pytest

from tests.crash.conftest import NewTrial
from tests.crash.films import in_a_row

SHOTS = 100


@pytest.mark.crash
def test_a_hundred_shots_again_send_nothing_and_one_changed_sends_itself_and_what_takes_its_frames(
    new_trial: NewTrial,
) -> None:
    trial = new_trial(in_a_row(SHOTS), instant=True)
    took_s = []
    for _ in range(2):
        began = time.monotonic()
        assert trial.run(max_in_flight=100).code == 0, trial.ended
        took_s.append(time.monotonic() - began)
        if len(took_s) == 1:
            before = trial.books()
            made = trial.check_film()
    assert trial.books()["counts"] == before["counts"]
    assert trial.ended[-1].outcome["reused"] == SHOTS
    assert trial.ended[-1].outcome["cost_usd"] == "0.00"
    assert trial.check_film() == made

    # Shot 49 is the one from which shot 50 continues.
    trial.write(in_a_row(SHOTS, edited=49))
    began = time.monotonic()
    assert trial.run().code == 0, trial.ended
    took_s.append(time.monotonic() - began)
    after = trial.books()
    known = {task["taskUUID"] for task in before["tasks"]}
    sent = [task["request"]["positivePrompt"] for task in after["tasks"] if task["taskUUID"] not in known]
    assert sorted(sent) == ["Shot 49, a gull in fog", "Shot 50, a lighthouse in fog"]
    assert after["counts"]["videoInference"] == before["counts"]["videoInference"] + 2
    assert after["counts"]["downloads"] == before["counts"]["downloads"] + 2
    trial.check_film()
    trial.notes.append(
        "{} shots: made in {:.1f} s, unchanged in {:.1f} s, one changed in {:.1f} s".format(SHOTS, *took_s)
    )
