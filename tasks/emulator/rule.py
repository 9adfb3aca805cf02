"""When a fault is given: what every rule of a fault plan can say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, field_validator, model_validator

from tasks.emulator.fates import Fate

__all__ = [
    "ALL_CALLS",
    "ASKING_CALLS",
    "POSTED_CALLS",
    "Call",
    "CallKind",
    "HttpError",
    "Phase",
    "Rule",
    "Seconds",
    "Share",
]

CallKind = Literal["submit", "poll", "details", "upload", "download", "put", "webhook"]
"""What a client does, and, in the last two, what the emulator does on its own."""

Phase = Literal["before", "accepted", "answer"]
"""Before a call is handled; when a task has been accepted; when the answer is ready."""

ALL_CALLS: tuple[CallKind, ...] = ("submit", "poll", "details", "upload", "download")
POSTED_CALLS: tuple[CallKind, ...] = ("submit", "poll", "details", "upload")
ASKING_CALLS: tuple[CallKind, ...] = ("poll", "details")
Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0, le=86400)]
HttpError = Annotated[int, Field(ge=400, le=599)]


@dataclass(frozen=True)
class Call:
    """One call, or one task of a POST: its kind, the task it is about, and how many questions came with it.

    `result` is the number (1 is the first) of the result that a call of the emulator's own is about.
    """

    kind: CallKind
    task_uuid: str
    prompt: str = ""
    questions: int = 1
    is_known: bool = True
    result: int = 0


class Rule(BaseModel):
    """When a fault is given.

    Attributes:
        call: Which kind of call; without a word, the first that the fault can meet.
        nth: Only for the n-th task (1 is the first), or for those of a list; for uploads, the n-th upload.
        prompt: Only for tasks whose prompt contains this.
        task: Only for the task of this UUID.
        skip: Fitting calls that pass first.
        times: At most so often; without a word, always.
        rate: Only in this share of the fitting calls, drawn by the plan's seed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    calls: ClassVar[tuple[CallKind, ...]] = ALL_CALLS
    usual_phase: ClassVar[Phase] = "before"

    fault: str
    call: CallKind = "submit"
    nth: PositiveInt | list[PositiveInt] | None = None
    prompt: str | None = None
    task: str | None = None
    skip: Annotated[int, Field(ge=0)] = 0
    times: PositiveInt | None = None
    rate: Share | None = None

    @model_validator(mode="before")
    @classmethod
    def _with_call(cls, fields: Any) -> Any:
        return {"call": cls.calls[0], **fields} if isinstance(fields, dict) else fields

    @field_validator("call")
    @classmethod
    def _meets(cls, call: CallKind) -> CallKind:
        if call not in cls.calls:
            raise ValueError(f"this fault meets {', '.join(cls.calls)}")
        return call

    @property
    def phase(self) -> Phase:
        """Where on a call's way it is given."""
        return self.usual_phase

    def concerns(self, number: int) -> bool:
        """Whether it is for the task's result of that number (1 is the first)."""
        return number > 0

    def decide(self, fate: Fate) -> Fate:
        """A result's fate with this fault in it; only what is given at acceptance has one."""
        return fate

    def fits(self, call: Call, number: int | None) -> bool:
        """Whether it is for `call`, about the task of that number (None: it came before the plan)."""
        numbers = self.nth if isinstance(self.nth, list) else [self.nth]
        return (
            self.call == call.kind
            and (self.nth is None or number in numbers)
            and (self.prompt is None or self.prompt in call.prompt)
            and (self.task is None or self.task.lower() == call.task_uuid)
        )
