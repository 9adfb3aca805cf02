"""The lease of a run lives as long as the run, and never takes the run with it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from tasks.errors import StorageUnreachable
from tasks.ledger import Ledger
from tasks.ledger.heartbeat import Heartbeat

Change = Callable[..., object]

TTL_S = 0.6


def silent(text: str) -> None:
    raise AssertionError(text)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_it_beats_until_it_is_closed(ledger: Ledger) -> None:
    with Heartbeat(ledger, "run", TTL_S, say=silent):
        for _ in range(4):
            assert ledger.is_held("run")
            time.sleep(TTL_S / 2)
    assert not ledger.is_held("run")
    assert [thread.name for thread in threading.enumerate() if thread.name == "shotchain-lease"] == []


def test_one_that_was_never_started_is_closed_for_nothing(ledger: Ledger) -> None:
    ledger.hold_lease("run", 60)
    Heartbeat(ledger, "run", TTL_S, say=silent).close()
    assert ledger.is_held("run")


def test_a_renewal_that_fails_is_told_once_and_tried_again(ledger: Ledger, change: Change) -> None:
    said: list[str] = []
    with Heartbeat(ledger, "run", TTL_S, say=said.append):
        change("ALTER TABLE leases RENAME TO gone")
        wait_for(lambda: bool(said))
        time.sleep(TTL_S)
        change("ALTER TABLE gone RENAME TO leases")
        time.sleep(TTL_S)
        wait_for(lambda: ledger.is_held("run"))
    (text,) = said
    assert "lease cannot be renewed" in text


def test_an_end_that_fails_is_told_and_ends_nothing(ledger: Ledger, change: Change) -> None:
    said: list[str] = []
    with Heartbeat(ledger, "run", 60, say=said.append):
        change("DROP TABLE leases")
    (text,) = said
    assert "lease cannot be ended" in text


def test_a_lease_that_cannot_be_had_is_an_error_at_the_start(ledger: Ledger, change: Change) -> None:
    change("DROP TABLE leases")
    with pytest.raises(StorageUnreachable):
        Heartbeat(ledger, "run", TTL_S, say=silent).start()
