"""What comes in: JSON arrays of tasks, and the key of whoever sends them."""

from __future__ import annotations

import hmac
import json
from typing import Any

from tasks.emulator.errors import WireError

__all__ = ["authenticated", "read_tasks"]


def read_tasks(body: str | bytes) -> list[dict[str, Any]]:
    """The elements of a request's body.

    Raises:
        WireError: It is not a JSON array of objects, or an empty one.
    """
    try:
        tasks = json.loads(body)
        if b"\\u" in (body.encode(errors="replace") if isinstance(body, str) else body):
            # An escape can be half of a character, which no file and no picture could hold.
            json.dumps(tasks, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        where = f", at line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        raise WireError("invalidBody", f"The body is not JSON{where}.") from error
    if not isinstance(tasks, list) or not tasks or not all(isinstance(task, dict) for task in tasks):
        raise WireError("invalidBody", "The body must be a JSON array of one or more task objects.")
    return tasks


def authenticated(tasks: list[dict[str, Any]], header: str | None, only_key: str | None) -> list[dict[str, Any]]:
    """The tasks behind the authentication, which is a header or the first task.

    Raises:
        WireError: There is no key, or not the right one.
    """
    given: Any = None
    rest = tasks
    if tasks[0].get("taskType") == "authentication":
        given, rest = tasks[0].get("apiKey"), tasks[1:]
    if header is not None:
        scheme, _, token = header.partition(" ")
        given = token.strip() if scheme.lower() == "bearer" else None
    if given is None or given == "":
        raise WireError(
            "missingApiKey",
            "No API key was given. Send 'Authorization: Bearer KEY', or an authentication task first.",
            "apiKey",
            http_status=401,
            taskType="authentication",
        )
    is_right = isinstance(given, str) and (only_key is None or hmac.compare_digest(given.encode(), only_key.encode()))
    if not is_right:
        raise WireError(
            "invalidApiKey", "The API key is not valid.", "apiKey", http_status=401, taskType="authentication"
        )
    return rest
