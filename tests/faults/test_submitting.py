"""What goes wrong while a task is submitted: refused is over and unpaid; lost is asked about; nothing is paid twice."""

from __future__ import annotations

import pytest

from tasks.errors import (
    ContentRefused,
    KeyRefused,
    NoCredit,
    OutcomeUnknown,
    RateLimited,
    RequestRejected,
)
from tests.faults.trial import ALWAYS, SHOT_USD, Case, Trial, fault

CASES = [
    Case(
        "a length that the model does not make",
        [
            fault(
                "refuse",
                code="unsupportedDuration",
                message="Too long.",
                parameter="duration",
                allowed_values=[5, 10],
            )
        ],
        states="refused",
        books_usd="0",
        sent="submit=1 download=0",
        error=RequestRejected,
        says=r"rejected the request: unsupportedDuration \(parameter duration\): Too long\.",
        advises=r"^Accepted: 5, 10\.$",
    ),
    Case(
        "a key that is not accepted",
        [fault("refuse", code="invalidApiKey", status=401)],
        states="refused",
        books_usd="0",
        sent="submit=1 download=0",
        error=KeyRefused,
        says="refused the API key",
        advises="Check RUNWARE_API_KEY",
    ),
    Case(
        "an account that is empty",
        [fault("refuse", code="insufficientCredits", status=402)],
        states="refused",
        books_usd="0",
        sent="submit=1 download=0",
        error=NoCredit,
        says="has no credit",
        advises="Add credit",
    ),
    Case(
        "a failure before the work, which may have cost something",
        [fault("refuse", code="inferenceError", status=400)],
        states="failed stored",
        doubt_usd="0.42",
        sent="submit=2 download=1",
        told="the provider failed: inferenceError: .*; try 2",
    ),
    *(
        Case(
            f"an answer that says {status} without naming a task, though the task was taken",
            [fault("status", status=status, accept=True)],
            sent="submit=1 download=1",
            told="asking what became of it",
        )
        for status in (408, 409, 499)
    ),
    Case(
        "no place in the queue, once",
        [fault("refuse", code="rateLimitExceeded", status=429)],
        sent="submit=2 download=1",
        told="the provider is busy: rateLimitExceeded: .*; trying again",
    ),
    Case(
        "a prompt that moderation refuses at once",
        [fault("refuse_content")],
        states="refused",
        books_usd="0",
        sent="submit=1 download=0",
        error=ContentRefused,
        says="moderation refused it: contentPolicyViolation",
        advises=r"^Change the positivePrompt of this shot\.$",
    ),
    Case(
        "a picture that moderation refuses at once",
        [fault("refuse_content", input="inputs.frameImages")],
        states="refused",
        books_usd="0",
        sent="submit=1 download=0",
        error=ContentRefused,
        advises=r"^Change the inputs\.frameImages of this shot\.$",
    ),
    Case(
        "a picture that moderation refuses in the middle of the work",
        [fault("refuse_content", input="inputs.referenceImages", after_s=0.05)],
        states="failed",
        books_usd="0",
        doubt_usd="0.42",
        sent="submit=1 download=0",
        error=ContentRefused,
        advises=r"^Change the inputs\.referenceImages of this shot\.$",
    ),
    Case(
        "a picture that moderation refuses in the middle of the work, and charges",
        [fault("refuse_content", after_s=0.05, charged=True)],
        states="failed",
        sent="submit=1 download=0",
        error=ContentRefused,
        next_usd="0.84",
    ),
    *(
        Case(
            f"busy ({status}), twice",
            [fault("status", status=status, times=2)],
            sent="submit=3 download=1",
            told=r"(?s)busy.*; trying again.*busy.*; trying again",
        )
        for status in (429, 503, 504)
    ),
    Case(
        "busy for ever, and it is sure that nothing was taken",
        [fault("status", status=429, times=ALWAYS)],
        states="released released released",
        books_usd="0",
        sent="submit=24 download=0",
        error=RateLimited,
        says="busy: rateLimitExceeded",
        told="try 3",
    ),
    Case(
        "busy for ever, and a gateway may be wrong about it",
        [fault("status", status=503, times=ALWAYS)],
        states="unknown",
        books_usd="0",
        doubt_usd="0.42",
        sent="download=0",
        error=OutcomeUnknown,
        says="cannot say what became of it",
        advises=r"shotchain settle [0-9a-f-]{36} --charged, or --not-charged",
        next_usd=None,
    ),
    Case(
        "a server that breaks before it takes the task",
        [fault("status", status=500)],
        sent="submit=2 download=1",
        told="asking what became of it",
    ),
    Case(
        "a server that breaks after it took the task",
        [fault("status", status=500, accept=True)],
        sent="submit=1 download=1",
        told="asking what became of it",
    ),
    Case(
        "a gateway that says busy and passed the task on",
        [fault("status", status=503, accept=True)],
        sent="submit=2 download=1",
        told="busy.*; trying again",
    ),
    Case(
        "a line that is cut before the task arrives",
        [fault("drop_request")],
        sent="submit=2 download=1",
        told="asking what became of it",
    ),
    Case(
        "a line that is cut before the task arrives, both times",
        [fault("drop_request", times=2)],
        states="unknown",
        books_usd="0",
        doubt_usd="0.42",
        sent="submit=2 download=0",
        error=OutcomeUnknown,
        says="its reply was lost, and the provider cannot say what became of it",
        advises="No other task is sent for it, and its price stays reserved",
        next_usd=None,
    ),
    Case(
        "a line that is cut when the task was taken",
        [fault("drop_reply")],
        sent="submit=1 download=1",
        told="asking what became of it",
    ),
    Case(
        "a line that is cut when the task was taken, and questions that know nothing of it",
        [
            fault("drop_reply"),
            fault("lose_task", call="poll", times=ALWAYS),
            fault("lose_task", call="details", times=ALWAYS),
        ],
        states="accepted",
        books_usd="0.42",
        spent_usd="0",
        doubt_usd="0.42",
        sent="submit=2 download=0",
        error=OutcomeUnknown,
        says="no result after",
        advises="run the same command again to fetch it",
        options={"deadline_s": 0.3},
    ),
    Case(
        "an answer that comes late",
        [fault("hang", after_s=0.1)],
    ),
    Case(
        "an answer that comes after nobody waits for it any more",
        [fault("hang", after_s=0.6)],
        sent="submit=1 download=1",
        told="asking what became of it",
        options={"patience_s": 0.3},
    ),
    Case(
        "an answer that trickles",
        [fault("drip", over_s=0.3)],
        options={"patience_s": 0.25},
    ),
    Case("an answer with an empty list of errors", [fault("empty_errors")]),
    Case("an answer with an error beside the task that was taken", [fault("mixed_errors")]),
]


@pytest.mark.thorough
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_what_a_fault_of_submitting_costs_and_leaves(case: Case, trial: Trial) -> None:
    await case.check(trial)


@pytest.mark.thorough
@pytest.mark.parametrize("status", [429, 503])
async def test_a_busy_provider_is_left_alone_for_as_long_as_it_asks(trial: Trial, status: int) -> None:
    # Pauses are scaled down to 1/500, so that 200 s are 0.4 s here; our own first pause would be 2 ms.
    trial.set_faults(fault("status", status=status, retry_after_s=200))
    seen = await trial.run()
    assert seen.gaps_s["submit"] >= 0.4
    assert seen.books_usd == seen.spent_usd == SHOT_USD


async def test_a_task_goes_out_again_under_its_own_uuid_only(trial: Trial) -> None:
    trial.set_faults(fault("drop_request"))
    seen = await trial.run()
    (attempt,) = seen.attempts
    assert attempt.posts == 2
    assert [task["taskUUID"] for task in seen.tasks] == [attempt.task_uuid]
