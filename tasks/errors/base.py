"""The root of the error tree, and what a user may get wrong."""

from __future__ import annotations

import copyreg
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from tasks.problems import Charged, Problem, usd

__all__ = ["BadInput", "LedgerError", "LedgerTooNew", "SettingsError", "ShotchainError", "StoryboardError"]


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
            fields["cost_usd"] = usd(self.cost_usd)
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


class LedgerError(ShotchainError):
    """The ledger refused a change that its rules forbid."""
