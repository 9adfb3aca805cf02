"""What became of each storyboard of a batch, in words and numbers: its outcome, its film, its money."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from flows.batches.boards import Board
from flows.batches.runs import Ended, exit_code_of
from flows.batches.survey import Surveyed
from flows.books.history import ledger_if_there
from flows.money.batch_budget import STORYBOARD_TAG, TAG
from tasks.errors import ShotchainError, StorageUnreachable, StoryboardError, Unreachable
from tasks.plan.model import usd
from tasks.publish.published import is_published, is_whole, read_manifest
from tasks.redaction import redact

__all__ = ["OUTCOMES", "earlier", "failed", "found", "new_row", "spent", "why"]

OUTCOMES = {
    0: "published",
    1: "failed",
    2: "broken",
    3: "refused",
    4: "refused",
    5: "incomplete",
    6: "failed",
}
"""What a storyboard's exit code is called. Bad input that is no mistake of the storyboard is `failed`; a film that is
as it should be already `unchanged`; one that was made, and is not to be seen from here, `unseen`."""

_UNSEEN = "unseen"


def new_row(board: Board) -> dict[str, Any]:
    """The row of a storyboard to which nothing has happened."""
    return {
        "storyboard": redact(board.source),
        "name": board.name,
        "outcome": "unchanged",
        "frames": None,
        "cost_usd": "0.00",
        "output": None,
        "error": None,
        "note": None,
        "exit_code": 0,
        "run_id": None,
    }


def failed(error: Exception) -> dict[str, Any]:
    """What a row says of an error."""
    if isinstance(error, ShotchainError):
        return _told(error.exit_code, redact(error.as_dict()))
    return _told(1, {"type": type(error).__name__, "message": redact(str(error))})


def why(error: Mapping[str, Any]) -> str:
    """An error in a line; where it is about a line of the storyboard, with that."""
    line = error.get("line")
    return str(error["message"]) if line is None else f"line {line}: {error['message']}"


def earlier(item: Surveyed, batch_id: str, ledger_url: str) -> dict[str, Any]:
    """What a row says of a film that is published, if an earlier start of this very batch did that. Blocks."""
    run_id = str((item.manifest or {}).get("run_id"))
    with ledger_if_there(ledger_url) as ledger:
        run = None if ledger is None else ledger.run(run_id)
    if run is None or run.tags.get(TAG) != batch_id:
        return {}
    return {"outcome": OUTCOMES[0], "run_id": run_id}


def found(item: Surveyed, ended: Ended) -> dict[str, Any]:
    """What a row says of a render that ended: what it told, and what is in the film's place. Blocks.

    A film that is there counts, whatever became of the run after it; one that is not to be seen does not.
    """
    targets, told = item.board.targets, dict(ended.told)
    manifest, away = None, None
    is_there = False
    try:
        manifest = read_manifest(targets)
        if manifest is not None and manifest.get("run_id") != ended.run_id:
            manifest = None  # an earlier run's
        is_there = _is_there(item, ended, manifest)
    except Unreachable as error:
        away = error
    if manifest is not None and isinstance(film := manifest.get("film"), dict):
        told.setdefault("frames", film.get("frames"))
        told.setdefault("output", targets.film.shown)
    row = {
        "frames": told.get("frames"),
        "cost_usd": usd(_dollars(None if manifest is None else manifest.get("cost_usd"))),
        "output": told.get("output"),
        "run_id": ended.run_id,
    }
    if is_there:
        note = None if ended.error is None else f"the film is whole; its run ended with {why(ended.error)}"
        return row | _told(0, None) | {"note": note}
    if ended.error is not None:
        return row | _told(exit_code_of(ended, manifest), ended.error)
    unseen = away or StorageUnreachable(
        f"the render ended well, and its film is not to be seen at {targets.film.shown}",
        advice="Give an output that the workers and the batch share, such as s3://BUCKET/films.",
    )
    return row | {"outcome": _UNSEEN, "error": redact(unseen.as_dict()), "exit_code": unseen.exit_code}


def spent(batch_id: str, ledger_url: str) -> dict[str, Decimal]:
    """What the runs of a batch were charged, of all its starts, in dollars by storyboard. Blocks.

    Raises:
        SettingsError: The ledger cannot be one.
        StorageUnreachable: It does not answer.
    """
    sums: dict[str, Decimal] = {}
    with ledger_if_there(ledger_url) as ledger:
        for run in () if ledger is None else ledger.runs():
            if ledger is not None and run.tags.get(TAG) == batch_id:
                name = run.tags.get(STORYBOARD_TAG, "")
                sums[name] = sums.get(name, Decimal(0)) + ledger.totals(run.run_id).spent_usd
    return sums


def _is_there(item: Surveyed, ended: Ended, manifest: Mapping[str, Any] | None) -> bool:
    """Whether a film is in its place: the run's own, or after a good end whoever's, of the same storyboard."""
    targets = item.board.targets
    if ended.error is None and manifest is not None and is_whole(targets, manifest):
        return True
    if item.plan is None or (ended.error is not None and manifest is None):
        return False
    return is_published(targets, item.plan, item.finish, item.presets) is not None


def _told(code: int, error: Mapping[str, Any] | None) -> dict[str, Any]:
    outcome = OUTCOMES.get(code, OUTCOMES[1])
    if outcome == "broken" and (error or {}).get("type") != StoryboardError.__name__:
        outcome = OUTCOMES[1]
    return {"outcome": outcome, "error": error, "exit_code": code}


def _dollars(text: object) -> Decimal:
    try:
        amount = Decimal(str(text))
    except InvalidOperation:
        return Decimal(0)
    return amount if amount.is_finite() else Decimal(0)
