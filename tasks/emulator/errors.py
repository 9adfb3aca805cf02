"""Errors as they stand on the wire."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["DOCUMENTATION", "WireError", "conflict", "incompatible", "invalid", "missing"]

DOCUMENTATION = "https://runware.ai/docs/models/klingai-video-o1-standard"


class WireError(Exception):
    """A task, or a whole request, that is refused.

    Args:
        code: The provider's error code.
        message: What is wrong and what would be accepted.
        parameter: Dotted path of the field concerned, or several.
        http_status: Status of the reply if nothing else in it succeeded.
        **facts: Further fields of the error object: `type`, `min`, `max`, `allowedValues`, `context`.
    """

    def __init__(
        self,
        code: str,
        message: str,
        parameter: str | Sequence[str] | None = None,
        *,
        http_status: int = 400,
        **facts: Any,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.parameter = list(parameter) if isinstance(parameter, list | tuple) else parameter
        self.http_status = http_status
        self.facts = facts

    def as_wire(self, task: Any = None) -> dict[str, Any]:
        """The error object for `task`, one element of the request as it was received."""
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.parameter is not None:
            error["parameter"] = self.parameter
        error.update(self.facts)
        for name in ("taskType", "taskUUID"):
            if isinstance(task, dict) and isinstance(task.get(name), str):
                error.setdefault(name, task[name])
        first = self.parameter[0] if isinstance(self.parameter, list) else self.parameter
        anchor = f"#request-{first.lower().replace('.', '-')}" if isinstance(first, str) else ""
        error["documentation"] = DOCUMENTATION + anchor
        return error


def missing(parameter: str | Sequence[str], message: str, **facts: Any) -> WireError:
    """A field that must be there is not."""
    return WireError("missingParameter", message, parameter, **facts)


def invalid(parameter: str | Sequence[str], message: str, code: str = "invalidParameter", **facts: Any) -> WireError:
    """A field has a value that is not accepted."""
    return WireError(code, message, parameter, **facts)


def incompatible(first: str, second: str, why: str = "") -> WireError:
    """Two fields exclude one another; both are named."""
    message = f"'{first}' and '{second}' cannot be used together."
    return WireError("incompatibleParameters", f"{message} {why}".rstrip(), [first, second])


def conflict(task_uuid: str) -> WireError:
    """The task's UUID was used before."""
    return WireError(
        "conflictTaskUUID",
        f"A task with taskUUID '{task_uuid}' already exists. Use a new UUID for each task.",
        "taskUUID",
        context={"taskType": "videoInference", "taskUUID": task_uuid, "deliveryMethod": "async"},
    )
