"""Who was asked, what they said, and for how long it counts."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tasks.ledger import Answer, Approval, Ledger


def say(ledger: Ledger, answer: str, sum_usd: str = "10.00", **facts: Any) -> Approval:
    named: dict[str, Any] = {"run_id": "run", "provider": "emulator", "fingerprint": "plan", "who": "ann"}
    named |= {"how": "terminal"} | facts
    return ledger.record_approval(named.pop("run_id"), **named, sum_usd=Decimal(sum_usd), answer=answer)


def approved(ledger: Ledger, fingerprint: str = "plan", run_id: str = "run") -> Decimal | None:
    return ledger.approved_sum("emulator", fingerprint, run_id)


def test_it_is_remembered_as_it_was_given(ledger: Ledger) -> None:
    before = datetime.now(UTC)
    said = say(ledger, "approved", "12.000001", limit_usd=Decimal(20), note="for Käthe", how="prefect")
    assert ledger.approvals("run") == [said]
    assert (said.answer, said.sum_usd, said.limit_usd) == (Answer.APPROVED, Decimal("12.000001"), Decimal(20))
    assert (said.who, said.how, said.note) == ("ann", "prefect", "for Käthe")
    assert before <= said.at <= datetime.now(UTC)
    assert ledger.approvals("other") == []


def test_a_yes_counts_for_this_run_this_plan_and_this_provider(ledger: Ledger) -> None:
    assert approved(ledger) is None
    say(ledger, "approved")
    assert approved(ledger) == 10
    assert approved(ledger, run_id="other") is None
    assert approved(ledger, fingerprint="changed") is None
    assert ledger.approved_sum("runware", "plan", "run") is None


def test_the_largest_approved_sum_counts(ledger: Ledger) -> None:
    for sum_usd in ("5", "10", "7"):
        say(ledger, "approved", sum_usd)
    assert approved(ledger) == 10


@pytest.mark.parametrize(
    ("answer", "sum_usd", "left"),
    [("rejected", "11", 10), ("rejected", "10", None), ("rejected", "1", None), ("timed_out", "10", 10)],
)
def test_a_later_no_counts_for_its_sum_and_more(ledger: Ledger, answer: str, sum_usd: str, left: int | None) -> None:
    say(ledger, "approved")
    say(ledger, answer, sum_usd)
    assert approved(ledger) == left
    say(ledger, "approved")
    assert approved(ledger) == 10


def test_what_is_no_answer_or_no_money_is_not_written(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="perhaps"):
        say(ledger, "perhaps")
    with pytest.raises(ValueError, match="finer"):
        say(ledger, "approved", "0.0000001")
    assert ledger.approvals("run") == []


def test_a_note_is_kept_without_secrets(ledger: Ledger) -> None:
    said = say(ledger, "approved", note="see https://ann:pa55@films.example/plan")
    assert "pa55" not in said.note
    assert ledger.approvals("run") == [said]
