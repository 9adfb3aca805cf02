"""What is known of an attempt: by the provider, asked in both places where it keeps tasks, and by the ledger."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal, TypeAlias, TypeVar

from tasks.errors import (
    Charged,
    ClipLost,
    ContentRefused,
    Incomplete,
    KeyRefused,
    LedgerError,
    NoCredit,
    OutcomeUnknown,
    OverBudget,
    ProviderError,
    ProviderUnreachable,
    RequestRejected,
    ShotchainError,
    StoryboardError,
)
from tasks.ledger import Attempt
from tasks.runware.client import RunwareClient
from tasks.runware.failures import failure_from_error, is_not_found
from tasks.runware.messages import Reply, VideoResult, read_reply
from tasks.runware.pauses import Pauses

__all__ = [
    "UNDELIVERED",
    "AskAgain",
    "Seen",
    "ask_for_result",
    "ask_patiently",
    "cost_of",
    "delivered_nowhere",
    "delivered_result",
    "error_from_dict",
    "in_work_after_all",
    "is_in_work",
    "look",
    "look_at_all",
    "look_closely",
    "lost",
    "other_account",
    "recorded_error",
    "recorded_result",
    "undelivered",
    "unknown_outcome",
    "unreached",
]

T = TypeVar("T")

_BATCH = 100
_ASK_TRIES = 4
UNDELIVERED = "undelivered"
"""The error code of an attempt that failed for the sake of its delivery, and was charged or may have been."""
Seen: TypeAlias = VideoResult | ShotchainError | Literal["known", "missing"] | None
"""A result, the failure that ended a task, that it is in work, that there is none, or nothing."""
AskAgain: TypeAlias = Callable[[Attempt], Awaitable[VideoResult | None]]
"""Asks the provider for the result of a paid attempt anew; None where it has it no more."""


async def look(client: RunwareClient, task_uuid: str) -> VideoResult | ShotchainError | Literal["known"] | None:
    """Ask about one task.

    Returns:
        Its result; the failure with which the provider ended it; `known` while it is in work; None where the
        provider says nothing of it, which proves nothing.

    Raises:
        OutcomeUnknown: The provider will not say.
        ShotchainError: The provider cannot be asked: transient, or the key or the account is refused.
    """
    seen = await look_closely(client, task_uuid)
    return None if seen == "missing" else seen


async def look_closely(client: RunwareClient, task_uuid: str) -> Seen:
    """Like `look`, and `missing` where the provider says that there is no such task.

    Raises:
        ShotchainError: See `look`.
    """
    missing: Seen = None
    for answer in (_responses, _details):
        seen = _seen_in(client, await answer(client, task_uuid), task_uuid, alone=True)
        if seen is not None and seen != "missing":
            return seen
        missing = seen or missing
    return missing


def _seen_in(client: RunwareClient, reply: Reply, task_uuid: str, *, alone: bool) -> Seen:
    """What a reply says of one task; `missing` where it says that there is no such task, which may be too early.

    Args:
        client: Asked.
        reply: Answered.
        task_uuid: The task.
        alone: Whether the question was about this task only, so that an error that names none is its own.
    """
    if results := reply.results_of(task_uuid):
        return results[0]
    verdict = client.verdict_of(reply, task_uuid, alone=alone)
    if verdict is not None:
        return verdict
    if reply.is_known(task_uuid):
        return "known"
    error = reply.error_of(task_uuid, alone=alone)
    return "missing" if error is not None and is_not_found(error) else None


async def look_at_all(client: RunwareClient, task_uuids: Sequence[str]) -> dict[str, Seen]:
    """Ask about many tasks at once, where the provider shows tasks that are in work.

    Returns:
        What is known of each. Those are left out about which the provider does not answer in company.

    Raises:
        ShotchainError: The provider cannot be asked: transient, or the key or the account is refused.
    """
    seen: dict[str, Seen] = {}
    for start in range(0, len(task_uuids), _BATCH):
        batch = task_uuids[start : start + _BATCH]
        try:
            reply = await _responses(client, *batch)
        except OutcomeUnknown:
            continue
        seen |= {task_uuid: _seen_in(client, reply, task_uuid, alone=len(batch) == 1) for task_uuid in batch}
    return seen


async def ask_for_result(client: RunwareClient, attempt: Attempt) -> VideoResult | None:
    """The result of a paid attempt, with a fresh address; None where the provider has it no more.

    Raises:
        ShotchainError: See `look`.
    """
    for answer in (_responses, _details):
        if results := (await answer(client, attempt.task_uuid)).results_of(attempt.task_uuid):
            return results[0]
    return None


async def is_in_work(client: RunwareClient, attempt: Attempt) -> bool:
    """Whether the provider says that it is at work on an attempt.

    Raises:
        ShotchainError: See `look`.
    """
    return (await _responses(client, attempt.task_uuid)).is_in_work(attempt.task_uuid)


async def ask_patiently(ask: Callable[[], Awaitable[T]], pauses: Pauses) -> T:
    """Ask again, a few times, where the provider cannot be asked at the moment.

    Raises:
        ShotchainError: It cannot be asked at all, or not for longer.
    """
    for turn in range(1, _ASK_TRIES):
        try:
            return await ask()
        except ShotchainError as error:
            if not error.transient:
                raise
        await pauses.backoff(turn, first_s=0.5, most_s=5.0)
    return await ask()


async def _responses(client: RunwareClient, *task_uuids: str) -> Reply:
    try:
        return await client.get_responses(task_uuids)
    except (KeyRefused, NoCredit):
        raise
    except ShotchainError as error:
        if error.transient:
            raise
        # A refused question is no refused task.
        raise OutcomeUnknown(
            f"the provider does not answer what became of this task: {error.message}", task_uuid=task_uuids[0]
        ) from error


async def _details(client: RunwareClient, task_uuid: str) -> Reply:
    try:
        return await client.task_details(task_uuid)
    except RequestRejected:
        return Reply(200)  # a server that keeps no details has nothing to say in them


def recorded_result(attempt: Attempt) -> VideoResult:
    """The result of a paid attempt as the ledger holds it.

    Raises:
        LedgerError: It holds none.
    """
    item = {**(attempt.result or {}), "taskUUID": attempt.task_uuid}
    results = read_reply(200, {"data": [item]}).results_of(attempt.task_uuid)
    if results:
        return results[0]
    raise LedgerError("the ledger holds no result of a paid attempt", task_uuid=attempt.task_uuid)


def delivered_result(attempt: Attempt, error: ShotchainError | None = None) -> VideoResult:
    """The result of an attempt whose clip lies in our own store, where nobody else tells one.

    What the provider calls the clip is not known, so it goes by the name of its task. Where the provider says that the
    task failed, its `error` tells what that cost, and whether the clip is one that it does not want to be seen.
    """
    if attempt.result:
        return recorded_result(attempt)
    item: dict[str, Any] = {"taskType": "videoInference", "taskUUID": attempt.task_uuid, "status": "success"}
    item["videoUUID"] = attempt.task_uuid
    if error is not None:
        item |= {"cost": error.cost_usd, "NSFWContent": isinstance(error, ContentRefused)}
    return read_reply(200, {"data": [item]}).results_of(attempt.task_uuid)[0]


def recorded_error(attempt: Attempt) -> ShotchainError:
    """The error of an attempt that another run brought to its end."""
    if attempt.error and attempt.error.get("type"):
        error = error_from_dict(attempt.error)
    else:
        message = f"the attempt ended as {attempt.state}"
        error = failure_from_error({"code": attempt.error_code or "taskFailed", "message": message})
    error.shot, error.task_uuid = attempt.shot, attempt.task_uuid
    return error


def unknown_outcome(attempt: Attempt) -> OutcomeUnknown | ClipLost:
    """What is said of an attempt of which nobody can tell what became, unless a person said that it was charged."""
    told = recorded_error(attempt) if attempt.error_code == UNDELIVERED else None
    if isinstance(told, ClipLost) or (isinstance(told, OutcomeUnknown) and attempt.charged is not Charged.YES):
        return told
    if attempt.charged is Charged.YES:
        return ClipLost(
            "this take was settled as charged, and the provider knows nothing of it",
            advice=f"Ask the provider for the clip or for the money. Pay ${attempt.reserved_usd} once more with "
            "--rebuy-lost, or, if nothing was charged after all: "
            f"shotchain settle {attempt.task_uuid} --not-charged.",
            shot=attempt.shot,
            task_uuid=attempt.task_uuid,
            cost_usd=attempt.totals.held_usd,
        )
    return OutcomeUnknown(
        "the request was sent, its reply was lost, and the provider cannot say what became of it",
        advice="No other task is sent for it, and its price stays reserved. The next run asks once more. "
        "If the provider's own books say what became of it: "
        f"shotchain settle {attempt.task_uuid} --charged, or --not-charged.",
        shot=attempt.shot,
        task_uuid=attempt.task_uuid,
        cost_usd=attempt.reserved_usd,
        charged=Charged.UNKNOWN,
    )


def in_work_after_all(attempt: Attempt) -> OutcomeUnknown:
    """What is said of an attempt that is over, may have been charged, and is in work by the provider's latest word."""
    return OutcomeUnknown(
        "an attempt at this take had failed, and may have been charged; now the provider says that it is at work on it",
        advice="Nothing more is bought for this take. Run again when it has ended. If nothing is charged for it: "
        f"shotchain settle {attempt.task_uuid} --not-charged.",
        shot=attempt.shot,
        task_uuid=attempt.task_uuid,
        cost_usd=attempt.reserved_usd,
        charged=Charged.UNKNOWN,
    )


def undelivered(attempt: Attempt, error: ShotchainError) -> OutcomeUnknown | ClipLost:
    """What is said of an attempt that failed for the sake of its delivery, and was charged or may have been.

    Its clip may have been made. So it is asked for again, in the store and at the provider, and not bought again.
    """
    cost_usd = error.cost_usd if error.charged is Charged.YES and error.cost_usd else attempt.reserved_usd
    free = f"if nothing was charged: shotchain settle {attempt.task_uuid} --not-charged."
    facts: dict[str, Any] = {"shot": attempt.shot, "task_uuid": attempt.task_uuid, "cost_usd": cost_usd}
    if error.charged is Charged.YES:
        return ClipLost(
            f"the provider was paid for this clip and could not deliver it: {error.message}",
            advice=f"Ask the provider for the clip or for the money. Pay ${cost_usd} once more with --rebuy-lost, or, "
            f"{free} Leave SHOTCHAIN_DIRECT_DELIVERY off.",
            code=UNDELIVERED,
            **facts,
        )
    return OutcomeUnknown(
        f"the provider could not deliver this clip, and does not say whether it charged for it: {error.message}",
        advice=f"Its price stays reserved. If it was charged: shotchain settle {attempt.task_uuid} --charged; {free} "
        "Leave SHOTCHAIN_DIRECT_DELIVERY off.",
        code=UNDELIVERED,
        charged=Charged.UNKNOWN,
        **facts,
    )


def other_account(attempt: Attempt) -> OutcomeUnknown:
    """What is said of an attempt that left under another API key."""
    return OutcomeUnknown(
        "this take was submitted with another API key, and only that account can be asked about it",
        advice="Set RUNWARE_API_KEY to the key it was submitted with and run again.",
        shot=attempt.shot,
        task_uuid=attempt.task_uuid,
    )


def error_from_dict(fields: Mapping[str, Any]) -> ShotchainError:
    """The error that `as_dict` turned into `fields`, as far as they tell; a type that is not known is the root."""
    kind = {known.__name__: known for known in _kinds(ShotchainError)}.get(str(fields.get("type")), ShotchainError)
    if issubclass(kind, StoryboardError | Incomplete | OverBudget):
        kind = kind.__bases__[0]
    names = ["advice", "shot", "file", "line", "task_uuid"]
    if issubclass(kind, ProviderError):
        names += ["code", "parameter", "details"]
    told: dict[str, Any] = {name: fields[name] for name in names if fields.get(name) is not None}
    if fields.get("cost_usd") is not None:
        told["cost_usd"] = Decimal(str(fields["cost_usd"]))
    if fields.get("charged") in list(Charged):
        told["charged"] = Charged(fields["charged"])
    return kind(str(fields.get("message", "")), **told)


def _kinds(kind: type[ShotchainError]) -> Iterator[type[ShotchainError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _kinds(below)


def lost(attempt: Attempt) -> ClipLost:
    """What is said of a paid clip that is gone from the store and from the provider."""
    cost_usd = cost_of(attempt)
    return ClipLost(
        "this take was paid for, its clip is gone from the store, and the provider no longer has it",
        advice=f"Bring the file back to the store, or pay ${cost_usd} once more with --rebuy-lost.",
        shot=attempt.shot,
        task_uuid=attempt.task_uuid,
        cost_usd=cost_usd,
    )


def delivered_nowhere(attempt: Attempt) -> ClipLost:
    """What is said of a paid clip that was to be delivered and nowhere is."""
    cost_usd = cost_of(attempt)
    return ClipLost(
        "this take was paid for, its clip was not delivered, and the provider names no address of it",
        advice=f"Ask the provider for the clip or for the money, or pay ${cost_usd} once more with --rebuy-lost.",
        shot=attempt.shot,
        task_uuid=attempt.task_uuid,
        cost_usd=cost_usd,
    )


def unreached(attempt: Attempt, failure: ShotchainError | None) -> ProviderUnreachable:
    """What is said of a paid clip that the provider has, and that none of its addresses gives."""
    why = "" if failure is None else f": {failure.message}"
    return ProviderUnreachable(
        f"the provider has this clip, and none of the addresses that it names gives it{why}",
        advice="It is paid for and will be fetched by the next run of the same command. If a proxy or a firewall "
        "stands in between, let it through.",
        shot=attempt.shot,
        task_uuid=attempt.task_uuid,
    )


def cost_of(attempt: Attempt) -> Decimal:
    """What an attempt cost; a cost that the provider did not name counts as the reservation."""
    return attempt.reserved_usd if attempt.cost_usd is None else attempt.cost_usd
