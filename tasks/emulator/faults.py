"""What can go wrong, as data: each fault by its name in a fault plan, with its own fields.

When it does is said in `tasks.emulator.rule`. Faults of results are in `tasks.emulator.result_faults`, those of what
the emulator sends on its own in `tasks.emulator.delivery_faults`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from tasks.emulator.delivery_faults import (
    ChangeWebhook,
    DelayWebhook,
    FailPut,
    HoldWebhook,
    LoseWebhook,
    RepeatWebhook,
)
from tasks.emulator.fates import Failure, Fate
from tasks.emulator.result_faults import Cost, Expire, Fail, Media, Nsfw, Stuck
from tasks.emulator.rule import ASKING_CALLS, POSTED_CALLS, Call, HttpError, Phase, Rule, Seconds, Share

__all__ = [
    "AnyRule",
    "Corrupt",
    "Drip",
    "DropReply",
    "DropRequest",
    "EmptyErrors",
    "FaultDocument",
    "Hang",
    "LoseTask",
    "MixedErrors",
    "NotAVideo",
    "Refuse",
    "RefuseBatches",
    "RefuseContent",
    "Status",
    "Truncate",
    "UnknownTask",
]

# Before a call is handled


class Refuse(Rule):
    """The task is refused, as an error of its own."""

    calls = POSTED_CALLS
    fault: Literal["refuse"]
    code: str = "invalidParameter"
    message: str = "The request was refused."
    status: HttpError = 400
    parameter: str | list[str] | None = None
    allowed_values: list[Any] | None = None


class RefuseContent(Rule):
    """Moderation refuses an input: at once, or (`after_s`) while the task is processed."""

    calls = ("submit",)
    fault: Literal["refuse_content"]
    input: str = "positivePrompt"
    code: str = "contentPolicyViolation"
    status: HttpError = 400
    after_s: Seconds | None = None
    charged: bool = False

    @property
    def message(self) -> str:
        """What the error says; it names the input."""
        return f"'{self.input}' was refused by the provider's content policy."

    @property
    def phase(self) -> Phase:
        """See `Rule.phase`."""
        return "before" if self.after_s is None else "accepted"

    def decide(self, fate: Fate) -> Fate:
        """See `Rule.decide`."""
        failure = Failure(self.code, self.message, self.input, self.charged)
        return replace(fate, failure=failure, failure_after_s=self.after_s)


class Status(Rule):
    """The whole request is answered with an HTTP error; `accept`: its tasks are handled all the same."""

    fault: Literal["status"]
    status: HttpError = 503
    retry_after_s: Annotated[int, Field(ge=0)] | None = None
    accept: bool = False

    @property
    def phase(self) -> Phase:
        """See `Rule.phase`."""
        return "answer" if self.accept else "before"


class DropRequest(Rule):
    """The connection is closed before anything is handled."""

    fault: Literal["drop_request"]


class RefuseBatches(Rule):
    """A POST with more than `most` questions is refused as a whole."""

    calls = ASKING_CALLS
    fault: Literal["refuse_batches"]
    most: PositiveInt = 1
    code: str = "arrayTooLarge"
    status: HttpError = 400

    def fits(self, call: Call, number: int | None) -> bool:
        """See `Rule.fits`."""
        return call.questions > self.most and super().fits(call, number)


class LoseTask(Rule):
    """A known task is answered like one that was never sent."""

    calls = ASKING_CALLS
    fault: Literal["lose_task"]

    def fits(self, call: Call, number: int | None) -> bool:
        """See `Rule.fits`."""
        return call.is_known and super().fits(call, number)


class UnknownTask(Rule):
    """A question about an unknown task is an error."""

    calls = ASKING_CALLS
    fault: Literal["unknown_task"]
    code: str = "taskNotFound"
    status: HttpError = 404

    def fits(self, call: Call, number: int | None) -> bool:
        """See `Rule.fits`."""
        return not call.is_known and super().fits(call, number)


# Of files


class Truncate(Rule):
    """Only the first part of the file is sent; `announce_whole`: under its full length, then the line is cut."""

    calls = ("download", "put")
    fault: Literal["truncate"]
    keep: Share = 0.5
    announce_whole: bool = False


class Corrupt(Rule):
    """A share of the file, in its middle, is zeros."""

    calls = ("download", "put")
    fault: Literal["corrupt"]
    share: Share = 0.2


class NotAVideo(Rule):
    """A web page comes instead, with status 200."""

    calls = ("download",)
    fault: Literal["not_a_video"]


# When the answer is ready


class _OfAnswers(Rule):
    usual_phase = "answer"


class DropReply(_OfAnswers):
    """All is handled, and the connection is closed without an answer."""

    calls = POSTED_CALLS
    fault: Literal["drop_reply"]


class Hang(_OfAnswers):
    """All is handled, and the answer comes late."""

    fault: Literal["hang"]
    after_s: Seconds


class Drip(_OfAnswers):
    """The answer, or the file, trickles for a while."""

    fault: Literal["drip"]
    over_s: Seconds


class EmptyErrors(_OfAnswers):
    """A clean answer has `"errors": []`."""

    calls = ("poll", "submit", "details", "upload")
    fault: Literal["empty_errors"]


class MixedErrors(_OfAnswers):
    """Beside its data, the answer has an error that names no task."""

    calls = ("poll", "submit", "details", "upload")
    fault: Literal["mixed_errors"]
    code: str = "internalServerError"
    message: str = "Something else went wrong."


AnyRule = Annotated[
    Refuse
    | RefuseContent
    | Status
    | DropRequest
    | RefuseBatches
    | LoseTask
    | UnknownTask
    | Truncate
    | Corrupt
    | NotAVideo
    | DropReply
    | Hang
    | Drip
    | EmptyErrors
    | MixedErrors
    | Fail
    | Stuck
    | Cost
    | Nsfw
    | Expire
    | Media
    | FailPut
    | LoseWebhook
    | DelayWebhook
    | HoldWebhook
    | RepeatWebhook
    | ChangeWebhook,
    Field(discriminator="fault"),
]


class FaultDocument(BaseModel):
    """A whole plan. `given` is what a running emulator tells about it; it is not read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = 0
    rules: tuple[AnyRule, ...] = ()
    given: Any = Field(default=None, exclude=True)
