"""The main job: a storyboard becomes a published film."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any, Literal

from prefect import flow
from prefect.runtime import deployment, flow_run

from flows.money.approval import approve
from flows.money.batch_budget import under_batch
from flows.money.terms import terms_of
from flows.page import introduce, open_page
from flows.parameters import ApprovalTimeout, InFlight, Retries
from flows.production.produce import produce, produce_takes
from flows.production.running_out import Refill
from flows.production.studio import open_studio
from flows.server.shared import run_environment
from tasks.deliver.choice import check_signable, chosen_presets
from tasks.errors import ApprovalNeeded
from tasks.plan.catalog import input_formats
from tasks.plan.task import plan_film
from tasks.progress import observer
from tasks.provenance.credentials import check_signing
from tasks.publish.ownership import check_apart, check_ours
from tasks.publish.targets import targets_of
from tasks.sequence.shots import check_finish
from tasks.settings import parse_usd, resolve_settings
from tasks.storyboard.read import name_of
from tasks.storyboard.task import read

__all__ = ["render"]


def _run_name() -> str:
    """A run is found by its storyboard's name, or by the title that is typed in."""
    return name_of(str(flow_run.parameters["storyboard"]))


def _deployment_tag() -> dict[str, str]:
    """`FLOW/NAME` of the deployment that this run is of, if it is of one."""
    name = deployment.name if deployment.id else None
    return {"deployment": f"render/{name}"} if name else {}


@flow(name="render", flow_run_name=_run_name, log_prints=False, retries=0)
async def render(
    storyboard: str,
    output: str,
    provider: Literal["runware", "emulator"] = "runware",
    base_url: str | None = None,
    budget_usd: str | None = None,
    shot_budget_usd: str | None = None,
    budgets: str | None = None,
    tags: dict[str, str] = {},  # noqa: B006 -- read only; a form shows it as it is
    batch_budget_usd: str | None = None,
    approve_above_usd: str | None = None,
    approved: bool = False,
    approved_usd: str | None = None,
    approved_plan: str | None = None,
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
    only: list[str] | None = None,
) -> dict[str, Any]:
    """Render a storyboard to a film.

    Every take that is not in the clip store is generated once, paid for once and kept. Run again after whatever
    happened, it goes on where it stopped.

    Args:
        storyboard: Path or URL of the storyboard (YAML or JSON), or the storyboard itself, typed in here.
        output: Where the film goes: a name ending in .mp4, or a folder; any fsspec URL.
        provider: Who generates: Runware, for money, or the embedded emulator, for free.
        base_url: Another address of the Runware API, version path included.
        budget_usd: At most so many dollars for this run, such as 12.50.
        shot_budget_usd: At most so many dollars for any one shot of it.
        budgets: The file of standing budgets; by default SHOTCHAIN_BUDGETS, else the one that ships.
        tags: What standing budgets match, such as client: acme; added to the storyboard's own.
        batch_budget_usd: Dollars that all runs with the same tag `batch` may spend together; given by a batch.
        approve_above_usd: More dollars than these are spent only if approved.
        approved: Approve whatever the budget allows.
        approved_usd: A sum that was approved before the run began, for the plan that approved_plan names.
        approved_plan: Fingerprint of the plan that was approved; another plan is asked about again.
        approval_timeout_s: How many seconds a paused run waits for an answer; without one nothing is spent.
        on_empty: Where money runs out midway, fail with the sum to finish, or pause and ask for a raise; by default
            SHOTCHAIN_ON_EMPTY, else fail.
        max_in_flight: At most so many clips at the provider at once.
        retries: Further attempts a take after failures that may pass; by default the storyboard's, else 2.
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
        only: Make the takes of these shots only, and no film.

    Returns:
        The outcome in numbers; see `flows.production.produce.produce`.
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
    approved_sum = parse_usd(approved_usd, "approved_usd")
    targets = targets_of(output)
    presets = await asyncio.to_thread(chosen_presets, settings.finish) if only is None else ()
    if only is None:
        await asyncio.to_thread(targets.check, presets)
        await asyncio.to_thread(check_ours, targets, presets)
        await asyncio.to_thread(check_signing, settings.signing)
        check_signable(presets, settings.signing)
    boards = await read(storyboard, settings.cache, input_formats())
    plan = await plan_film(boards, settings.identity)
    if only is None:
        inputs = {uri: facts.local for uri, facts in boards.value[1].items()}
        await asyncio.to_thread(check_apart, targets, presets, inputs)
        await asyncio.to_thread(check_finish, plan.value, settings.finish, placeholder=placeholder)
    if approved_plan and plan.value.fingerprint != approved_plan:
        raise ApprovalNeeded(
            "the storyboard, or what it names, has changed since it was approved",
            advice="Look at the plan again, and approve that. Nothing was spent.",
            cost_usd=plan.value.cost_usd,
        )
    run_id = str(flow_run.get_id() or uuid.uuid4())
    terms = terms_of(
        settings,
        # A batch says which deployment its renders belong to: its own.
        {**boards.value[0].tags, **_deployment_tag(), **tags},
        budget_usd=budget_usd,
        shot_budget_usd=shot_budget_usd,
        approve_above_usd=approve_above_usd,
        approved=approved,
    )
    terms = under_batch(terms, batch_budget_usd)
    told = None
    if approved_sum is not None and approved_plan:
        terms, told = terms.approved(approved_sum), "terminal"
    elif approved:
        told = "--yes"
    asked = plan.value if only is None else plan.value.part(only)
    await introduce(settings, asked)
    terms = await approve(
        settings,
        asked,
        terms,
        run_id=run_id,
        told=told,
        timeout_s=approval_timeout_s,
        made_of=boards.value if only is None else None,
    )
    refill = Refill(settings.on_empty, terms, approval_timeout_s)
    async with (
        open_page(asked, observer()) as page,
        open_studio(
            settings,
            plan.value,
            boards.value[1],
            run_id=run_id,
            terms=terms,
            rebuy_lost=rebuy_lost,
            observe=page.observe,
        ) as studio,
    ):
        if only is not None:
            return await produce_takes(studio, plan, only, terms.ask_above_usd, refill=refill)
        return await produce(
            studio, plan, targets, terms.ask_above_usd, placeholder=placeholder, refill=refill, presets=presets
        )
