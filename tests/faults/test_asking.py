"""What goes wrong while a task is asked about: a question costs nothing, and its failure says nothing of the task."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tasks.emulator import EmulatorServer, EmulatorSettings
from tasks.errors import KeyRefused, OutcomeUnknown
from tests.clips.house import make_plan
from tests.faults.conftest import NewTrial
from tests.faults.trial import ALWAYS, SHOT_USD, Case, Trial, fault

NOTHING = Decimal(0)
IMPATIENT = {"patience_s": 0.25}

POLLS = [
    *(
        Case(
            f"a provider that does not answer ({status}), four times",
            [fault("status", call="poll", status=status, times=4)],
            sent="submit=1 poll=5 download=1",
            told=r"The provider does not answer just now \(.*\); still asking",
        )
        for status in (429, 500, 503, 504)
    ),
    Case(
        "a provider that answers with an error, and would have known",
        [fault("status", call="poll", status=500, accept=True)],
        sent="submit=1 poll=2 download=1",
    ),
    Case("a question that gets lost", [fault("drop_request", call="poll")], sent="submit=1 poll=2 download=1"),
    Case("an answer that gets lost", [fault("drop_reply", call="poll")], sent="submit=1 poll=2 download=1"),
    Case("an answer that comes late", [fault("hang", call="poll", after_s=0.1)], sent="submit=1 poll=1 download=1"),
    Case(
        "an answer that comes after nobody waits for it any more",
        [fault("hang", call="poll", after_s=0.5)],
        sent="submit=1 poll=2 download=1",
        options=IMPATIENT,
    ),
    Case(
        "an answer that trickles",
        [fault("drip", call="poll", over_s=0.3)],
        sent="submit=1 poll=1 download=1",
        options=IMPATIENT,
    ),
    Case("an answer with an empty list of errors", [fault("empty_errors")], sent="submit=1 poll=1 download=1"),
    Case(
        "an answer with an error that names no task, beside the result",
        [fault("mixed_errors", call="poll")],
        sent="submit=1 poll=1 download=1",
    ),
    Case(
        "a question that is refused once",
        [fault("refuse", call="poll")],
        # Before it gives up it looks once more.
        sent="submit=1 poll=2 details=0 download=1",
    ),
    Case(
        "questions that are refused, each",
        [fault("refuse", call="poll", message="No such field.", times=ALWAYS)],
        states="accepted",
        spent_usd="0",
        doubt_usd="0.42",
        sent="submit=1 details=0 download=0",
        error=OutcomeUnknown,
        says=r"does not answer what became of this task: .*invalidParameter: No such field\.",
        advises="run the same command again to fetch it",
    ),
    Case(
        "questions that are refused for their rate, and not for ever",
        [fault("refuse", call="poll", code="rateLimitExceeded", status=429, times=2)],
        sent="submit=1 poll=3 download=1",
    ),
    Case(
        "a key that was withdrawn after the task was taken",
        [fault("refuse", call="poll", code="invalidApiKey", status=401, times=ALWAYS)],
        states="accepted",
        spent_usd="0",
        doubt_usd="0.42",
        sent="submit=1 download=0",
        error=KeyRefused,
        says="refused the API key",
        advises="Check RUNWARE_API_KEY",
    ),
    Case(
        "a task of which nothing is said for a while",
        [fault("lose_task", times=3)],
        sent="submit=1 poll=4 download=1",
    ),
    Case(
        "a task of which only getTaskDetails knows",
        [fault("refuse", call="poll", code="taskNotFound", status=404, times=ALWAYS)],
        sent="submit=1 details=1 download=1",
    ),
    Case(
        "a task that was taken and is known nowhere any more",
        [
            fault("refuse", call="poll", code="taskNotFound", status=404, times=ALWAYS),
            fault("lose_task", call="details", times=ALWAYS),
        ],
        states="unknown",
        spent_usd="0",
        doubt_usd="0.42",
        sent="submit=1 download=0",
        error=OutcomeUnknown,
        says=r"accepted this task and says now that it knows none \(taskNotFound\)",
        advises="Its price stays reserved. See the task at the provider; the next run asks once more",
    ),
    Case(
        "a task that never came, and a provider that says so",
        [fault("drop_request"), fault("unknown_task", times=ALWAYS)],
        sent="submit=2 download=1",
        told="asking what became of it",
    ),
    Case(
        "a task that never came, and both answers are errors",
        [
            fault("drop_request"),
            fault("unknown_task", times=ALWAYS),
            fault("unknown_task", call="details", times=ALWAYS),
        ],
        sent="submit=2 download=1",
    ),
]

LOST = [fault("drop_reply"), fault("lose_task", times=ALWAYS)]
"""The reply to a submission is lost, and only getTaskDetails knows of the task."""

DETAILS = [
    *(
        Case(f"details that cannot be had ({status})", [*LOST, fault("status", call="details", status=status, times=2)])
        for status in (429, 503)
    ),
    Case("details that come with an error", [*LOST, fault("status", call="details", status=500, accept=True)]),
    Case("a question for details that gets lost", [*LOST, fault("drop_request", call="details")]),
    Case("details that get lost", [*LOST, fault("drop_reply", call="details")]),
    Case("details that come late", [*LOST, fault("hang", call="details", after_s=0.5)], options=IMPATIENT),
    Case("details that trickle", [*LOST, fault("drip", call="details", over_s=0.3)], options=IMPATIENT),
    Case("details with an empty list of errors", [*LOST, fault("empty_errors", call="details")]),
    Case("details with an error that names no task", [*LOST, fault("mixed_errors", call="details")]),
    Case("details that say once that there is no such task", [*LOST, fault("lose_task", call="details")]),
    Case(
        "a provider that keeps no details",
        [
            fault("drop_reply"),
            fault("lose_task", times=2),
            fault("refuse", call="details", code="unsupportedTaskType", times=ALWAYS),
        ],
        # So long that it may not be sent again before it is asked about for the third time, however busy the machine.
        options={"grace_s": 3.0},
    ),
]

BATCHES = fault("refuse_batches", times=ALWAYS)
STUCK = fault("stuck", times=ALWAYS)


@pytest.mark.thorough
@pytest.mark.parametrize("case", POLLS, ids=lambda case: case.name)
async def test_what_a_fault_of_polling_costs_and_leaves(case: Case, trial: Trial) -> None:
    await case.check(trial)


@pytest.mark.thorough
@pytest.mark.parametrize("case", DETAILS, ids=lambda case: case.name)
async def test_what_a_fault_of_details_costs_and_leaves(case: Case, trial: Trial) -> None:
    await case.check(trial)


async def test_questions_wait_for_as_long_as_the_provider_asks(trial: Trial) -> None:
    trial.set_faults(fault("status", call="poll", status=503, retry_after_s=200))
    seen = await trial.run()
    assert seen.gaps_s["poll"] >= 0.4
    assert seen.books_usd == seen.spent_usd == SHOT_USD


async def test_where_only_one_question_is_answered_at_a_time_they_are_asked_so_and_it_is_said_once(
    new_trial: NewTrial,
) -> None:
    trial = new_trial(make_plan("a tram", "a ferry", "a gull", provider="emulator"))
    # Nothing is asked one by one while one is left, so all three are kept in work for a while.
    trial.set_faults(BATCHES, fault("status", call="poll", times=1))
    seen = await trial.run()
    assert len(seen.taken) == 3
    assert seen.told.count("asking one by one") == 1
    assert seen.books_usd == seen.spent_usd == 3 * SHOT_USD
    assert seen.doubt_usd == 0


async def test_a_task_that_takes_longer_than_a_run_waits_is_fetched_by_the_next(new_trial: NewTrial) -> None:
    with EmulatorServer(EmulatorSettings(instant=True, frames_per_second=1, latency_s=0.8)) as slow:
        trial = new_trial(make_plan("a tram", provider="emulator"), slow)
        seen = await trial.run(deadline_s=0.2)
        assert isinstance(seen.error, OutcomeUnknown)
        assert seen.error.exit_code == 5
        assert "no result after 0 s" in seen.error.message
        assert "run the same command again to fetch it" in str(seen.error.advice)
        assert (seen.states, seen.doubt_usd, seen.spent_usd, seen.books_usd) == ("accepted", SHOT_USD, NOTHING, NOTHING)

        seen = await trial.run("next")
        assert "submit" not in seen.sent
        assert (seen.states, seen.doubt_usd, seen.spent_usd, seen.books_usd) == ("stored", NOTHING, SHOT_USD, SHOT_USD)
        assert [one.paid_usd for one in seen.taken] == [0]


async def test_a_task_that_is_stuck_stays_the_providers_and_is_never_bought_again(trial: Trial) -> None:
    trial.set_faults(STUCK)
    for run_id in ("first", "second", "third"):
        seen = await trial.run(run_id, deadline_s=0.1)
        assert isinstance(seen.error, OutcomeUnknown)
        assert (seen.states, seen.doubt_usd, seen.spent_usd, seen.books_usd) == ("accepted", SHOT_USD, NOTHING, NOTHING)
        assert seen.sent.count("submit") == (run_id == "first")
    assert len(seen.tasks) == 1
