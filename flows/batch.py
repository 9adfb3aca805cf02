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
from flows.batches.rows import OUTCOMES, earlier, failed, found, new_row, spent, why
from flows.batches.runs import Here, Renders
from flows.batches.survey import Surveyed, survey
from flows.batches.workers import Workers
from flows.books.history import ledger_if_there
from flows.money.batch_budget import STORYBOARD_TAG, TAG, batch_budget
from flows.page.words import plain
from flows.page.writer import careful_artifacts
from flows.parameters import ApprovalTimeout, AtOnce, InFlight, Retries
from flows.server.shared import run_environment
from tasks.deliver.choice import check_signable, chosen_presets
from tasks.errors import Incomplete, SettingsError, ShotchainError
from tasks.plan.model import usd
from tasks.progress import Event, Stage, observer
from tasks.provenance.credentials import check_signing
from tasks.publish.published import film_digest
from tasks.redaction import redact
from tasks.settings import Settings, parse_usd, resolve_settings
from tasks.storage import locate
from tasks.together import together

__all__ = ["OUTCOMES", "batch"]

# The worst first: a bug, what stops everything, what a person has to decide, what is left over, what to mend.
_WORST = (1, 6, 3, 4, 5, 2)
# What the message of the whole batch gives the reason of: a bug, and what stops everything.
_STOPPING = (1, 6)
_UNFORESEEN = "A storyboard of the batch failed in a way that was not foreseen"


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
    seam: Literal["conform", "lossless", "auto"] = "conform",
    burn_captions: bool = False,
    caption_font: str | None = None,
    timeline: bool = False,
    sign: Literal["auto", "required", "off"] | None = None,
    deliver: list[str] = [],  # noqa: B006 -- read only; a form shows it as it is
    deliverables: str | None = None,
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
        budgets: The file of standing budgets; by default SHOTCHAIN_BUDGETS, else the one that ships.
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
        seam: How clips are joined: conform encodes all to one layout, lossless copies them, auto copies where that is
            safe.
        burn_captions: Draw captions into the pictures, too.
        caption_font: File of the font for that and for cards, for letters that the built-in one lacks.
        timeline: Publish timelines for editors (OTIO, Final Cut, Premiere, EDL), too, with the clips that they show.
        sign: Sign films with content credentials (C2PA): auto where a certificate is configured, required, or off; by
            default SHOTCHAIN_SIGN, else auto.
        deliver: Make these of the film, too, such as h265, prores or square-1080.
        deliverables: A file of deliverables of your own (YAML); by default SHOTCHAIN_DELIVERABLES, else only those that
            ship.
        force: Render also what is published and unchanged; what is paid is not paid again.
        at_once: So many renders at a time, where they run in this process.
        run_on: Where renders run: on the workers of a deployment, here in this process, or as the batch itself does.
        render_deployment: The deployment that renders on workers, as FLOW/NAME.

    Returns:
        `storyboards`: each with `storyboard`, `outcome` (published, unchanged, unseen, broken, incomplete, refused,
        failed), `frames`, `cost_usd`, `output`, `error`, `note`, `run_id`; `counts` by outcome; `cost_usd` in all, and
        `run_id`. Money is that of all starts of this batch.

    Raises:
        Incomplete: Not every film is published. `summary` is what would be returned; `exit_code` is the worst: 1, then
            6, 3, 4, 5, 2.
        BadInput: There are no storyboards, no such deployment, or the output or the ledger can be none.
        Unreachable: The Prefect server, the ledger or the output does not answer.
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
        seam=seam,
        burn_captions=burn_captions,
        caption_font=caption_font,
        timeline=timeline,
        sign=sign,
        deliver=deliver,
        deliverables=deliverables,
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
    await asyncio.to_thread(_check_places, settings, output)
    presets = await asyncio.to_thread(chosen_presets, settings.finish)
    check_signable(presets, settings.signing)
    renders = await _renders(run_on, at_once, render_deployment)
    if isinstance(renders, Here):  # a worker has a certificate of its own, and looks at it itself
        await asyncio.to_thread(check_signing, settings.signing)
    surveyed = await survey(boards, settings, presets, force=force)
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
        "seam": seam,
        "burn_captions": burn_captions,
        "caption_font": caption_font,
        "timeline": timeline,
        "sign": sign,
        "deliver": deliver,
        "deliverables": deliverables,
    }
    rows = await together(_one(item, renders, parameters, settings) for item in surveyed)
    told = _summary(run_id, rows, await _spent(run_id, settings), budget_usd)
    await _leave_artifact(told)
    return _judged(told)


def _check_places(settings: Settings, output: str) -> None:
    """What is wrong with the ledger or the output is wrong for all storyboards, so it is said once."""
    with ledger_if_there(settings.ledger):
        pass
    locate(output).child("film.mp4").check_writable()


async def _renders(run_on: str, at_once: int, render_deployment: str) -> Renders:
    if run_on == "here" or (run_on == "auto" and not deployment.id):
        return Here(at_once)
    workers = Workers(render_deployment)
    if await workers.is_there():
        return workers
    if run_on == "auto":
        get_run_logger().info(
            f"There is no deployment {render_deployment}, so the renders run here, {at_once} at a time; "
            "`prefect deploy --all` makes it."
        )
        return Here(at_once)
    raise SettingsError(
        f"there is no deployment {render_deployment}",
        advice="`prefect --no-prompt deploy --all` makes render/render; or name another with render_deployment.",
    )


async def _one(item: Surveyed, renders: Renders, parameters: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """What became of one storyboard. Whatever fails here, the others go on."""
    board = item.board
    row = new_row(board)
    if item.error is not None:
        if not isinstance(item.error, ShotchainError):
            get_run_logger().error(_UNFORESEEN, exc_info=item.error)
        return _tell(row | failed(item.error))
    try:
        if item.manifest is not None:
            row |= {"frames": item.manifest["film"].get("frames"), "output": board.targets.film.shown}
            if flow_run.run_count > 1:
                row |= await asyncio.to_thread(earlier, item, parameters["tags"][TAG], settings.ledger)
            return _tell(row)
        film = "" if item.plan is None else film_digest(item.plan, item.finish, item.presets)
        tags = {**parameters["tags"], STORYBOARD_TAG: board.name}
        own = {"storyboard": board.source, "output": board.output, "tags": tags}
        ended = await renders.render(board.name, film, {**parameters, **own})
        row |= await asyncio.to_thread(found, item, ended)
    except ShotchainError as error:
        row |= failed(error)
    except Exception as error:  # noqa: BLE001 -- a bug that one storyboard meets stops no other
        get_run_logger().exception(_UNFORESEEN)
        row |= failed(error)
    return _tell(row)


async def _spent(run_id: str, settings: Settings) -> dict[str, Decimal]:
    try:
        return await asyncio.to_thread(spent, run_id, settings.ledger)
    except ShotchainError as error:
        get_run_logger().warning(f"The ledger does not tell what this batch has cost: {redact(str(error))}")
        return {}


def _tell(row: dict[str, Any]) -> dict[str, Any]:
    said = f"{row['name']}: {row['outcome']}"
    if row["error"] is not None:
        said += f": {why(row['error'])}"
    if row["note"] is not None:
        said += f" ({row['note']})"
    get_run_logger().info(said)
    observer()(Event(Stage.NOTE, message=said))
    return row


def _summary(
    run_id: str, rows: Sequence[dict[str, Any]], spent_usd: Mapping[str, Decimal], budget_usd: str | None
) -> dict[str, Any]:
    # Where the ledger knows runs of a storyboard, what they were charged counts, and not what a manifest says.
    ordered = sorted(
        [row | ({"cost_usd": usd(spent_usd[row["name"]])} if row["name"] in spent_usd else {}) for row in rows],
        key=lambda row: str(row["name"]),
    )
    names = {row["name"] for row in ordered}
    gone_usd = sum((amount for name, amount in spent_usd.items() if name not in names), Decimal(0))
    return {
        "run_id": run_id,
        "counts": dict(Counter(str(row["outcome"]) for row in ordered)),
        "cost_usd": usd(sum((Decimal(row["cost_usd"]) for row in ordered), gone_usd)),
        "budget_usd": None if (limit := parse_usd(budget_usd, "budget_usd")) is None else usd(limit),
        "storyboards": ordered,
    }


def _judged(told: dict[str, Any]) -> dict[str, Any]:
    codes = {row["exit_code"] for row in told["storyboards"]}
    worst = next((code for code in _WORST if code in codes), 0)
    if worst == 0:
        return told
    counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(told["counts"].items()))
    said = f"not every film is published: {counts}"
    if worst in _STOPPING:
        said += next(f"; {why(row['error'])}" for row in told["storyboards"] if row["exit_code"] == worst)
    error = Incomplete(
        said,
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
                "storyboard": plain(row["name"]),
                "outcome": row["outcome"],
                "frames": "–" if row["frames"] is None else row["frames"],
                "cost": f"${row['cost_usd']}",
                "output": plain(row["output"] or "–"),
                "error": plain(row["note"] or "" if row["error"] is None else why(row["error"])),
            }
            for row in told["storyboards"]
        ],
    )
