"""One run in a process of its own, as it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.crash.kills import Kill

__all__ = ["Job", "work"]


@dataclass(frozen=True)
class Job:
    """One run.

    Attributes:
        folder: Where it leaves `events` (one stage a line), `outcome.json` and `log`.
        environment: What the user has set.
        parameters: Of the flow.
        kill: When it kills itself, if it does.
    """

    folder: Path
    environment: Mapping[str, str]
    parameters: Mapping[str, Any]
    kill: Kill | None = None


def work(job: Job) -> None:
    """Do it, and end the process. Only that process loads what it takes."""
    from tests.crash.child import render_and_end

    render_and_end(job)
