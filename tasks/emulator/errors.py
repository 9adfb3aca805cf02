"""Errors as they stand on the wire."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["WireError", "conflict", "documentation_of", "incompatible", "invalid", "missing"]

_DOCS = "https://runware.ai/docs"
_STANDARD_PAGE = "models/klingai-video-o1-standard"
_MODEL_PAGES = {"klingai:kling@o1-standard": _STANDARD_PAGE, "klingai:kling@o1": "models/klingai-video-o1-pro"}
_TASK_PAGES = {
    "getResponse": "platform/task-polling",
    "getTaskDetails": "platform/task-details",
    "imageUpload": "utilities/image-upload",
    "mediaStorage": "platform/media-storage",
    "authentication": "platform/authentication",
}
_ON_PAGE = frozenset(
    [
        "taskType",
        "taskUUID",
        "outputType",
        "outputFormat",
        "outputQuality",
        "webhookURL",
        "deliveryMethod",
        "uploadEndpoint",
        "safety",
        "safety.checkContent",
        "safety.mode",
        "ttl",
        "includeCost",
        "numberResults",
        "inputs.referenceImages",
        "inputs.frameImages",
        "inputs.video",
        "inputs.referenceVideos",
        "model",
        "positivePrompt",
        "width",
        "height",
        "duration",
        "providerSettings.klingai.keepOriginalSound",
    ]
)
"""The parameters that a model's page has a heading for."""
_ANCHORS = {
    **{name: name.lower().replace(".", "-") for name in _ON_PAGE},
    "inputs.frameImages.image": "inputs-frameimages-format-2-image",
    "inputs.frameImages.frame": "inputs-frameimages-format-2-frame",
}


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
        model = task.get("model") if isinstance(task, dict) else None
        error["documentation"] = documentation_of(error.get("taskType"), model, first)
        return error


def documentation_of(task_type: str | None, model: Any = None, parameter: Any = None) -> str:
    """The page that tells about a task, or about errors if there is none; at the parameter, if it has a heading."""
    if task_type in _TASK_PAGES:
        return f"{_DOCS}/{_TASK_PAGES[task_type]}"
    if task_type != "videoInference":
        return f"{_DOCS}/platform/errors"
    page = _MODEL_PAGES.get(model, _STANDARD_PAGE) if isinstance(model, str) else _STANDARD_PAGE
    return f"{_DOCS}/{page}" + (f"#request-{_ANCHORS[parameter]}" if parameter in _ANCHORS else "")


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
