"""What a webhook says of a result, and what a fault plan makes of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tasks.emulator.delivery_faults import ChangeWebhook, DelayWebhook, HoldWebhook, LoseWebhook, RepeatWebhook
from tasks.emulator.delivery_settings import WebhookSettings
from tasks.emulator.rule import Rule

__all__ = ["Course", "body_of", "course_of"]


@dataclass(frozen=True)
class Course:
    """How one webhook goes, by the rules that meet it.

    Attributes:
        content: What is sent; None: nothing, ever.
        after_s: Seconds to wait first.
        behind: Other webhooks to let pass then.
        behind_at_most_s: Seconds after which it goes all the same.
        copies: Times that it is sent again once it was delivered.
        copies_after_s: Seconds before each.
    """

    content: bytes | None
    after_s: float = 0.0
    behind: int = 0
    behind_at_most_s: float = 0.0
    copies: int = 0
    copies_after_s: float = 0.0


def body_of(item: dict[str, Any], settings: WebhookSettings) -> dict[str, Any] | None:
    """The JSON that tells a result, or its failure; None if it is not told.

    Args:
        item: The result as a poll shows it.
        settings: How it is told.
    """
    is_failure = item["status"] == "error"
    told = {name: value for name, value in item.items() if settings.status or name != "status"}
    match settings.failure if is_failure else settings.success:
        case "item":
            return told
        case "wrapped":
            return {"errors" if is_failure else "data": [told]}
        case _:
            return None


def course_of(body: dict[str, Any], rules: Sequence[Rule]) -> Course:
    """How a webhook with that body goes if these rules meet it."""
    content: bytes | None = json.dumps(body).encode()
    fields: dict[str, Any] = {}
    for rule in rules:
        match rule:
            case LoseWebhook():
                return Course(None)
            case ChangeWebhook():
                content = _changed(body, rule)
            case DelayWebhook():
                fields |= {"after_s": rule.after_s}
            case HoldWebhook():
                fields |= {"behind": rule.behind, "behind_at_most_s": rule.at_most_s}
            case RepeatWebhook():
                fields |= {"copies": rule.copies, "copies_after_s": rule.after_s}
            case _:
                pass
    return Course(content, **fields)


def _changed(body: dict[str, Any], rule: ChangeWebhook) -> bytes:
    if rule.body is not None:
        return rule.body.encode()
    left = {name: value for name, value in body.items() if name not in rule.remove}
    return json.dumps(left | rule.set).encode()
