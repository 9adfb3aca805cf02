"""What the provider's errors mean for the money."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tasks.errors import (
    Charged,
    ContentRefused,
    KeyRefused,
    NoCredit,
    ProviderError,
    ProviderFailed,
    ProviderTimeout,
    RateLimited,
    RequestRejected,
    ShotchainError,
)
from tasks.runware.failures import failure_from_error, failure_from_status, is_verdict, verdict_of
from tasks.runware.messages import Reply

KINDS = {
    KeyRefused: "invalidApiKey missingApiKey unauthorized forbidden permissionDenied tokenExpired accountSuspended",
    NoCredit: "insufficientCredits insufficientBalance quotaExceeded exceedsQuota paymentRequired",
    RateLimited: "rateLimitExceeded providerRateLimitExceeded tooManyRequests noAvailableServer",
    ProviderTimeout: "timeoutProvider providerTimeout",
    ContentRefused: "contentPolicyViolation providerContentPolicyViolation invalidProviderContent nsfwContentDetected "
    "sensitiveContentDetected promptBlocked imageBlocked moderationFailed safetyViolation",
    RequestRejected: "invalidSafetyMode unsupportedSafety invalidOutputFormat unsupportedOutputQuality invalidNumberResults invalidModel invalidDuration unsupportedDuration invalidPositivePromptLength missingParameter "
    "unsupportedTaskType unknownParameter incompatibleParameters valueTooLarge arrayTooSmall conflictTaskUUID "
    "mismatchProviderSettingsProvider unknownProviderSettingsProvider",
    ProviderFailed: "providerInternalError inferenceError processingFailed taskFailed downloadFailed uploadFailed "
    "modelUnavailable internalServerError serviceUnavailable",
    ProviderError: "unknown somethingElse unknownError unknownProviderFailure missingOutput invalidResponse "
    "duplicateResult taskCancelled generationFailed providerUnavailable accountServiceError moderationServiceFault",
}


@pytest.mark.parametrize(("kind", "code"), [(kind, code) for kind, codes in KINDS.items() for code in codes.split()])
def test_codes_are_told_apart(kind: type[ShotchainError], code: str) -> None:
    error = failure_from_error({"code": code, "message": "why"})
    assert type(error) is kind
    assert code in str(error)
    assert "why" in str(error)


@pytest.mark.parametrize("error", [{}, {"code": None}, {"message": "no code"}, {"code": 7}, {"code": []}])
def test_an_error_without_a_code_is_not_taken_for_a_refusal(error: dict[str, Any]) -> None:
    failure = failure_from_error(error)
    assert type(failure) is ProviderError
    assert failure.charged is Charged.UNKNOWN
    assert not failure.transient


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, RequestRejected),
        (400, RequestRejected),
        (401, KeyRefused),
        (402, NoCredit),
        (403, KeyRefused),
        (404, RequestRejected),
        (408, ProviderFailed),
        (429, RateLimited),
        (500, ProviderFailed),
        (502, ProviderFailed),
        (503, RateLimited),
        (504, RateLimited),
    ],
)
def test_the_status_decides_where_the_code_is_not_known(status: int, kind: type[ShotchainError]) -> None:
    assert type(failure_from_status(Reply(status))) is kind
    # A code that nobody knows, in a refusal, may be about anything, the money too.
    known = ProviderError if kind is RequestRejected else kind
    assert type(failure_from_error({"code": "somethingElse"}, status_code=status)) is known
    assert failure_from_status(Reply(200)) is None


@pytest.mark.parametrize("status", [429, 503, 504])
@pytest.mark.parametrize("code", ["serviceUnavailable", "internalServerError", "queueTimeout", "gatewayTimeout"])
def test_a_status_that_says_busy_outweighs_a_code_that_says_failed(status: int, code: str) -> None:
    error = failure_from_error({"code": code, "message": "no room"}, status_code=status, retry_after_s=3.0)
    assert isinstance(error, RateLimited)
    assert (error.code, error.retry_after_s) == (code, 3.0)


@pytest.mark.parametrize(
    ("code", "kind"),
    [("invalidDuration", RequestRejected), ("invalidApiKey", KeyRefused), ("promptBlocked", ContentRefused)],
)
def test_a_refusal_is_one_under_a_status_that_says_busy(code: str, kind: type[ShotchainError]) -> None:
    assert type(failure_from_error({"code": code}, status_code=503)) is kind


def test_all_that_the_error_says_is_kept() -> None:
    wire = {
        "code": "unsupportedDuration",
        "message": "no",
        "parameter": ["duration", "inputs.video"],
        "allowedValues": [5, 10],
        "taskUUID": "one",
        "documentation": "https://example.test",
    }
    error = failure_from_error(wire)
    assert isinstance(error, RequestRejected)
    assert error.details == wire
    assert (error.code, error.parameter, error.task_uuid) == ("unsupportedDuration", "duration, inputs.video", "one")
    assert error.advice == "Accepted: 5, 10."


def test_a_cost_that_is_named_was_charged() -> None:
    error = failure_from_error({"code": "contentPolicyViolation", "cost": Decimal("0.05")})
    assert (error.charged, error.cost_usd) == (Charged.YES, Decimal("0.05"))


def test_the_wait_that_was_asked_for_is_known() -> None:
    error = failure_from_error({"code": "rateLimitExceeded"}, status_code=429, retry_after_s=7.0)
    assert isinstance(error, RateLimited)
    assert error.retry_after_s == 7.0


@pytest.mark.parametrize(
    ("error", "status", "is_one"),
    [
        ({"code": "timeoutProvider", "status": "error", "taskUUID": "one"}, 200, True),
        ({"code": "providerRateLimitExceeded", "status": "error", "taskUUID": "one"}, 200, True),
        ({"code": "inferenceError", "taskUUID": "one"}, 400, True),
        ({"code": "contentPolicyViolation", "taskUUID": "one"}, 200, True),
        ({"code": "invalidFrameImageWidth", "taskUUID": "one", "taskType": "videoInference"}, 200, True),
        ({"code": "somethingElse", "taskUUID": "one"}, 200, True),
        ({"code": "rateLimitExceeded", "taskUUID": "one"}, 200, False),
        ({"code": "rateLimitExceeded", "taskUUID": "one"}, 429, False),
        ({"code": "internalServerError", "taskUUID": "one"}, 500, False),
        ({"code": "invalidParameter", "taskUUID": "one", "taskType": "getResponse"}, 400, False),
        ({"code": "invalidParameter", "taskUUID": "one", "taskType": "getResponse"}, 200, False),
        ({"code": "somethingElse", "taskUUID": "one"}, 400, False),
        ({"code": "invalidApiKey"}, 401, False),
        ({"code": "insufficientCredits", "taskUUID": "one"}, 402, False),
        ({"code": "inferenceError"}, 200, False),
        ({"code": "taskNotFound", "taskUUID": "one", "status": "error"}, 404, False),
        ({"code": "conflictTaskUUID", "taskUUID": "one"}, 400, False),
    ],
)
def test_a_question_that_fails_is_no_verdict_on_the_task(error: dict[str, Any], status: int, is_one: bool) -> None:
    assert is_verdict(error, status) is is_one
    verdict = verdict_of(Reply(status, errors=(error,)), "one")
    assert (verdict is not None) is is_one


def test_a_verdict_on_another_task_is_none_on_this() -> None:
    reply = Reply(200, errors=({"code": "inferenceError", "taskUUID": "two", "status": "error"},))
    assert verdict_of(reply, "one", alone=True) is None
    assert isinstance(verdict_of(reply, "two"), ProviderFailed)


@pytest.mark.parametrize(
    ("code", "charged"),
    [
        ("contentPolicyViolation", Charged.UNKNOWN),
        ("invalidFrameImageWidth", Charged.UNKNOWN),
        ("providerRateLimitExceeded", Charged.UNKNOWN),
        ("inferenceError", Charged.UNKNOWN),
        ("insufficientCredits", Charged.NO),
    ],
)
def test_what_ends_a_task_that_was_accepted_may_have_cost(code: str, charged: Charged) -> None:
    error = {"code": code, "status": "error", "taskUUID": "one"}
    verdict = verdict_of(Reply(200, errors=(error,)), "one")
    assert verdict is not None
    assert verdict.charged is charged
    named = verdict_of(Reply(200, errors=({**error, "cost": Decimal(0)},)), "one")
    assert named is not None
    assert named.charged is Charged.NO
