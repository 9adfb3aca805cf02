"""What the provider reported is kept once, for whoever waits for it, on either database."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest

from tasks.ledger import Ledger, State, Wanted


@pytest.fixture
def task_uuid(ledger: Ledger, begin: Callable[..., str], want: Callable[..., Wanted]) -> str:
    (attempt,) = ledger.reserve(begin(), [want()])
    return attempt.task_uuid


def report(task_uuid: str, **facts: Any) -> str:
    return json.dumps({"taskUUID": task_uuid, "videoURL": "https://x/v.mp4", **facts})


def test_it_is_there_for_whoever_asks(ledger: Ledger, task_uuid: str) -> None:
    assert ledger.notices([task_uuid]) == []

    assert ledger.keep_notice(task_uuid, report(task_uuid, cost=0.42)) is True

    (found,) = ledger.notices([task_uuid, "another"])
    assert found == {"taskUUID": task_uuid, "videoURL": "https://x/v.mp4", "cost": Decimal("0.42")}


def test_a_duplicate_is_kept_once_and_two_reports_in_their_order(ledger: Ledger, task_uuid: str) -> None:
    for number in (2, 1, 2, 2):
        assert ledger.keep_notice(task_uuid, report(task_uuid, videoUUID=str(number)))

    assert [found["videoUUID"] for found in ledger.notices([task_uuid])] == ["2", "1"]


def test_of_a_task_that_nobody_ordered_nothing_is_kept(ledger: Ledger) -> None:
    assert ledger.keep_notice("stranger", report("stranger")) is False
    assert ledger.notices(["stranger"]) == []


def test_it_changes_no_attempt(ledger: Ledger, task_uuid: str) -> None:
    ledger.keep_notice(task_uuid, report(task_uuid))

    attempt = ledger.attempt(task_uuid)
    assert attempt is not None
    assert attempt.state is State.RESERVED


def test_the_same_report_from_many_sides_at_once(ledger: Ledger, task_uuid: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        kept = list(pool.map(lambda _: ledger.keep_notice(task_uuid, report(task_uuid)), range(16)))

    assert kept == [True] * 16
    assert len(ledger.notices([task_uuid])) == 1


def test_what_is_old_goes(ledger: Ledger, task_uuid: str, change: Callable[..., list[Any]]) -> None:
    ledger.keep_notice(task_uuid, report(task_uuid, videoUUID="old"))
    change("UPDATE notices SET received_at = received_at - 1300000000000")

    ledger.keep_notice(task_uuid, report(task_uuid, videoUUID="new"))

    assert [found["videoUUID"] for found in ledger.notices([task_uuid])] == ["new"]
