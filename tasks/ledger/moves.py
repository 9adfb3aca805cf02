"""One move of one attempt: what it writes, and the compare-and-set that makes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, case, func, update

from tasks.errors import Charged, LedgerError, ProviderError, ShotchainError
from tasks.ledger.money import nearest_micro, to_micro
from tasks.ledger.records import Attempt
from tasks.ledger.rows import find_attempt, now_us, write_json
from tasks.ledger.schema import attempts
from tasks.ledger.states import FACTS, State, sources
from tasks.redaction import redact

__all__ = ["Move", "as_read", "make"]

_STAMPS = {
    State.SUBMITTED: "submitted_at",
    State.ACCEPTED: "accepted_at",
    State.SUCCEEDED: "finished_at",
    State.REFUSED: "finished_at",
    State.FAILED: "finished_at",
    State.RELEASED: "finished_at",
    State.STORED: "stored_at",
}
_succeeded = attempts.c.state == str(State.SUCCEEDED)
# What is assumed about the money when nobody says: the safe side for work that was begun.
_ASSUMED = {State.FAILED: Charged.UNKNOWN, State.REFUSED: Charged.NO}


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A wanted move with its facts; see `Ledger.move`.

    Raises:
        LedgerError: the rules do not allow it from any of `expect`, or not with these facts.
    """

    to: State
    expect: frozenset[State] | None = None
    known: Attempt | None = None
    posts: int | None = None
    cost_usd: Decimal | None = None
    charged: Charged | None = None
    result: Mapping[str, Any] | None = None
    error: Exception | Mapping[str, Any] | None = None
    error_code: str | None = None
    account: str | None = None

    def __post_init__(self) -> None:
        told = {
            name
            for name in ("cost_usd", "charged", "result", "error", "error_code", "account")
            if getattr(self, name) is not None
        }
        if extra := sorted(told - FACTS[self.to]):
            raise LedgerError(f"a move to `{self.to}` cannot carry {', '.join(extra)}")
        if self.charged is Charged.NO and self.cost_usd:
            raise LedgerError(f"an attempt that was not charged cannot have cost {self.cost_usd} USD")
        expect = {self.known.state} if self.expect is None and self.known is not None else self.expect
        if expect is not None and (not expect or expect - sources(self.to)):
            given = ", ".join(sorted(expect)) or "nothing"
            raise LedgerError(f"`{self.to}` cannot follow {given}; it follows {_names(sources(self.to))}")

    @property
    def froms(self) -> frozenset[State]:
        """The states from which the move is made."""
        return sources(self.to) if self.expect is None else self.expect

    def values(self, now: int) -> dict[str, Any]:
        """What it writes into the row, `now` being in microseconds since 1970."""
        row: dict[str, Any] = {"state": str(self.to), "updated_at": now}
        if self.to in _STAMPS:
            row[_STAMPS[self.to]] = now
        if self.cost_usd is not None:
            row["cost_micro"] = nearest_micro(self.cost_usd)
        if self.result is not None:
            row["result"] = write_json(self.result)
        if self.account is not None:
            row["account"] = self.account
        if self.to is State.SUBMITTED:
            row["posts"] = attempts.c.posts + 1
        elif self.to in (State.ACCEPTED, State.SUCCEEDED):
            # What was written while it was unclear no longer holds.
            row |= {"error": None, "error_code": None}
            if self.to is State.ACCEPTED:
                row |= {"charged": None, "cost_micro": None}
        if self.error is not None:
            row["error"] = write_json(redact(_as_dict(self.error)))
        if (code := self.error_code or _code_of(self.error)) is not None:
            row["error_code"] = code
        if (charged := self._charged()) is not None:
            row["charged"] = charged
        if self._said() is Charged.NO:
            row["cost_micro"] = case((_succeeded, attempts.c.cost_micro), else_=None)
        return row

    def _charged(self) -> Any:
        match self.to:
            case State.SUCCEEDED | State.STORED:
                return str(Charged.YES)
            case State.RELEASED:
                return str(Charged.NO)
            case State.FAILED | State.REFUSED:
                if self.charged is not None:
                    return str(self.charged)
                said = self._said()
                known = func.coalesce(attempts.c.charged, str(said or _ASSUMED[self.to]))
                # What success has settled is not forgotten because a later step failed; what a person said is, where
                # the provider says otherwise.
                return known if said in {None, Charged.UNKNOWN} else case((_succeeded, known), else_=str(said))
            case State.UNKNOWN:
                return None if self.charged is None else str(self.charged)
            case _:
                return None

    def _said(self) -> Charged | None:
        """What is said of the money of an attempt that ends without a clip."""
        if self.to not in (State.FAILED, State.REFUSED):
            return None
        if self.charged is not None:
            return self.charged
        if self.cost_usd:
            return Charged.YES
        # Only the provider's own errors speak of its money; others speak of their own step.
        return self.error.charged if isinstance(self.error, ProviderError) else None


def make(connection: Connection, task_uuid: str, move: Move) -> Attempt | None:
    """Make `move` if the attempt is still in one of its states; `None` when another got there first.

    Raises:
        LedgerError: no such attempt exists, or, where nothing particular was expected, it stands where the
            rules do not allow the move.
    """
    still = (attempts.c.task_uuid == task_uuid) & attempts.c.state.in_([str(state) for state in move.froms])
    if move.posts is not None:
        still &= attempts.c.posts == move.posts
    if move.known is not None:
        still &= as_read(move.known)
    moved = connection.execute(update(attempts).where(still).values(move.values(now_us()))).rowcount
    attempt = find_attempt(connection, task_uuid)
    if attempt is None:
        raise LedgerError(f"the ledger knows no attempt {task_uuid}", task_uuid=task_uuid)
    if moved:
        return attempt
    if move.expect is not None or move.known is not None or move.posts is not None or attempt.state is move.to:
        return None
    raise LedgerError(
        f"attempt {task_uuid} is `{attempt.state}`; `{move.to}` follows {_names(sources(move.to))}",
        shot=attempt.shot,
        task_uuid=task_uuid,
    )


def as_read(known: Attempt) -> ColumnElement[bool]:
    """Whether an attempt is what it was when it was read: where it stands, how often it was posted, what it cost."""
    charged = None if known.charged is None else str(known.charged)
    cost_micro = None if known.cost_usd is None else to_micro(known.cost_usd)
    return and_(
        attempts.c.task_uuid == known.task_uuid,
        attempts.c.state == str(known.state),
        attempts.c.posts == known.posts,
        attempts.c.charged.is_not_distinct_from(charged),
        attempts.c.cost_micro.is_not_distinct_from(cost_micro),
    )


def _names(states: frozenset[State]) -> str:
    return ", ".join(f"`{state}`" for state in sorted(states)) or "nothing"


def _as_dict(error: Exception | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(error, ShotchainError):
        return error.as_dict()
    if isinstance(error, Exception):
        return {"type": type(error).__name__, "message": str(error)}
    return dict(error)


def _code_of(error: Exception | Mapping[str, Any] | None) -> str | None:
    code = error.get("code") if isinstance(error, Mapping) else getattr(error, "code", None)
    return code if isinstance(code, str) else None
