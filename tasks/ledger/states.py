"""The states of an attempt: which may follow which, what each may carry, what each holds of the money."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from tasks.errors import Charged

__all__ = [
    "ALLOWED",
    "ENDS",
    "FACTS",
    "LIVE",
    "OVER",
    "PAID",
    "SETTLED_AS_FREE",
    "State",
    "Weight",
    "sources",
    "weigh",
    "weight_of",
]


class State(StrEnum):
    """Where an attempt stands."""

    RESERVED = "reserved"  # money is held; no byte has left
    SUBMITTED = "submitted"  # committed before the first byte left: may have been accepted
    ACCEPTED = "accepted"  # the provider said so
    SUCCEEDED = "succeeded"  # the result is known and the cost settled
    STORED = "stored"  # the clip is in the store: whole, or delivered there and not read yet
    REFUSED = "refused"  # rejected before any work
    FAILED = "failed"  # the provider, or a person, ended it
    UNKNOWN = "unknown"  # nobody can tell; it keeps its price, or what it is said to have cost
    RELEASED = "released"  # surely never left: the reservation was given back


_S = State

ALLOWED: Mapping[State, frozenset[State]] = MappingProxyType(
    {
        _S.RESERVED: frozenset({_S.SUBMITTED, _S.RELEASED}),
        # `released` from here is for a request that is known never to have reached anybody.
        _S.SUBMITTED: frozenset(
            {_S.ACCEPTED, _S.SUCCEEDED, _S.REFUSED, _S.FAILED, _S.UNKNOWN, _S.RELEASED},
        ),
        _S.ACCEPTED: frozenset({_S.SUCCEEDED, _S.FAILED, _S.REFUSED, _S.UNKNOWN}),
        # `submitted` from here is the one more post. A person who finds that nothing was charged ends it as `failed`,
        # `charged: no`; it was posted, so it is never `released`.
        _S.UNKNOWN: frozenset({_S.SUBMITTED, _S.ACCEPTED, _S.SUCCEEDED, _S.FAILED, _S.REFUSED}),
        _S.SUCCEEDED: frozenset({_S.STORED, _S.FAILED}),
        _S.STORED: frozenset(),
        _S.REFUSED: frozenset(),
        _S.FAILED: frozenset(),
        _S.RELEASED: frozenset(),
    },
)
"""From each state, the states that may follow it."""

LIVE = frozenset({_S.RESERVED, _S.SUBMITTED, _S.ACCEPTED, _S.SUCCEEDED, _S.UNKNOWN})
"""The states that hold their content key: of these there is at most one a key."""

PAID = frozenset({_S.SUCCEEDED, _S.STORED})
"""The states of a clip that exists, or existed, and was paid for."""

ENDS = frozenset(state for state, following in ALLOWED.items() if not following)
"""The states that nothing follows."""

OVER = frozenset({_S.REFUSED, _S.FAILED, _S.RELEASED})
"""The ends without a clip: after these a take may be tried again."""

_COST = frozenset({"cost_usd"})
_ENDING = frozenset({"error", "error_code", "charged"})

FACTS: Mapping[State, frozenset[str]] = MappingProxyType(
    {
        _S.RESERVED: frozenset(),
        _S.SUBMITTED: frozenset({"account"}),
        _S.ACCEPTED: frozenset({"result"}),
        _S.SUCCEEDED: _COST | {"result"},
        _S.STORED: _COST | {"result"},
        _S.REFUSED: _COST | _ENDING,
        _S.FAILED: _COST | _ENDING,
        _S.UNKNOWN: _COST | _ENDING,
        _S.RELEASED: frozenset({"error", "error_code"}),
    },
)
"""What may be told together with a move into each state."""


SETTLED_AS_FREE = "settledNotCharged"
"""The error code of an attempt that a person ended, because nothing was charged for it: its take is free again."""


def sources(to: State) -> frozenset[State]:
    """The states from which `to` may be reached."""
    return frozenset(state for state, following in ALLOWED.items() if to in following)


class Weight(NamedTuple):
    """What an attempt weighs in its run's budget, in micro-dollars; at most one of the three is not zero."""

    reserved: int = 0
    spent: int = 0
    unknown: int = 0


def weigh(state: State, charged: Charged | None, reserved_micro: int, cost_micro: int | None) -> Weight:
    """What an attempt in `state` holds of the money.

    A cost that the provider did not name counts as the whole reservation, and so does money of which nobody
    knows whether it was taken.
    """
    cost = reserved_micro if cost_micro is None else cost_micro
    match state:
        case State.RESERVED | State.SUBMITTED | State.ACCEPTED:
            return Weight(reserved=reserved_micro)
        case State.SUCCEEDED | State.STORED:
            return Weight(spent=cost)
        case State.UNKNOWN:
            return Weight(spent=cost) if charged is Charged.YES else Weight(unknown=reserved_micro)
        case State.REFUSED | State.FAILED:
            if charged is Charged.NO:
                return Weight()
            return Weight(spent=cost) if charged is Charged.YES else Weight(unknown=reserved_micro)
        case State.RELEASED:
            return Weight()


def weight_of(weights: Iterable[Weight]) -> Weight:
    """The sum of what attempts weigh, in micro-dollars."""
    reserved = spent = unknown = 0
    for weight in weights:
        reserved += weight.reserved
        spent += weight.spent
        unknown += weight.unknown
    return Weight(reserved, spent, unknown)
