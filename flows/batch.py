"""A folder of storyboards becomes films: one render each, of what has changed, under one budget."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal

from prefect import flow
from prefect.logging import get_run_logger
from prefect.runtime import deployment, flow_run

from flows.batches.boards import find_boards
from flows.batches.runs import Ended, Here, Renders, Workers, exit_code_of
from flows.batches.survey import Surveyed, survey
from flows.books.history import ledger_if_there
from flows.money.batch_budget import TAG, batch_budget
from flows.page.writer import careful_artifacts
from flows.parameters import ApprovalTimeout, AtOnce, InFlight, Retries
from flows.server.shared import run_environment
from tasks.errors import Incomplete, ShotchainError
from tasks.plan.model import usd
from tasks.progress import Event, Stage, observer
from tasks.publish.published import read_manifest
from tasks.redaction import redact
from tasks.settings import Settings, parse_usd, resolve_settings

__all__ = ["OUTCOMES", "batch"]

OUTCOMES = {
    0: "published",
    1: "failed",
    2: "broken",
    3: "refused",
    4: "refused",
    5: "incomplete",
    6: "failed",
}
"""What a storyboard's exit code is called; a film that is as it should be already is `unchanged`."""

# The worst first: a bug, what stops everything, what a person has to decide, what is left over, what to mend.
_WORST = (1, 6, 3, 4, 5, 2)


def _run_name() -> str:
    return f"batch of {redact(str(flow_run.parameters['storyboards']))}"


@flow(name="batch", flow_run_name=_run_name, log_prints=False, retries=0)
async def batch(
    storyboards: str,
    output: str,
    provider: Literal["runware", "emulator"] = "runware",
    base_url: str | None = None,
    budget_usd: str | None = None,
    shot_budget_usd: str | None = None,
    budgets: str | None = None,
    tags: dict[str, str] = {},  # noqa: B006 -- read only; a form shows it as it is
    approve_above_usd: str | None = None,
    approved: bool = False,
    approval_timeout_s: ApprovalTimeout = 86_400,
    on_empty: Literal["fail", "pause"] | None = None,
    max_in_flight: InFlight = 8,
    retries: Retries = None,
    work: str | None = None,
    ledger: str | None = None,
    rebuy_lost: bool = False,
    nsfw: Literal["keep", "fail"] = "keep",
    pictures: Literal["inline", "upload"] = "inline",
    placeholder: bool = False,
    force: bool = False,
    at_once: AtOnce = 2,
    run_on: Literal["auto", "workers", "here"] = "auto",
    render_deployment: str = "render/render",
) -> dict[str, Any]:
    """Render every storyboard of a folder whose film is not there, or not the one that it describes now.

    The one that takes longest begins first. One that fails stops no other. Each render asks for itself where its sum
    needs approval. Run again after whatever happened, it goes on where it stopped.

    Args:
        storyboards: A folder of storyboards, or a pattern such as boards/**/*.yaml; a path or any fsspec URL.
        output: The folder of the films; any fsspec URL. The film of a/b.yaml is a/b.mp4 in it.
        provider: Who generates: Runware, for money, or the embedded emulator, for free.
        base_url: Another address of the Runware API, version path included.
        budget_usd: At most so many dollars for all renders of this batch together, such as 12.50.
        shot_budget_usd: At most so many dollars for any one shot.
        budgets: The file of standing budgets; by default SHOTCHAIN_BUDGETS, else none.
        tags: What standing budgets match, such as client: acme; added to the storyboards' own.
        approve_above_usd: A render that costs more dollars than these waits for approval.
        approved: Approve whatever the budgets allow.
        approval_timeout_s: How many seconds a paused render waits for an answer; without one it spends nothing.
        on_empty: Where money runs out midway, a render fails with the sum to finish, or pauses and asks for a raise; by
            default SHOTCHAIN_ON_EMPTY, else fails.
        max_in_flight: At most so many clips of each render at the provider at once.
        retries: Further attempts a take after failures that may pass; by default each storyboard's, else 2.
        work: The clip store: a folder or any fsspec URL; by default one a user.
        ledger: The ledger: a file or a SQLAlchemy URL; by default one a user.
        rebuy_lost: Pay again for a paid clip that is gone from the store and from the provider.
        nsfw: What to do with a clip that the provider flags as unsafe: keep it, with a warning, or fail its shot.
        pictures: How local pictures travel: inline in each request, or uploaded once and named by UUID.
        placeholder: Make a film even where shots are missing, with a slate in the place of each.
        force: Render also what is published and unchanged; what is paid is not paid again.
        at_once: So many renders at a time, where they run in this process.
        run_on: Where renders run: on the workers of a deployment, here in this process, or as the batch itself does.
        render_deployment: The deployment that renders on workers, as FLOW/NAME.

    Returns:
        `storyboards`: each with `storyboard`, `outcome` (published, unchanged, broken, incomplete, refused, failed),
        `frames`, `cost_usd`, `output`, `error`, `run_id`; `counts` by outcome; `cost_usd` in all, and `run_id`.

    Raises:
        Incomplete: Not every film is published. `summary` is what would be returned; `exit_code` is the worst: 1, then
            6, 3, 4, 5, 2.
        BadInput: There are no storyboards.
    """
    settings = resolve_settings(
        provider=provider,
        base_url=base_url,
        work=work,
        ledger=ledger,
        budgets=budgets,
        max_in_flight=max_in_flight,
        retries=retries,
        nsfw=nsfw,
        pictures=pictures,
        on_empty=on_empty,
        environ=await run_environment(),
    )
    run_id = str(flow_run.get_id() or uuid.uuid4())
    tags = {**tags, TAG: run_id}
    if deployment.id:
        tags["deployment"] = f"batch/{deployment.name}"
    batch_budget(tags, budget_usd)
    for name, text in (("shot_budget_usd", shot_budget_usd), ("approve_above_usd", approve_above_usd)):
        parse_usd(text, name)
    boards = await asyncio.to_thread(find_boards, storyboards, output)
    surveyed = await survey(boards, settings, force=force)
    parameters = {
        "provider": provider,
        "base_url": base_url,
        "batch_budget_usd": budget_usd,
        "shot_budget_usd": shot_budget_usd,
        "budgets": budgets,
        "tags": tags,
        "approve_above_usd": approve_above_usd,
        "approved": approved,
        "approval_timeout_s": approval_timeout_s,
        "on_empty": on_empty,
        "max_in_flight": max_in_flight,
        "retries": retries,
        "work": work,
        "ledger": ledger,
        "rebuy_lost": rebuy_lost,
        "nsfw": nsfw,
        "pictures": pictures,
        "placeholder": placeholder,
    }
    renders = await _renders(run_on, at_once, render_deployment)
    rows = await asyncio.gather(*[_one(item, renders, parameters, settings) for item in surveyed])
    told = _summary(run_id, rows, budget_usd)
    await _leave_artifact(told)
    return _judged(told)


async def _renders(run_on: str, at_once: int, render_deployment: str) -> Renders:
    if run_on == "here" or (run_on == "auto" and not deployment.id):
        return Here(at_once)
    workers = Workers(render_deployment)
    if run_on == "auto" and not await workers.is_there():
        get_run_logger().info(
            f"There is no deployment {render_deployment}, so the renders run here, {at_once} at a time; "
            "`prefect deploy --all` makes it."
        )
        return Here(at_once)
    return workers


async def _one(item: Surveyed, renders: Renders, parameters: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """What became of one storyboard. Whatever fails here, the others go on."""
    board = item.board
    row: dict[str, Any] = {
        "storyboard": redact(board.source),
        "name": board.name,
        "outcome": "unchanged",
        "frames": None,
        "cost_usd": "0.00",
        "output": None,
        "error": None,
        "exit_code": 0,
        "run_id": None,
    }
    if item.error is not None:
        code = item.error.exit_code
        return _tell(row | {"outcome": OUTCOMES[code], "error": redact(item.error.as_dict()), "exit_code": code})
    try:
        if item.manifest is not None:
            row |= {"frames": item.manifest["film"].get("frames"), "output": board.targets.film.shown}
            return _tell(row | await asyncio.to_thread(_earlier, item.manifest, parameters["tags"][TAG], settings))
        ended = await renders.render(board.name, {**parameters, "storyboard": board.source, "output": board.output})
        row |= await asyncio.to_thread(_found, item, ended, settings)
    except ShotchainError as error:
        code = error.exit_code
        row |= {"outcome": OUTCOMES[code], "error": redact(error.as_dict()), "exit_code": code}
    except Exception as error:  # noqa: BLE001 -- a bug that one storyboard meets stops no other
        get_run_logger().exception("A storyboard of the batch failed in a way that was not foreseen")
        told = {"type": type(error).__name__, "message": redact(str(error))}
        row |= {"outcome": OUTCOMES[1], "error": told, "exit_code": 1}
    return _tell(row)


def _earlier(manifest: Mapping[str, Any], batch_id: str, settings: Settings) -> dict[str, Any]:
    """What an earlier start of this very batch has published, and paid for it; nothing if it was there before."""
    if flow_run.run_count <= 1:
        return {}
    run_id = str(manifest.get("run_id"))
    with ledger_if_there(settings.ledger) as ledger:
        run = None if ledger is None else ledger.run(run_id)
        if ledger is None or run is None or run.tags.get(TAG) != batch_id:
            return {}
        return {"outcome": OUTCOMES[0], "cost_usd": usd(ledger.totals(run_id).spent_usd), "run_id": run_id}


def _found(item: Surveyed, ended: Ended, settings: Settings) -> dict[str, Any]:
    """What a render left: what it told, its manifest, its money in the ledger."""
    told = dict(ended.told)
    manifest = read_manifest(item.board.targets)
    if manifest is not None and manifest.get("run_id") != ended.run_id:
        manifest = None  # an earlier run's
    if manifest is not None and isinstance(manifest.get("film"), dict):
        told.setdefault("frames", manifest["film"].get("frames"))
        told.setdefault("output", item.board.targets.film.shown)
    code = exit_code_of(ended, manifest)
    return {
        "outcome": OUTCOMES[code],
        "frames": told.get("frames"),
        "cost_usd": _cost(ended, settings, manifest),
        "output": told.get("output"),
        "error": ended.error,
        "exit_code": code,
        "run_id": ended.run_id,
    }


def _cost(ended: Ended, settings: Settings, manifest: Mapping[str, Any] | None) -> str:
    """What the run was charged, in dollars: by the ledger, or where that is another machine's, by the manifest."""
    if ended.run_id is None:
        return "0.00"
    with ledger_if_there(settings.ledger) as ledger:
        if ledger is not None and ledger.run(ended.run_id) is not None:
            return usd(ledger.totals(ended.run_id).spent_usd)
    if manifest is not None:
        return str(manifest.get("cost_usd", "0.00"))
    return "0.00"


def _tell(row: dict[str, Any]) -> dict[str, Any]:
    said = f"{row['name']}: {row['outcome']}"
    if row["error"] is not None:
        said += f": {_why(row['error'])}"
    get_run_logger().info(said)
    observer()(Event(Stage.NOTE, message=said))
    return row


def _why(error: Mapping[str, Any]) -> str:
    """An error in a line; where it is about a line of the storyboard, with that."""
    line = error.get("line")
    return str(error["message"]) if line is None else f"line {line}: {error['message']}"


def _summary(run_id: str, rows: Sequence[dict[str, Any]], budget_usd: str | None) -> dict[str, Any]:
    ordered = sorted(rows, key=lambda row: str(row["name"]))
    return {
        "run_id": run_id,
        "counts": dict(Counter(str(row["outcome"]) for row in ordered)),
        "cost_usd": usd(sum((Decimal(row["cost_usd"]) for row in ordered), Decimal(0))),
        "budget_usd": None if (limit := parse_usd(budget_usd, "budget_usd")) is None else usd(limit),
        "storyboards": ordered,
    }


def _judged(told: dict[str, Any]) -> dict[str, Any]:
    codes = {row["exit_code"] for row in told["storyboards"]}
    worst = next((code for code in _WORST if code in codes), 0)
    if worst == 0:
        return told
    counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(told["counts"].items()))
    error = Incomplete(
        f"not every film is published: {counts}",
        advice="Run the same batch again when what is named is mended: what is made costs nothing more.",
        failures=(),
        summary=told,
    )
    error.exit_code = worst
    raise error


async def _leave_artifact(told: Mapping[str, Any]) -> None:
    artifacts = careful_artifacts()
    if artifacts is None:
        return
    limit = "" if told["budget_usd"] is None else f" of ${told['budget_usd']}"
    counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(told["counts"].items()))
    await artifacts.table(
        "shotchain-batch",
        f"{len(told['storyboards'])} storyboards: {counts}; ${told['cost_usd']}{limit}",
        [
            {
                "storyboard": row["name"],
                "outcome": row["outcome"],
                "frames": "–" if row["frames"] is None else row["frames"],
                "cost": f"${row['cost_usd']}",
                "output": row["output"] or "–",
                "error": "" if row["error"] is None else _why(row["error"]),
            }
            for row in told["storyboards"]
        ],
    )
