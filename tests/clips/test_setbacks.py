"""What failed in a run, and what of it money mends."""

from __future__ import annotations

from decimal import Decimal

from tasks.clips.setbacks import Setbacks
from tasks.errors import ApprovalNeeded, ContentRefused, OutcomeUnknown, OverBudget


def over_budget(scope: str = "run") -> OverBudget:
    return OverBudget("r", needed_usd=Decimal(1), limit_usd=Decimal(1), held_usd=Decimal(1), scope=scope)


def test_a_failure_is_told_of_each_shot_that_has_the_same_take() -> None:
    setbacks = Setbacks()
    error = ContentRefused("no", shot="a")
    setbacks.remember("key", error)
    told = setbacks.of("key", "b")
    assert isinstance(told, ContentRefused)
    assert (told.shot, error.shot) == ("b", "a")
    assert setbacks.of("another", "b") is None


def test_with_money_what_lacked_it_is_tried_again_and_nothing_else() -> None:
    setbacks = Setbacks()
    setbacks.remember("refused", ContentRefused("no"))
    setbacks.remember("own limit", over_budget("shot"))
    setbacks.remember("run", over_budget())
    setbacks.remember("standing", over_budget("standing"))
    setbacks.remember("approval", ApprovalNeeded("ask", cost_usd=Decimal(1)))
    setbacks.remember("unknown", OutcomeUnknown("nobody can tell"))
    assert setbacks.hopeless == {"refused", "own limit"}
    setbacks.forget()
    assert setbacks.hopeless == {"refused", "own limit"}
    assert [setbacks.of(key, "a") for key in ("run", "standing", "approval", "unknown")] == [None] * 4
