"""Leases and wheels: who lives, who drives, and what the dead leave behind. Nothing that is paid rests on them."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import ClassVar
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import select
from sqlalchemy.dialects import postgresql

from tasks.errors import LedgerError, OverBudget
from tasks.ledger import LIVE, Attempt, Ledger, State, Wanted, open_ledger
from tasks.ledger.engine import clock_us, connect

pytestmark = pytest.mark.thorough

Begin = Callable[..., str]
Want = Callable[..., Wanted]
AttemptIn = Callable[..., Attempt]
Child = Callable[..., subprocess.Popen[str]]


class TestLeases:
    def test_it_is_held_until_it_is_ended(self, ledger: Ledger) -> None:
        assert not ledger.is_held("run")
        ledger.hold_lease("run", 60)
        assert ledger.is_held("run")
        assert not ledger.is_held("another")
        ledger.end_lease("run")
        assert not ledger.is_held("run")
        ledger.end_lease("run")

    def test_it_lapses_unless_it_is_renewed(self, ledger: Ledger) -> None:
        ledger.hold_lease("silent", 1.0)
        ledger.hold_lease("alive", 1.0)
        assert ledger.is_held("silent")
        ledger.hold_lease("alive", 60)
        time.sleep(1.05)
        assert not ledger.is_held("silent")
        assert ledger.is_held("alive")

    def test_the_latest_word_counts_even_if_it_is_shorter(self, ledger: Ledger) -> None:
        ledger.hold_lease("run", 60)
        ledger.hold_lease("run", 0)
        assert not ledger.is_held("run")

    def test_a_run_lives_as_long_as_one_of_its_processes(self, ledger: Ledger) -> None:
        ledger.hold_lease("run/1", 60, run_id="run")
        ledger.hold_lease("run/2", 60, run_id="run")
        assert (ledger.is_alive("run"), ledger.is_held("run")) == (True, False)
        ledger.end_lease("run/1")
        assert (ledger.is_alive("run"), ledger.is_alive("run/2")) == (True, False)
        ledger.hold_lease("run/2", 0, run_id="run")
        assert not ledger.is_alive("run")

    @pytest.mark.parametrize(("holder", "ttl_s"), [("", 60.0), ("run", -1.0), ("run", float("nan"))])
    def test_nobody_holds_nothing(self, ledger: Ledger, holder: str, ttl_s: float) -> None:
        with pytest.raises(ValueError, match="a lease needs"):
            ledger.hold_lease(holder, ttl_s)

    def test_lapsed_ones_do_not_pile_up(self, ledger: Ledger, change: Callable[..., object]) -> None:
        for number in range(5):
            ledger.hold_lease(f"dead {number}", 0)
        ledger.hold_lease("alive", 60)
        ledger.release_lapsed()
        assert change("SELECT holder FROM leases") == [("alive",)]


class TestClock:
    def test_it_tells_the_time_in_microseconds(self, url: str) -> None:
        database = connect(url)
        before = time.time()
        (told,) = database.read(lambda c: c.execute(select(clock_us(c))).scalars().all())
        after = time.time()
        database.close()
        assert isinstance(told, int)
        assert before - 0.002 <= told / 1e6 <= after + 0.002

    def test_postgresql_is_asked_for_now_and_not_for_the_beginning_of_the_transaction(self) -> None:
        class Connection:
            dialect = postgresql.dialect()  # type: ignore[no-untyped-call]

        said = str(select(clock_us(Connection())).compile(dialect=Connection.dialect))  # type: ignore[arg-type]
        assert "clock_timestamp()" in said
        assert "BIGINT" in said


class TestWheel:
    def test_it_is_taken_by_one_alone(self, ledger: Ledger, begin: Begin, attempt_in: AttemptIn) -> None:
        attempt = attempt_in(State.ACCEPTED)
        begin("other")
        held = ledger.take_wheel(attempt.task_uuid, "run")
        assert held is not None
        assert held.driver == "run"
        assert ledger.take_wheel(attempt.task_uuid, "run") == held
        assert ledger.take_wheel(attempt.task_uuid, "other") is None
        assert ledger.attempt(attempt.task_uuid) == held

    @pytest.mark.parametrize("leave", ["let go", "end", "lapse"])
    def test_it_is_free_when_its_driver_is_gone(
        self, ledger: Ledger, begin: Begin, attempt_in: AttemptIn, leave: str
    ) -> None:
        uuid = attempt_in(State.SUBMITTED).task_uuid
        begin("other")
        ledger.take_wheel(uuid, "run")
        if leave == "let go":
            ledger.let_go(uuid, "run")
        elif leave == "end":
            ledger.end_lease("run")
        else:
            ledger.hold_lease("run", 0)
        taken = ledger.take_wheel(uuid, "other")
        assert taken is not None
        assert taken.driver == "other"
        # Whoever comes back finds another there.
        begin()
        assert ledger.take_wheel(uuid, "run") is None

    def test_only_its_driver_lets_it_go(self, ledger: Ledger, begin: Begin, attempt_in: AttemptIn) -> None:
        uuid = attempt_in(State.SUBMITTED).task_uuid
        begin("other")
        held = ledger.take_wheel(uuid, "run")
        ledger.let_go(uuid, "other")
        assert ledger.attempt(uuid) == held

    def test_what_is_reserved_is_for_the_run_alone_that_reserved_it(
        self, ledger: Ledger, begin: Begin, attempt_in: AttemptIn
    ) -> None:
        uuid = attempt_in(State.RESERVED).task_uuid
        begin("other")
        ledger.end_lease("run")
        assert ledger.take_wheel(uuid, "other") is None
        assert ledger.take_wheel(uuid, "run") is not None

    def test_it_moves_nothing(self, ledger: Ledger, begin: Begin, attempt_in: AttemptIn) -> None:
        before = attempt_in(State.ACCEPTED)
        ledger.take_wheel(before.task_uuid, "run")
        ledger.let_go(before.task_uuid, "run")
        assert ledger.attempt(before.task_uuid) == before

    def test_there_is_none_of_what_is_not_known(self, ledger: Ledger) -> None:
        with pytest.raises(LedgerError, match="knows no attempt"):
            ledger.take_wheel(str(uuid4()), "run")

    def test_a_stalled_driver_moves_an_attempt_beside_its_successor_and_one_of_them_wins(
        self, ledger: Ledger, begin: Begin, attempt_in: AttemptIn
    ) -> None:
        uuid = attempt_in(State.ACCEPTED).task_uuid
        begin("successor")
        ledger.take_wheel(uuid, "run")
        ledger.end_lease("run")
        ledger.take_wheel(uuid, "successor")
        moves = [ledger.move(uuid, State.SUCCEEDED, expect={State.ACCEPTED}) for _ in ("stalled", "successor")]
        assert [move is not None for move in moves] == [True, False]

    def test_of_many_threads_one_takes_it(self, ledger: Ledger, begin: Begin, attempt_in: AttemptIn) -> None:
        uuids = [attempt_in(State.SUBMITTED, key=f"{n}").task_uuid for n in range(10)]
        names = [begin(f"driver {n}") for n in range(6)]
        start = threading.Barrier(len(names))

        def work(name: str) -> list[str]:
            start.wait()
            return [uuid for uuid in uuids if ledger.take_wheel(uuid, name)]

        with ThreadPoolExecutor(len(names)) as pool:
            taken = [uuid for each in pool.map(work, names) for uuid in each]
        assert sorted(taken) == sorted(uuids)

    def test_of_four_processes_one_takes_it(
        self, url: str, ledger: Ledger, begin: Begin, attempt_in: AttemptIn, child: Child
    ) -> None:
        uuids = [attempt_in(State.SUBMITTED, key=f"{n}").task_uuid for n in range(20)]
        program = """
import json, sys
from tasks.ledger import open_ledger
ledger = open_ledger(sys.argv[1])
ledger.hold_lease(sys.argv[2], 60)
print("ready", flush=True); sys.stdin.readline()
print(json.dumps([u for u in json.loads(sys.argv[3]) if ledger.take_wheel(u, sys.argv[2])]))
"""
        children = [child(program, url, f"process {n}", json.dumps(uuids)) for n in range(4)]
        for process in children:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        said = [process.communicate("go\n", timeout=50)[0] for process in children]
        assert sorted(uuid for each in said for uuid in json.loads(each)) == sorted(uuids)


class TestReservations:
    def test_what_a_living_run_has_reserved_is_adopted_and_stays_in_its_budget(
        self, ledger: Ledger, begin: Begin, want: Want, attempt_in: AttemptIn
    ) -> None:
        theirs = attempt_in(State.RESERVED, run_id="theirs")
        mine = begin("mine", budget="0")
        assert ledger.reserve(mine, [want("key", price="0.84", shot="opening")]) == [theirs]
        assert ledger.totals("mine").held_usd == 0
        assert ledger.totals("theirs").held_usd == theirs.reserved_usd
        assert ledger.release_lapsed() == []

    @pytest.mark.parametrize("gone", ["ended", "lapsed", "never held"])
    def test_what_a_dead_run_has_reserved_is_given_back_whatever_its_key(
        self, ledger: Ledger, begin: Begin, want: Want, attempt_in: AttemptIn, gone: str
    ) -> None:
        wanted = attempt_in(State.RESERVED, run_id="dead")
        other = attempt_in(State.RESERVED, key="other", run_id="dead")
        sent = attempt_in(State.SUBMITTED, key="sent", run_id="dead")
        if gone == "lapsed":
            ledger.hold_lease("dead", 0)
        else:
            ledger.end_lease("dead")
        (mine,) = ledger.reserve(begin("mine", budget="0.42"), [want("key")])
        assert (mine.run_id, mine.number) == ("mine", 2)
        states = {attempt.task_uuid: attempt.state for attempt in ledger.attempts(run_id="dead")}
        assert states == {
            wanted.task_uuid: State.RELEASED,
            other.task_uuid: State.RELEASED,
            sent.task_uuid: State.SUBMITTED,
        }
        assert ledger.totals("dead").held_usd == sent.reserved_usd

    def test_it_can_be_given_back_without_reserving_anything(self, ledger: Ledger, attempt_in: AttemptIn) -> None:
        dead = attempt_in(State.RESERVED, run_id="dead")
        alive = attempt_in(State.RESERVED, key="other", run_id="alive")
        ledger.end_lease("dead")
        (released,) = ledger.release_lapsed()
        assert (released.task_uuid, released.state) == (dead.task_uuid, State.RELEASED)
        assert ledger.attempt(alive.task_uuid) == alive
        assert ledger.release_lapsed() == []

    def test_a_run_that_wakes_up_finds_out_before_it_sends_anything(
        self, ledger: Ledger, attempt_in: AttemptIn
    ) -> None:
        attempt = attempt_in(State.RESERVED)
        ledger.hold_lease("run", 0)
        ledger.release_lapsed()
        assert ledger.move(attempt.task_uuid, State.SUBMITTED, expect={State.RESERVED}) is None

    def test_a_run_keeps_its_own_even_if_its_lease_has_lapsed(
        self, ledger: Ledger, want: Want, attempt_in: AttemptIn
    ) -> None:
        attempt = attempt_in(State.RESERVED)
        ledger.end_lease("run")
        assert ledger.reserve("run", [want("key")]) == [attempt]

    def test_a_dead_runs_large_plan_is_given_back_in_one_go(self, ledger: Ledger, begin: Begin, want: Want) -> None:
        ledger.reserve(begin("dead"), [want(f"{n}", price="0.001") for n in range(1200)])
        ledger.end_lease("dead")
        assert len(ledger.release_lapsed()) == 1200
        assert ledger.totals("dead").held_usd == 0

    def test_a_retry_adopts_what_another_living_run_tries_already(
        self, ledger: Ledger, begin: Begin, attempt_in: AttemptIn
    ) -> None:
        failed = attempt_in(State.FAILED)
        theirs = ledger.retry(begin("theirs"), failed, Decimal("0.42"))
        assert ledger.retry(begin("mine", budget="0"), failed, Decimal("0.42")) == theirs
        ledger.end_lease("theirs")
        with pytest.raises(OverBudget):
            ledger.retry("mine", failed, Decimal("0.42"))


HOLDERS = ("one", "two", "three")


class Runs(RuleBasedStateMachine):
    """Three runs live, die, drive and let go, in any order, while attempts move on. A model says what must be."""

    new_url: ClassVar[Callable[[], str]]

    def __init__(self) -> None:
        super().__init__()
        self.ledger = open_ledger(type(self).new_url())
        self.alive: set[str] = set()
        self.drivers: dict[str, str] = {}

    @initialize()
    def runs_begin(self) -> None:
        for holder in HOLDERS:
            self.ledger.begin_run(run_id=holder, provider="emulator", account="", storyboard="", budget_usd=None)

    @rule(holder=st.sampled_from(HOLDERS))
    def hold(self, holder: str) -> None:
        self.ledger.hold_lease(holder, 600)
        self.alive.add(holder)

    @rule(holder=st.sampled_from(HOLDERS), lapses=st.booleans())
    def die(self, holder: str, *, lapses: bool) -> None:
        if lapses:
            self.ledger.hold_lease(holder, 0)
        else:
            self.ledger.end_lease(holder)
        self.alive.discard(holder)

    @rule(holder=st.sampled_from(HOLDERS), key=st.sampled_from("abc"))
    def reserve(self, holder: str, key: str) -> None:
        before = {attempt.task_uuid: attempt for attempt in self.ledger.attempts(states={State.RESERVED})}
        (got,) = self.ledger.reserve(holder, [Wanted(key, key, 1, "kling", Decimal("0.42"), {})])
        free = {uuid for uuid, attempt in before.items() if attempt.run_id not in self.alive | {holder}}
        assert got.task_uuid not in free
        assert all(self.ledger.attempts(run_id=run, states={State.RESERVED}) == [] for run in self.dead(but=holder))
        if got.task_uuid in before:
            assert got == before[got.task_uuid]

    @rule()
    def release(self) -> None:
        self.ledger.release_lapsed()
        assert all(self.ledger.attempts(run_id=run, states={State.RESERVED}) == [] for run in self.dead())

    @rule(holder=st.sampled_from(HOLDERS), pick=st.integers(0, 5))
    def take_wheel(self, holder: str, pick: int) -> None:
        attempts = self.ledger.attempts()
        if not attempts:
            return
        attempt = attempts[pick % len(attempts)]
        if attempt.state is State.RELEASED:
            return  # its wheel was freed with it, and nobody wants it any more
        driver = self.drivers.get(attempt.task_uuid)
        free = driver in {None, holder} or driver not in self.alive
        may = attempt.state is not State.RESERVED or attempt.run_id == holder
        taken = self.ledger.take_wheel(attempt.task_uuid, holder)
        assert (taken is not None) == (free and may)
        if taken is not None:
            self.drivers[attempt.task_uuid] = holder

    @rule(holder=st.sampled_from(HOLDERS), pick=st.integers(0, 5))
    def let_go(self, holder: str, pick: int) -> None:
        attempts = self.ledger.attempts()
        if not attempts:
            return
        uuid = attempts[pick % len(attempts)].task_uuid
        self.ledger.let_go(uuid, holder)
        if self.drivers.get(uuid) == holder:
            del self.drivers[uuid]

    @rule(pick=st.integers(0, 5), to=st.sampled_from([State.SUBMITTED, State.ACCEPTED, State.FAILED, State.STORED]))
    def move(self, pick: int, to: State) -> None:
        ways = {
            State.SUBMITTED: {State.RESERVED},
            State.ACCEPTED: {State.SUBMITTED},
            State.FAILED: {State.ACCEPTED},
            State.STORED: {State.SUCCEEDED},
        }
        live = self.ledger.attempts(states=LIVE)
        if live:
            self.ledger.move(live[pick % len(live)].task_uuid, to, expect=ways[to])

    def dead(self, but: str = "") -> set[str]:
        return set(HOLDERS) - self.alive - {but}

    @invariant()
    def the_living_are_the_living(self) -> None:
        assert {holder for holder in HOLDERS if self.ledger.is_held(holder)} == self.alive

    @invariant()
    def an_attempt_has_the_driver_that_took_it_last(self) -> None:
        for attempt in self.ledger.attempts():
            if attempt.state is not State.RELEASED:
                assert attempt.driver == self.drivers.get(attempt.task_uuid)

    @invariant()
    def a_key_has_at_most_one_live_attempt(self) -> None:
        keys = [attempt.content_key for attempt in self.ledger.attempts(states=LIVE)]
        assert len(keys) == len(set(keys))

    def teardown(self) -> None:
        self.ledger.close()


def test_whoever_lives_dies_and_drives_in_whatever_order(new_url: Callable[[], str]) -> None:
    class RunsHere(Runs):
        pass

    RunsHere.new_url = staticmethod(new_url)
    many = "://" not in new_url()
    run_state_machine_as_test(
        RunsHere,
        settings=settings(
            max_examples=12 if many else 6,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )


class TestOneRunInTwoProcesses:
    """An orchestrator may start a run again whose process it takes for dead."""

    @pytest.fixture
    def reserved(self, ledger: Ledger, begin: Begin, want: Want) -> Attempt:
        begin("run")
        ledger.end_lease("run")
        for process in ("run/1", "run/2"):
            ledger.hold_lease(process, 60, run_id="run")
        return ledger.reserve("run", [want("a")])[0]

    def test_one_of_them_drives(self, ledger: Ledger, reserved: Attempt) -> None:
        uuid = reserved.task_uuid
        assert ledger.take_wheel(uuid, "run/1", run_id="run") is not None
        assert ledger.take_wheel(uuid, "run/2", run_id="run") is None
        ledger.end_lease("run/1")
        assert ledger.take_wheel(uuid, "run/2", run_id="run") is not None

    def test_another_runs_process_does_not_send_what_this_one_reserved(self, ledger: Ledger, reserved: Attempt) -> None:
        ledger.hold_lease("other/1", 60, run_id="other")
        assert ledger.take_wheel(reserved.task_uuid, "other/1", run_id="other") is None

    def test_the_first_to_end_leaves_the_other_what_is_reserved(
        self, ledger: Ledger, reserved: Attempt, want: Want
    ) -> None:
        assert not ledger.end_run("run", "stopped", holder="run/1")
        assert (ledger.is_held("run/1"), ledger.release_lapsed()) == (False, [])
        (still,) = ledger.attempts()
        assert still == reserved
        assert ledger.reserve("run", [want("b")])[0].state is State.RESERVED
        assert ledger.end_run("run", "done", holder="run/2")
        assert {attempt.state for attempt in ledger.attempts()} == {State.RELEASED}

    def test_where_the_other_was_dead_already_the_run_is_finished_when_that_is_known(
        self, ledger: Ledger, reserved: Attempt
    ) -> None:
        assert not ledger.end_run("run", "done", holder="run/2")
        ledger.hold_lease("run/1", 0, run_id="run")
        assert [attempt.task_uuid for attempt in ledger.release_lapsed()] == [reserved.task_uuid]
        run = ledger.run("run")
        assert run is not None
        assert (run.outcome, run.finished_at is None) == ("done", False)

    def test_one_that_had_stalled_and_wakes_up_goes_on_with_the_ended_run(
        self, ledger: Ledger, reserved: Attempt, want: Want
    ) -> None:
        ledger.hold_lease("run/1", 0, run_id="run")
        assert ledger.end_run("run", "done", holder="run/2")
        ledger.hold_lease("run/1", 60, run_id="run")
        again = ledger.reserve("run", [want("a")])[0]
        assert (again.state, again.task_uuid == reserved.task_uuid) == (State.RESERVED, False)
        run = ledger.run("run")
        assert run is not None
        assert (run.outcome, run.finished_at) == (None, None)
