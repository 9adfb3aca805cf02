"""Faults of what the emulator sends on its own: webhooks, and clips that it puts to upload endpoints.

They meet a webhook once, before its first try, and a PUT at each try.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, PositiveInt

from tasks.emulator.rule import Call, HttpError, Rule, Seconds

__all__ = ["ChangeWebhook", "DelayWebhook", "FailPut", "HoldWebhook", "LoseWebhook", "RepeatWebhook"]


class _OfDeliveries(Rule):
    """`results`: only for these results of the task, by number; without a word, for all."""

    results: list[PositiveInt] | None = None

    def fits(self, call: Call, number: int | None) -> bool:
        """See `Rule.fits`."""
        return (self.results is None or call.result in self.results) and super().fits(call, number)


class FailPut(_OfDeliveries):
    """A try is not sent, and counts as if it had been answered with `status`."""

    calls = ("put",)
    fault: Literal["fail_put"]
    status: HttpError = 503


class _OfWebhooks(_OfDeliveries):
    calls = ("webhook",)


class LoseWebhook(_OfWebhooks):
    """The webhook is never sent."""

    fault: Literal["lose_webhook"]


class DelayWebhook(_OfWebhooks):
    """The webhook is sent `after_s` seconds late."""

    fault: Literal["delay_webhook"]
    after_s: Seconds


class HoldWebhook(_OfWebhooks):
    """The webhook is sent only when `behind` others have been, of whichever tasks, or after `at_most_s` seconds."""

    fault: Literal["hold_webhook"]
    behind: PositiveInt = 1
    at_most_s: Seconds = 10.0


class RepeatWebhook(_OfWebhooks):
    """A webhook that was delivered is sent again, `copies` times, with `after_s` seconds before each."""

    fault: Literal["repeat_webhook"]
    copies: Annotated[int, Field(ge=1, le=100)] = 1
    after_s: Seconds = 0.0


class ChangeWebhook(_OfWebhooks):
    """The webhook has another body: with other fields, without some, or (`body`) another text altogether."""

    fault: Literal["change_webhook"]
    set: dict[str, Any] = Field(default_factory=dict)
    remove: list[str] = Field(default_factory=list)
    body: str | None = None
