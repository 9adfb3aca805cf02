"""When things go wrong, Runware's own client sees of the emulator what it would see of Runware.

Each case is one clip whose prompt names it, with rules for that prompt alone. All are made at once.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest

from tasks.emulator import EmulatorServer
from tests.sdk.conftest import QUICK, books, error_of, sdk

# Shared by the tests below, so one worker does them all.
pytestmark = pytest.mark.xdist_group("sdk faults")

FAILURES = (
    # The provider's code, how the client understands it, and whether it would try again.
    ("providerInternalError", "provider", True),
    ("inferenceError", "provider", True),
    ("internalServerError", "serverError", True),
    ("providerContentPolicyViolation", "safety", False),
    # The documented word for a provider that gave up is one that this client does not know.
    ("timeoutProvider", "unknown", False),
)

CASES: dict[str, list[dict[str, Any]]] = {
    **{code: [{"fault": "fail", "code": code, "message": "It went wrong."}] for code, _, _ in FAILURES},
    "one of two": [{"fault": "fail", "results": [1]}],
    "moderation": [{"fault": "refuse_content"}],
    "no credit": [{"fault": "refuse", "code": "insufficientCredits", "status": 402}],
    "429 twice": [{"fault": "status", "status": 429, "retry_after_s": 1, "times": 2}],
    "503 twice": [{"fault": "status", "status": 503, "times": 2}],
    "dropped twice": [{"fault": "drop_request", "times": 2}],
    "429 always": [{"fault": "status", "status": 429}],
    "lost reply": [{"fault": "drop_reply", "times": 1}],
    "gateway": [{"fault": "status", "status": 503, "accept": True, "times": 1}],
    "bad questions": [
        {"fault": "status", "call": "poll", "status": 500, "times": 1},
        {"fault": "drop_reply", "call": "poll", "times": 1},
        {"fault": "lose_task", "call": "poll", "times": 1},
    ],
    "empty errors": [{"fault": "empty_errors", "call": "poll"}],
}


@dataclass(frozen=True)
class Played:
    """How a case went: what the client told, the task in the books, how often each rule was met."""

    outcome: Any
    task: dict[str, Any] | None
    given: list[int]

    @property
    def error(self) -> dict[str, Any]:
        return error_of(self.outcome)

    @property
    def charge_usd(self) -> str:
        assert self.task is not None
        return str(self.task["charge_usd"])


@pytest.fixture(scope="module")
def played() -> dict[str, Played]:
    prompts = {name: f"A tram climbs through autumn trees ({name})" for name in CASES}
    rules = [{**rule, "prompt": prompts[name]} for name, case in CASES.items() for rule in case]
    requests = [
        {"positivePrompt": prompt, "numberResults": 2 if name == "one of two" else 1}
        for name, prompt in prompts.items()
    ]
    with EmulatorServer(replace(QUICK, faults={"rules": rules})) as server:
        told = sdk(server, "clips", *map(json.dumps, requests))
        tasks = {task["request"]["positivePrompt"]: task for task in books(server)["tasks"]}
        given = iter(httpx.get(f"{server.origin}/_emulator/faults").json()["given"])
    return {
        name: Played(each["results"], tasks.get(prompts[name]), [next(given) for _ in CASES[name]])
        for name, each in zip(CASES, told, strict=True)
    }


@pytest.mark.parametrize(("code", "understood", "is_worth_another_try"), FAILURES)
def test_a_clip_that_fails_is_an_error_of_its_kind_and_costs_nothing(
    played: dict[str, Played], code: str, understood: str, *, is_worth_another_try: bool
) -> None:
    case = played[code]
    assert (case.error["code"], case.error["retryable"]) == (understood, is_worth_another_try)
    assert case.error["message"] == "It went wrong."
    assert case.task is not None
    assert (case.task["taskUUID"], case.task["state"]) == (case.error["task_uuid"], "error")
    assert case.charge_usd == "0.00"


def test_the_first_failure_ends_its_waiting_though_the_other_clip_is_made_and_charged(
    played: dict[str, Played],
) -> None:
    case = played["one of two"]
    assert case.error["code"] == "provider"
    assert case.charge_usd == "0.42"


def test_what_moderation_refuses_is_an_error_of_safety_that_names_the_input(played: dict[str, Played]) -> None:
    case = played["moderation"]
    assert (case.error["code"], case.error["parameter"], case.error["retryable"]) == ("safety", "positivePrompt", False)
    assert (case.task, case.given) == (None, [1])


def test_an_empty_account_is_an_error_of_quota(played: dict[str, Played]) -> None:
    case = played["no credit"]
    assert (case.error["code"], case.error["status_code"], case.error["retryable"]) == ("quota", 402, False)
    assert (case.task, case.given) == (None, [1])


@pytest.mark.parametrize("name", ["429 twice", "503 twice", "dropped twice"])
def test_a_submission_that_is_not_taken_is_sent_again_and_paid_once(played: dict[str, Played], name: str) -> None:
    case = played[name]
    [result] = case.outcome
    assert case.task is not None
    assert (case.task["taskUUID"], case.charge_usd, case.given) == (result["taskUUID"], "0.42", [2])


def test_too_many_requests_for_too_long_are_an_error_and_nothing_is_taken(played: dict[str, Played]) -> None:
    case = played["429 always"]
    assert case.error["status_code"] == 429
    assert (case.task, case.given) == (None, [4])


@pytest.mark.parametrize("name", ["lost reply", "gateway"])
def test_a_reply_lost_after_acceptance_makes_it_give_up_a_clip_that_is_charged(
    played: dict[str, Played], name: str
) -> None:
    case = played[name]
    # It sends the same UUID again, is told that there is such a task, and takes that for its user's mistake.
    assert (case.error["code"], case.error["parameter"], case.error["retryable"]) == ("validation", "taskUUID", False)
    assert case.task is not None
    assert (case.task["taskUUID"], case.charge_usd) == (case.error["task_uuid"], "0.42")


def test_questions_that_fail_are_asked_again(played: dict[str, Played]) -> None:
    case = played["bad questions"]
    [result] = case.outcome
    assert (result["status"], case.charge_usd, case.given) == ("success", "0.42", [1, 1, 1])


def test_an_empty_list_of_errors_is_an_error_to_this_client(played: dict[str, Played]) -> None:
    case = played["empty errors"]
    assert (case.error["code"], case.error["retryable"]) == ("unknown", False)


def test_a_plan_that_is_put_into_a_running_emulator_meets_the_client(server: EmulatorServer) -> None:
    plan = {"rules": [{"fault": "fail", "code": "modelUnavailable"}]}
    httpx.put(f"{server.origin}/_emulator/faults", json=plan).raise_for_status()

    error = error_of(sdk(server, "text")["results"])

    assert (error["code"], error["retryable"]) == ("provider", True)
