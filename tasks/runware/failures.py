"""Decides what an error of the provider means: which class, whether trying again helps, whether it may have cost.

The provider has hundreds of codes and does not list them, so the known ones are named here, families are told by
their words, and a code that fits nothing is kept whole and taken as final and possibly charged.
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
from tasks.runware.messages import Reply

__all__ = ["CONFLICT", "failure_from_error", "failure_from_status"]

CONFLICT = "conflictTaskUUID"
"""The provider already knows this taskUUID."""

_KEY = re.compile(
    r"(invalid|missing|wrong).*apikey|unauthori[sz]ed|forbidden|permissiondenied|tokenexpired|account", re.IGNORECASE
)
_CREDIT = re.compile(r"insufficient(credit|balance|fund)|quotaexceeded|paymentrequired", re.IGNORECASE)
_RATE = re.compile(r"ratelimit|toomanyrequests|noavailableserver|capacity|queue", re.IGNORECASE)
_TIMEOUT = re.compile(r"timeout|timedout", re.IGNORECASE)
_CONTENT = re.compile(
    r"contentpolicy|moderation|nsfw|sensitive|promptblocked|imageblocked|safety|invalidprovidercontent|prohibited",
    re.IGNORECASE,
)
_REJECTED = re.compile(
    r"^(invalid|missing|unsupported|unknown|incompatible|mismatch|valuetoo|arraytoo|exceeds|conflict|duplicate)",
    re.IGNORECASE,
)
_FAILED = re.compile(
    r"internal|inference|processingfailed|taskfailed|servererror|serviceunavailable|modelunavailable|"
    r"(download|upload)failed|providererror",
    re.IGNORECASE,
)

_TOP_UP = "Add credit to the Runware account, then run the same command again; what is paid is kept."
_CHECK_KEY = "Check RUNWARE_API_KEY; keys are made at my.runware.ai."


def failure_from_error(
    error: Mapping[str, Any], *, shot: str | None = None, secrets: tuple[str, ...] = ()
) -> ShotchainError:
    """The exception for one error object of a reply, with all that it says."""
    details: dict[str, Any] = redact(dict(error), *secrets)
    code = str(error.get("code") or "unknown")
    told = redact(str(error.get("message") or "").strip(), *secrets)
    parameter = error.get("parameter")
    named = ", ".join(map(str, parameter)) if isinstance(parameter, list) else parameter
    about = f" (parameter {named})" if named else ""
    text = f"{code}{about}: {told}" if told else f"{code}{about}"
    common: dict[str, Any] = {"shot": shot, "task_uuid": error.get("taskUUID")}
    wire: dict[str, Any] = {"code": code, "parameter": str(named) if named else None, "details": details}
    if _KEY.search(code):
        return KeyRefused(f"the provider refused the API key: {text}", advice=_CHECK_KEY, **common)
    if _CREDIT.search(code):
        return NoCredit(f"the provider account has no credit: {text}", advice=_TOP_UP, **common)
    if _CONTENT.search(code):
        return ContentRefused(
            f"the provider's moderation refused it: {text}",
            advice=f"Change {'the ' + str(named) if named else 'the prompt or the pictures'} of this shot.",
            **common,
            **wire,
        )
    if _TIMEOUT.search(code):
        return ProviderTimeout(f"the model took too long: {text}", **common, **wire)
    if _RATE.search(code):
        return RateLimited(f"the provider is busy: {text}", **common, **wire)
    if _REJECTED.search(code):
        allowed = error.get("allowedValues")
        advice = f"Accepted: {', '.join(map(str, allowed))}." if isinstance(allowed, list) and allowed else None
        return RequestRejected(f"the provider rejected the request: {text}", advice=advice, **common, **wire)
    if _FAILED.search(code):
        return ProviderFailed(f"the provider failed: {text}", **common, **wire)
    return ProviderError(
        f"the provider reported {text}",
        advice="shotchain does not know this code, so it does not try again. See what your account was charged.",
        charged=Charged.UNKNOWN,
        **common,
        **wire,
    )


def failure_from_status(reply: Reply) -> ShotchainError | None:
    """The exception for a reply's HTTP status where the body says nothing; None for one that is no failure."""
    status = reply.status_code
    if status in {401, 403}:
        return KeyRefused(f"the provider refused the API key (HTTP {status})", advice=_CHECK_KEY)
    if status == 402:
        return NoCredit("the provider account has no credit (HTTP 402)", advice=_TOP_UP)
    if status in {429, 503, 504}:
        return RateLimited(
            f"the provider is busy (HTTP {status})", code=f"http{status}", retry_after_s=reply.retry_after_s
        )
    if status >= 500 or status == 408:
        return ProviderFailed(f"the provider failed (HTTP {status})", code=f"http{status}")
    if status >= 400:
        return RequestRejected(f"the provider rejected the request (HTTP {status})", code=f"http{status}")
    return None
