"""Every error that shotchain raises on purpose.

    ShotchainError                  exit  transient  may have cost money
    ├── BadInput                    2     no         no
    │   ├── StoryboardError         2     no         no    one or more mistakes in a storyboard, with file and line
    │   ├── SettingsError           2     no         no    a flag, a parameter or an environment variable
    │   └── LedgerTooNew            2     no         no
    ├── OverBudget                  3     no         no
    ├── ApprovalNeeded              4     no         no
    ├── Incomplete                  5     no         see its shots
    ├── NeedFailed                  5     no         no    a shot was not begun, since one that it needs failed
    ├── Unreachable                 6     yes        no    the provider, a storage or Prefect does not answer
    │   ├── StorageUnreachable      6     yes        no
    │   ├── PrefectUnreachable      6     yes        no
    │   ├── ProviderUnreachable     6     yes        no    surely nothing was accepted
    │   ├── KeyRefused              6     no         no
    │   ├── NoCredit                6     no         no
    │   ├── CircuitOpen             6     yes        no    failure upon failure: this run submits no more
    │   └── UnpinnedInput           6     no         no    an input that cannot be read cannot be paid for
    ├── ProviderError               5     no         unknown   a code that we do not know
    │   ├── RequestRejected         5     no         no
    │   ├── ContentRefused          5     no         no    unless the provider says otherwise
    │   ├── RateLimited             5     yes        no
    │   ├── ProviderTimeout         5     yes        unknown
    │   ├── ProviderFailed          5     yes        unknown
    │   ├── OutcomeUnknown          5     no         unknown   a request left and nobody can tell what became of it
    │   ├── ResultGone              5     no         yes   the result's address expired; a fresh one can be asked for
    │   └── ClipLost                5     no         yes   paid for, and gone from the store and from the provider
    ├── MediaError                  5     no         no    ffmpeg or a decoder refused a file
    │   └── ClipDamaged             5     no         yes
    ├── LedgerError                 1     no         no
    └── FilmWrong                   1     no         no    the finished film failed its own check

`transient` says whether doing the same again may help. `charged` says whether money may have been spent by what
failed. Catch `ShotchainError` at the edge; everything else that escapes is a bug of ours (exit 1).
"""

from __future__ import annotations

import copyreg
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from tasks.problems import Charged, Problem, listed_shots

__all__ = [
    "ApprovalNeeded",
    "BadInput",
    "Charged",
    "CircuitOpen",
    "ClipDamaged",
    "ClipLost",
    "ContentRefused",
    "FilmWrong",
    "Incomplete",
    "KeyRefused",
    "LedgerError",
    "LedgerTooNew",
    "MediaError",
    "NeedFailed",
    "NoCredit",
    "OutcomeUnknown",
    "OverBudget",
    "PrefectUnreachable",
    "Problem",
    "ProviderError",
    "ProviderFailed",
    "ProviderTimeout",
    "ProviderUnreachable",
    "RateLimited",
    "RequestRejected",
    "ResultGone",
    "SettingsError",
    "ShotchainError",
    "StorageUnreachable",
    "StoryboardError",
    "UnpinnedInput",
    "Unreachable",
]


class ShotchainError(Exception):
    """The root of the tree.

    Args:
        message: What went wrong, in one sentence, in the user's words.
        advice: What the user can do about it.
        shot: Id of the shot concerned.
        file: Storyboard, clip or other file concerned.
        line: 1-based line in `file`.
        task_uuid: The provider's task, if one was involved.
        cost_usd: What it cost, or would cost.
        charged: Overrides the class's own answer to «may money have been spent?».
    """

    exit_code: int = 1
    transient: bool = False
    charged: Charged = Charged.NO

    def __init__(
        self,
        message: str,
        *,
        advice: str | None = None,
        shot: str | None = None,
        file: str | None = None,
        line: int | None = None,
        task_uuid: str | None = None,
        cost_usd: Decimal | None = None,
        charged: Charged | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice
        self.shot = shot
        self.file = file
        self.line = line
        self.task_uuid = task_uuid
        self.cost_usd = cost_usd
        if charged is not None:
            self.charged = charged

    def __str__(self) -> str:
        text = str(Problem(self.message, self.file, self.line, shot=self.shot))
        return f"{text}\n    {self.advice}" if self.advice else text

    def __reduce__(self) -> tuple[Any, ...]:
        # Prefect may carry an error from one process to another.
        return (copyreg.__newobj__, (type(self), *self.args), self.__dict__.copy())  # type: ignore[attr-defined]

    def as_dict(self) -> dict[str, Any]:
        """The error as JSON-ready fields, for `--json`, manifests and the ledger."""
        fields: dict[str, Any] = {
            "type": type(self).__name__,
            "message": self.message,
            "transient": self.transient,
            "charged": str(self.charged),
        }
        for name in ("advice", "shot", "file", "line", "task_uuid"):
            if getattr(self, name) is not None:
                fields[name] = getattr(self, name)
        if self.cost_usd is not None:
            fields["cost_usd"] = str(self.cost_usd)
        return fields


class BadInput(ShotchainError):
    """Something that the user gave cannot be used. Nothing was spent."""

    exit_code = 2


class StoryboardError(BadInput):
    """One or more mistakes in a storyboard, each with its place and what would be accepted."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        first = problems[0]
        super().__init__(first.message, shot=first.shot, file=first.file, line=first.line)
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)

    def as_dict(self) -> dict[str, Any]:
        fields = super().as_dict()
        fields["problems"] = [
            {name: value for name in Problem.__slots__ if (value := getattr(problem, name)) is not None}
            for problem in self.problems
        ]
        return fields


class SettingsError(BadInput):
    """A flag, a flow parameter, an environment variable or a file of `configs/` cannot be used."""


class LedgerTooNew(BadInput):
    """The ledger was written by a newer shotchain. It is left untouched."""


class OverBudget(ShotchainError):
    """A budget has no room for what a run wants to reserve. Nothing was reserved, and nothing submitted.

    Args:
        run_id: The run concerned.
        needed_usd: What the refused reservation would have added.
        limit_usd: The budget.
        held_usd: What counts in it already: reserved, spent and unknown.
        scope: Whose budget: `run`, `shot` (of this run), or `standing` (of many runs).
        budget: Name of the standing budget.
        period: The standing budget's: day, week, month or forever.
        shot: The shot whose budget it is.
    """

    exit_code = 3

    def __init__(
        self,
        run_id: str,
        *,
        needed_usd: Decimal,
        limit_usd: Decimal,
        held_usd: Decimal,
        scope: str = "run",
        budget: str | None = None,
        period: str | None = None,
        shot: str | None = None,
    ) -> None:
        a_period = f" a {period}" if period and period != "forever" else ""
        held = f", of which ${held_usd} is spent or reserved already" if held_usd else ""
        which = {"shot": "a shot's budget"}.get(scope, f"the budget '{budget}'" if budget else "the budget")
        wait = f", wait for the next {period}," if a_period else ""
        super().__init__(
            f"this needs ${needed_usd}, and {which} is ${limit_usd}{a_period}{held}",
            advice=f"Raise the budget{wait or ','} or shorten the storyboard. Nothing more was submitted.",
            shot=shot,
            cost_usd=needed_usd,
        )
        self.run_id = run_id
        self.needed_usd = needed_usd
        self.limit_usd = limit_usd
        self.held_usd = held_usd
        self.scope = scope
        self.budget = budget
        self.period = period

    def as_dict(self) -> dict[str, Any]:
        sums = {name: str(getattr(self, name)) for name in ("needed_usd", "limit_usd", "held_usd")}
        named = {name: value for name in ("scope", "budget", "period") if (value := getattr(self, name)) is not None}
        return super().as_dict() | {"run_id": self.run_id} | sums | named


class ApprovalNeeded(ShotchainError):
    """More would be spent than may be without asking, and nobody said yes. Nothing was submitted."""

    exit_code = 4


class Incomplete(ShotchainError):
    """Some shots failed, or money is unknown; everything that was made is kept.

    Args:
        message: See `ShotchainError`.
        failures: What failed, each with its shot.
        summary: The run's outcome in numbers, as `--json` shows it.
        **fields: See `ShotchainError`.
    """

    exit_code = 5

    def __init__(
        self, message: str, *, failures: Sequence[ShotchainError], summary: dict[str, Any], **fields: Any
    ) -> None:
        super().__init__(message, **fields)
        self.failures = tuple(failures)
        self.summary = summary
        # What stops the whole run (a refused key, no room in the budget) says more than that shots failed.
        others = [failure for failure in failures if failure.exit_code != type(self).exit_code]
        self.exit_code = min((failure.exit_code for failure in others), default=type(self).exit_code)
        doubts = {failure.charged for failure in failures}
        self.charged = next((worst for worst in (Charged.UNKNOWN, Charged.YES) if worst in doubts), Charged.NO)

    def __str__(self) -> str:
        told: dict[str, list[str]] = {}
        for failure in self.failures:
            words = f"{failure.message}\n    {failure.advice}" if failure.advice else failure.message
            told.setdefault(words, []).append(failure.shot or "?")
        causes = [f"{listed_shots(shots)}: {words}" for words, shots in told.items()]
        return "\n".join([super().__str__(), *causes])

    def as_dict(self) -> dict[str, Any]:
        return {**super().as_dict(), "failures": [failure.as_dict() for failure in self.failures]}


class NeedFailed(ShotchainError):
    """A shot was not begun, since one that it takes a frame of failed."""

    exit_code = 5


class Unreachable(ShotchainError):
    """Something outside does not answer or does not let us in. Nothing was spent by the failing step."""

    exit_code = 6
    transient = True


class StorageUnreachable(Unreachable):
    """A storage location cannot be read or written."""


class PrefectUnreachable(Unreachable):
    """No Prefect server could be reached or started."""


class ProviderUnreachable(Unreachable):
    """The provider could not be connected to: surely nothing was accepted."""


class KeyRefused(Unreachable):
    """The provider does not accept the API key, or none was given."""

    transient = False


class NoCredit(Unreachable):
    """The provider account has no money left."""

    transient = False


class CircuitOpen(Unreachable):
    """Too many generations failed in a row, so this run submits no more."""


class UnpinnedInput(Unreachable):
    """An input cannot be read, so what would be paid for is not known."""

    transient = False


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
        for name in ("code", "parameter", "details"):
            if getattr(self, name) is not None:
                fields[name] = getattr(self, name)
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


class MediaError(ShotchainError):
    """ffmpeg or a decoder could not do what was asked of a file."""

    exit_code = 5


class ClipDamaged(MediaError):
    """A downloaded clip is truncated or cannot be decoded to its end."""

    charged = Charged.YES


class LedgerError(ShotchainError):
    """The ledger refused a change that its rules forbid."""


class FilmWrong(ShotchainError):
    """The finished film failed its own check. It was not published."""
