"""Decides what an error of the provider means: which class, whether trying again helps, whether it may have cost.

The provider has hundreds of codes and does not list them, so the known ones are named here, families are told by
their words, and a code that fits nothing goes by a status that says who or when (401, 402, 429, 5xx); else it is kept
whole and taken as final and possibly charged. A failure under a status that says «busy» is that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

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
from tasks.redaction import redact
from tasks.runware.messages import Reply, money, named_task

__all__ = ["CONFLICT", "failure_from_error", "failure_from_status", "is_not_found", "is_verdict", "verdict_of"]

CONFLICT = "conflictTaskUUID"
"""The provider already knows this taskUUID."""

_NOT_FOUND = {"taskNotFound", "taskFailedOrNotFound", "taskExpired"}

_KEY = re.compile(
    r"(invalid|missing|wrong|expired|revoked).*apikey|unauthori[sz]ed|forbidden|permissiondenied|tokenexpired|"
    r"account(suspended|disabled|blocked|locked|inactive|closed)",
    re.IGNORECASE,
)
_CREDIT = re.compile(
    r"insufficient(credit|balance|fund)|quotaexceeded|exceed(s|ed)quota|paymentrequired", re.IGNORECASE
)
_RATE = re.compile(r"ratelimit|toomanyrequests|noavailableserver|capacity|queue", re.IGNORECASE)
_TIMEOUT = re.compile(r"timeout|timedout", re.IGNORECASE)
_CONTENT = re.compile(
    r"contentpolicy|moderation(?!service)|nsfw|sensitive|(prompt|image|video|content)blocked|unsafe|"
    r"safety(violation|block|filter|check|refus)|invalidprovidercontent|prohibited",
    re.IGNORECASE,
)
_REJECTED = re.compile(
    r"^(invalid|missing|unsupported|unknown(parameter|field|property|providersettings)|incompatible|mismatch|valuetoo|"
    r"arraytoo|exceeds|conflict|duplicate)",
    re.IGNORECASE,
)
# An answer, an output or an error that is invalid or missing is the provider's own, and no word about the request.
_NOT_OF_THE_REQUEST = re.compile(r"(response|output|result|error|failed|failure)$", re.IGNORECASE)
_FAILED = re.compile(
    r"internal|inference|processingfailed|taskfailed|servererror|serviceunavailable|modelunavailable|"
    r"(download|upload)failed|providererror",
    re.IGNORECASE,
)

_TOP_UP = "Add credit to the Runware account, then run the same command again; what is paid is kept."
_CHECK_KEY = "Check RUNWARE_API_KEY; keys are made at my.runware.ai."
_KEY_STATUSES = {401, 403}
_BUSY_STATUSES = {429, 503, 504}


def failure_from_error(
    error: Mapping[str, Any],
    *,
    status_code: int = 200,
    retry_after_s: float | None = None,
    secrets: tuple[str, ...] = (),
) -> ShotchainError:
    """The exception for one error object of a reply, with all that it says.

    Args:
        error: As received.
        status_code: Of the reply that it stood in; decides where the code is not known.
        retry_after_s: Seconds that the reply asked us to wait.
        secrets: Masked wherever the provider repeats them.
    """
    details: dict[str, Any] = redact(dict(error), *secrets)
    code = str(details.get("code") or "unknown")
    told = str(details.get("message") or "").strip()
    parameter = details.get("parameter")
    named = ", ".join(map(str, parameter)) if isinstance(parameter, list) else parameter
    about = f" (parameter {named})" if named else ""
    text = f"{code}{about}: {told}" if told else f"{code}{about}"
    cost_usd = money(error.get("cost"))
    common: dict[str, Any] = {"task_uuid": named_task(error)}
    wire: dict[str, Any] = {"code": code, "parameter": str(named) if named else None, "details": details, **common}
    if cost_usd is not None:
        # The provider says in so many words what it took.
        wire |= {"cost_usd": cost_usd, "charged": Charged.YES if cost_usd else Charged.NO}
    kind = _kind(code, status_code)
    if kind is KeyRefused:
        return KeyRefused(f"the provider refused the API key: {text}", advice=_CHECK_KEY, **common)
    if kind is NoCredit:
        return NoCredit(f"the provider account has no credit: {text}", advice=_TOP_UP, **common)
    if kind is ContentRefused:
        return ContentRefused(
            f"the provider's moderation refused it: {text}",
            advice=f"Change {f'the {named}' if named else 'the prompt or the pictures'} of this shot.",
            **wire,
        )
    if kind is ProviderTimeout:
        return ProviderTimeout(f"the model took too long: {text}", **wire)
    if kind is RateLimited:
        return RateLimited(f"the provider is busy: {text}", retry_after_s=retry_after_s, **wire)
    if kind is RequestRejected:
        allowed = details.get("allowedValues")
        advice = f"Accepted: {', '.join(map(str, allowed))}." if isinstance(allowed, list) and allowed else None
        return RequestRejected(f"the provider rejected the request: {text}", advice=advice, **wire)
    if kind is ProviderFailed:
        return ProviderFailed(f"the provider failed: {text}", **wire)
    return ProviderError(
        f"the provider reported {text}",
        advice="shotchain does not know this code, so it does not try again. See what your account was charged.",
        **wire,
    )


def _kind(code: str, status_code: int) -> type[ShotchainError]:
    for pattern, kind in (
        (_KEY, KeyRefused),
        (_CREDIT, NoCredit),
        (_CONTENT, ContentRefused),
        (_TIMEOUT, ProviderTimeout),
        (_RATE, RateLimited),
        (_REJECTED, RequestRejected),
        (_FAILED, ProviderFailed),
    ):
        if kind is RequestRejected and _NOT_OF_THE_REQUEST.search(code):
            continue
        if pattern.search(code):
            # A gateway that has no room calls it what it likes: serviceUnavailable, queueTimeout.
            is_busy = status_code in _BUSY_STATUSES and kind in {ProviderFailed, ProviderTimeout}
            return RateLimited if is_busy else kind
    by_status = failure_from_status(Reply(status_code))
    # That a request was refused with a code that nobody knows says nothing of what was begun before.
    return ProviderError if by_status is None or isinstance(by_status, RequestRejected) else type(by_status)


def failure_from_status(reply: Reply) -> ShotchainError | None:
    """The exception for a reply's HTTP status where the body says nothing; None for one that is no failure."""
    status = reply.status_code
    if status in _KEY_STATUSES:
        return KeyRefused(f"the provider refused the API key (HTTP {status})", advice=_CHECK_KEY)
    if status == 402:
        return NoCredit("the provider account has no credit (HTTP 402)", advice=_TOP_UP)
    if status in _BUSY_STATUSES:
        return RateLimited(
            f"the provider is busy (HTTP {status})", code=f"http{status}", retry_after_s=reply.retry_after_s
        )
    if status >= 500 or status == 408:
        return ProviderFailed(f"the provider failed (HTTP {status})", code=f"http{status}")
    if status >= 300:
        return RequestRejected(
            f"the provider rejected the request (HTTP {status})",
            code=f"http{status}",
            advice="Check the base URL, version path included." if status < 400 or status in {404, 405} else None,
        )
    return None


def is_not_found(error: Mapping[str, Any]) -> bool:
    """Whether an error says that the provider knows no such task, or no more."""
    return str(error.get("code")) in _NOT_FOUND


def is_verdict(error: Mapping[str, Any], status_code: int) -> bool:
    """Whether an error in an answer about tasks says how a task ended, rather than that the question failed.

    It decides about money: a question that was refused for its rate, its key or its form says nothing of the task,
    which may be in work and will be charged.
    """
    if is_not_found(error) or error.get("code") == CONFLICT:
        return False
    if str(error.get("status")).lower() == "error":
        return True
    if named_task(error) is None or status_code in {*_KEY_STATUSES, 402, 429} or status_code >= 500:
        return False
    kind = _kind(str(error.get("code") or "unknown"), 200)
    if issubclass(kind, ContentRefused | ProviderTimeout | ProviderFailed):
        return True
    if kind in {RateLimited, KeyRefused, NoCredit}:
        return False
    return status_code < 400 and error.get("taskType") != "getResponse"


def verdict_of(
    reply: Reply, task_uuid: str, *, alone: bool = False, secrets: tuple[str, ...] = ()
) -> ShotchainError | None:
    """How the provider ended a task, by its answer to a question about it; None where it has not, or does not say.

    Args:
        reply: The answer.
        task_uuid: The task.
        alone: Whether the question was about this task only.
        secrets: See `failure_from_error`.
    """
    for error in reply.errors:
        own = named_task(error) == task_uuid or (alone and named_task(error) is None)
        if own and is_verdict(error, reply.status_code):
            failure = failure_from_error(error, secrets=secrets)
            if (
                failure.charged is Charged.NO
                and failure.cost_usd is None
                and not isinstance(failure, KeyRefused | NoCredit)
            ):
                # It was accepted and worked on; whether such tasks are billed is nowhere said.
                failure.charged = Charged.UNKNOWN
            return failure
    return None
