"""The gate: what is in the store already costs nothing; the rest is reserved, all of it or nothing."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal

from tasks.clips.store import ClipStore
from tasks.clips.writing import in_ledger
from tasks.errors import ApprovalNeeded, OverBudget, ShotchainError, UnpinnedInput
from tasks.ledger import Attempt, State, Wanted
from tasks.ledger.ledger import Ledger
from tasks.ledger.states import LIVE, PAID
from tasks.plan.model import Plan, PlannedShot, PlannedTake

__all__ = ["Reserved", "lacks_money", "open_gate", "past_limit", "refuse_unpinned", "still_to_buy_usd", "wanted_take"]


@dataclass(frozen=True, slots=True)
class Reserved:
    """What the gate found and held for a run: keys that are in the store, and the attempts at those that are not."""

    run_id: str
    reused: frozenset[str]
    attempts: tuple[Attempt, ...]

    @property
    def held_usd(self) -> Decimal:
        """Dollars that this run has reserved for what was not submitted yet."""
        waiting = (it for it in self.attempts if it.state is State.RESERVED and it.run_id == self.run_id)
        return sum({item.task_uuid: item.reserved_usd for item in waiting}.values(), Decimal(0))


def refuse_unpinned(plan: Plan) -> None:
    """Refuse to pay for what is not known.

    Raises:
        UnpinnedInput: An input could not be read.
    """
    if plan.unpinned:
        first = plan.unpinned[0]
        more = f" (and {len(plan.unpinned) - 1} more inputs)" if len(plan.unpinned) > 1 else ""
        raise UnpinnedInput(
            f"{first.uri} cannot be read ({first.reason}){more}, so it is not known what would be paid for",
            shot=first.shot,
            file=plan.file,
            advice="Nothing was spent. Make it readable from here, or give a local file.",
        )


def wanted_take(plan: Plan, shot: PlannedShot, take: PlannedTake, replaces: str | None = None) -> Wanted:
    """A take as the ledger reserves it."""
    return Wanted(
        content_key=take.content_key,
        shot=shot.id,
        take=take.number,
        model=plan.model,
        price_usd=shot.price_usd,
        request=shot.request,
        replaces=replaces,
    )


async def open_gate(
    plan: Plan,
    store: ClipStore,
    ledger: Ledger,
    run_id: str,
    approved_usd: Decimal | None = None,
    forgone: Collection[str] = (),
) -> Reserved:
    """Reserve the whole plan, less what is in the store, in one transaction.

    Args:
        plan: What is to be made.
        store: What is there already.
        ledger: Where the money is held.
        run_id: The run that pays.
        approved_usd: What may be spent without asking; None for whatever the budget allows.
        forgone: Content keys for which nothing is reserved, whatever the plan says.

    Raises:
        UnpinnedInput: An input could not be read.
        ApprovalNeeded: It would cost more than `approved_usd`; what was reserved is given back.
        OverBudget: The budget has no room. Either way nothing stays reserved and nothing is sent.
    """
    refuse_unpinned(plan)
    takes = [(shot, take) for shot in plan.shots for take in shot.takes]
    reused = await store.has(plan.content_keys)
    without = {*reused, *forgone}
    wanted = [wanted_take(plan, shot, take) for shot, take in takes if take.content_key not in without]
    try:
        attempts = await in_ledger(ledger.reserve, run_id, wanted) if wanted else []
    except OverBudget as error:
        raise past_limit(error, approved_usd) from error
    reserved = Reserved(run_id, frozenset(reused), tuple(attempts))
    # Only now is it known what other runs have paid for already.
    if approved_usd is not None and reserved.held_usd > approved_usd:
        await in_ledger(ledger.release_unsubmitted, run_id)
        raise _not_approved(reserved.held_usd, approved_usd)
    return reserved


def still_to_buy_usd(
    plan: Plan, reused: Collection[str], ledger: Ledger, run_id: str, lost: Collection[str] = ()
) -> Decimal:
    """Dollars that the gate would hold for a plan in this moment, with what it holds for this run and has not sent.

    What is under way already, and what was paid for, costs nothing; nor does what another living run has reserved.

    Args:
        plan: What is to be made.
        reused: Content keys of the clips that are in the store.
        ledger: Is only asked.
        run_id: The run that would pay.
        lost: Content keys that it pays for anew, since what was paid for is gone.
    """
    prices_usd = {
        take.content_key: shot.price_usd
        for shot in plan.shots
        for take in shot.takes
        if take.content_key not in reused
        and (take.content_key in lost or not _is_had(ledger, plan.provider, take.content_key, run_id))
    }
    return sum(prices_usd.values(), Decimal(0))


def _is_had(ledger: Ledger, provider: str, key: str, run_id: str) -> bool:
    known = ledger.attempts(provider=provider, content_key=key, states=LIVE | PAID)
    return any(
        attempt.state is not State.RESERVED or (attempt.run_id != run_id and ledger.is_alive(attempt.run_id))
        for attempt in known
    )


def lacks_money(error: BaseException) -> bool:
    """Whether the whole run has no money left, by a budget or by what was approved; one shot's own limit is its own."""
    return isinstance(error, ApprovalNeeded) or (isinstance(error, OverBudget) and error.scope != "shot")


def past_limit(error: OverBudget, approved_usd: Decimal | None) -> ShotchainError:
    """What a refused reservation means: where the approved sum was the limit, a person may still say yes."""
    if approved_usd is None or error.scope != "run" or error.limit_usd != approved_usd:
        return error
    return _not_approved(error.needed_usd + error.held_usd, approved_usd)


def _not_approved(sum_usd: Decimal, approved_usd: Decimal) -> ApprovalNeeded:
    return ApprovalNeeded(
        f"${sum_usd} would be spent, and no more than ${approved_usd} may be without approval",
        advice="Approve it, or raise the sum that needs no approval. Nothing more was submitted.",
        cost_usd=sum_usd,
    )
