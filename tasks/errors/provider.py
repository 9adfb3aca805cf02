"""What the provider reports of a task."""

from __future__ import annotations

import json
from typing import Any

from tasks.errors.base import ShotchainError
from tasks.problems import Charged

__all__ = [
    "ClipLost",
    "ContentRefused",
    "OutcomeUnknown",
    "ProviderError",
    "ProviderFailed",
    "ProviderTimeout",
    "RateLimited",
    "RequestRejected",
    "ResultGone",
]


class ProviderError(ShotchainError):
    """The provider reported a failure. Of this class itself: with a code that we do not know.

    Args:
        message: See `ShotchainError`.
        code: The provider's own error code.
        parameter: The request parameter that it names, if any.
        details: The error object as received, whole.
        retry_after_s: Seconds that the provider asked us to wait.
        **fields: See `ShotchainError`.
    """

    exit_code = 5
    charged = Charged.UNKNOWN

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        parameter: str | None = None,
        details: dict[str, Any] | None = None,
        retry_after_s: float | None = None,
        **fields: Any,
    ) -> None:
        super().__init__(message, **fields)
        self.code = code
        self.parameter = parameter
        self.details = details
        self.retry_after_s = retry_after_s

    def as_dict(self) -> dict[str, Any]:
        fields = super().as_dict()
        for name in ("code", "parameter"):
            if getattr(self, name) is not None:
                fields[name] = getattr(self, name)
        if self.details is not None:
            # Its numbers were read exactly, as `Decimal`, for which JSON has no word.
            fields["details"] = json.loads(json.dumps(self.details, default=str))
        return fields


class RequestRejected(ProviderError):
    """The provider refused the request before any work. The same request will be refused again."""

    charged = Charged.NO


class ContentRefused(ProviderError):
    """The provider's moderation refused a prompt, a picture, a video or a result."""

    charged = Charged.NO


class RateLimited(ProviderError):
    """Too many requests, or no capacity just now. Nothing was accepted."""

    transient = True
    charged = Charged.NO


class ProviderTimeout(ProviderError):
    """The provider gave up waiting for the model."""

    transient = True


class ProviderFailed(ProviderError):
    """The model, or the provider's own server, failed while working."""

    transient = True


class OutcomeUnknown(ProviderError):
    """A request left, and neither the provider nor we can tell what became of it."""


class ResultGone(ProviderError):
    """A result's address has expired. The provider can be asked for a fresh one."""

    charged = Charged.YES


class ClipLost(ProviderError):
    """A paid clip is gone from the store, and the provider no longer has it."""

    charged = Charged.YES
