"""Money runs out midway: what is in flight is kept, the sum to finish is told, and a raise finishes for exactly that."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from decimal import Decimal
from typing import Any

import httpx
import pytest

from flows.money.asking import Terminal, ask_at
from flows.render import render
from tasks.emulator import EmulatorServer, EmulatorSettings
from tasks.errors import Incomplete
from tasks.ledger import Answer, Ledger, open_ledger
from tests.flows.conftest import Home

pytestmark = [pytest.mark.usefixtures("on_server"), pytest.mark.timeout(90), pytest.mark.runs]

BOARD = """
title: {title}
tags: {{client: acme}}
shots:
  - {{id: lake, prompt: A calm lake, duration: 1}}
  - {{id: hill, prompt: A green hill, duration: 1}}
  - {{id: barn, prompt: A red barn, duration: 1}}
"""
STUDIO = 'budgets:\n  - {name: acme, limit_usd: "1.26", match: {client: acme}}\n'


LAKE = {"fault": "fail", "prompt": "lake", "code": "providerTimeout", "charged": True}
"""The lake fails, and is charged all the same."""


@pytest.fixture
def emulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., EmulatorServer]]:
    monkeypatch.setenv("RUNWARE_API_KEY", "key-of-the-tests")
    opened: list[EmulatorServer] = []

    def start(*rules: dict[str, Any], latency_s: float = 0.0) -> EmulatorServer:
        settings = EmulatorSettings(latency_s=latency_s, faults={"rules": list(rules)})
        opened.append(EmulatorServer(settings).__enter__())
        return opened[-1]

    yield start
    for server in opened:
        server.__exit__(None, None, None)


def books(server: EmulatorServer) -> tuple[str, list[str]]:
    """What was charged, and what was sent, in order."""
    told = httpx.get(f"{server.origin}/_emulator/books").json()
    return told["total_usd"], [task["request"]["positivePrompt"] for task in told["tasks"]]


def given(home: Home, server: EmulatorServer, title: str, **options: Any) -> dict[str, Any]:
    return {
        "storyboard": str(home.storyboard(BOARD.format(title=title))),
        "output": str(home.folder / "film.mp4"),
        "base_url": server.base_url,
        "retries": 1,
        **options,
    }


def spent_by(ledger: Ledger) -> Decimal:
    return sum((ledger.totals(run.run_id).spent_usd for run in ledger.runs()), Decimal(0))


async def test_the_run_fails_with_what_is_missing_and_a_rerun_finishes_for_exactly_the_sum_it_told(
    home: Home, emulator: Callable[..., EmulatorServer]
) -> None:
    # Longer than the pause before a retry, so that one clip is in flight and one is not sent when that is refused.
    server = emulator(
        {"fault": "fail", "nth": 1, "code": "providerTimeout", "charged": True, "after_s": 0.1}, latency_s=4.0
    )
    with pytest.raises(Incomplete) as caught:
        await render(**given(home, server, "Ran out", budget_usd="1.26", max_in_flight=1))
    error = caught.value
    assert error.exit_code == 3
    # The first was charged and failed; the second was in flight and is kept; the third was never sent.
    charged_usd, sent = books(server)
    assert (charged_usd, len(sent)) == ("0.84", 2)
    kept = sent[1].rsplit(" ", 1)[1]
    missing = [shot for shot in ("lake", "hill", "barn") if shot != kept]
    assert f"missing: shots '{missing[0]}', '{missing[1]}'; to finish: $0.84" in error.message
    assert "the budget is $1.26" in error.message
    assert "Raise the run's budget by $0.42, to $1.68." in str(error.advice)
    told = error.summary["to_finish"]
    assert (told["cost_usd"], told["shots"]) == ("0.84", missing)
    (lack,) = told["budgets"]
    assert {name: lack[name] for name in ("scope", "limit_usd", "held_usd", "by_usd", "to_usd")} == {
        "scope": "run",
        "limit_usd": "1.26",
        "held_usd": "0.84",
        "by_usd": "0.42",
        "to_usd": "1.68",
    }
    assert (error.summary["cost_usd"], error.summary["reserved_usd"]) == ("0.84", "0.00")
    manifest = json.loads((home.folder / "film.manifest.json").read_text())
    assert (manifest["complete"], manifest["film"], manifest["to_finish"]) == (False, None, told)

    again = await render(**given(home, server, "Ran out", budget_usd="0.84"))
    assert (again["cost_usd"], again["generated"], again["reused"]) == ("0.84", 2, 1)
    assert books(server)[0] == "1.68"


async def test_nobody_to_ask_and_a_no_at_the_terminal_end_as_failures(
    home: Home, emulator: Callable[..., EmulatorServer]
) -> None:
    server = emulator({**LAKE, "times": 1})
    asked: list[str] = []

    def no(question: str) -> str:
        asked.append(question)
        return "no"

    ask_at(Terminal(no))
    try:
        with pytest.raises(Incomplete) as caught:
            await render(**given(home, server, "Refused", budget_usd="1.26", on_empty="pause"))
    finally:
        ask_at(None)
    assert caught.value.exit_code == 3
    assert len(asked) == 1
    assert "to finish: $0.42.\nRaise the run's budget from $1.26 to $1.68?" in asked[0]
    assert books(server)[0] == "1.26"
    with open_ledger(home.environment["SHOTCHAIN_LEDGER"]) as ledger:
        (run,) = ledger.runs()
        (said,) = ledger.approvals(run.run_id)
        assert (said.answer, said.how, said.sum_usd, said.limit_usd) == (
            Answer.REJECTED,
            "terminal",
            Decimal("1.68"),
            None,
        )


async def test_a_yes_at_the_terminal_lets_the_same_run_go_on(
    home: Home, emulator: Callable[..., EmulatorServer]
) -> None:
    server = emulator({**LAKE, "times": 1})
    ask_at(Terminal(lambda _: " Y "))
    try:
        done = await render(**given(home, server, "Raised", budget_usd="1.26", on_empty="pause"))
    finally:
        ask_at(None)
    # One run, one bill: what it made before the raise is its own, too.
    assert (done["cost_usd"], done["generated"], done["reused"], done["failed"]) == ("1.68", 3, 0, 0)
    assert books(server)[0] == "1.68"
    with open_ledger(home.environment["SHOTCHAIN_LEDGER"]) as ledger:
        (run,) = ledger.runs()
        assert run.budget_usd == Decimal("1.68")
        assert [(it.answer, it.limit_usd) for it in ledger.approvals(run.run_id)] == [
            (Answer.APPROVED, Decimal("1.68"))
        ]


async def answer(api: str, title: str, **form: str) -> None:
    """Wait for the run to be paused, and send it the form."""
    async with httpx.AsyncClient(base_url=api) as client:
        async with asyncio.timeout(60):
            while True:
                found = (await client.post("/flow_runs/filter", json={"sort": "EXPECTED_START_TIME_DESC"})).json()
                waiting = [it for it in found if it["name"] == title and it["state"]["type"] == "PAUSED"]
                if waiting:
                    break
                await asyncio.sleep(0.3)
        url = f"/flow_runs/{waiting[0]['id']}/resume"
        while (resumed := await client.post(url, json={"run_input": form})).status_code == 503:  # noqa: ASYNC110
            await asyncio.sleep(0.3)  # its database is busy
        assert resumed.json()["status"] == "ACCEPT", resumed.text


async def events_of(api: str, run_id: str, least: int) -> list[str]:
    """The names of our events of a run, in order, once the server has taken them in."""
    from prefect.events.worker import EventsWorker

    await asyncio.to_thread(EventsWorker.drain_all, timeout=10.0, at_exit=False)
    wanted = {"filter": {"event": {"prefix": ["shotchain."]}, "resource": {"id": [f"prefect.flow-run.{run_id}"]}}}
    async with httpx.AsyncClient(base_url=api) as client:
        for _ in range(50):
            told = (await client.post("/events/filter", json=wanted)).json()["events"]
            if len(told) >= least:
                break
            await asyncio.sleep(0.2)
    return [event["event"] for event in sorted(told, key=lambda event: event["occurred"])]


@pytest.mark.server
async def test_a_deployed_run_pauses_for_a_raise_and_goes_on_and_asks_again_when_that_is_not_enough(
    home: Home, emulator: Callable[..., EmulatorServer], on_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = emulator({**LAKE, "times": 2})
    (home.folder / "budgets.yaml").write_text(STUDIO)
    monkeypatch.setenv("PREFECT__RUNTIME__DEPLOYMENT__ID", "00000000-0000-0000-0000-000000000001")
    monkeypatch.setenv("SHOTCHAIN_ON_EMPTY", "pause")
    named = render.with_options(flow_run_name="short of money")
    options = given(home, server, "Standing", budgets=str(home.folder / "budgets.yaml"), retries=2)
    running = asyncio.create_task(named(**options))
    await answer(on_server, "short of money", answer="approve", note="go on", name="Ann  Archer")
    await answer(on_server, "short of money", answer="approve", new_limit_usd="3")
    done = await running
    assert (done["cost_usd"], done["generated"], done["failed"]) == ("2.10", 3, 0)
    assert books(server)[0] == "2.10"
    with open_ledger(home.environment["SHOTCHAIN_LEDGER"]) as ledger:
        (run,) = ledger.runs()
        assert spent_by(ledger) == Decimal(books(server)[0])
        (state,) = ledger.budget_states(run.provider, run.run_id)
        assert state.limit_usd == 3
        first, second = ledger.approvals(run.run_id)
    assert (first.who, first.how, first.note, first.limit_usd) == (
        "Ann Archer",
        "prefect",
        "Raises the budget 'acme' to $1.68. go on",
        None,
    )
    assert (second.who, second.note) == ("prefect", "Raises the budget 'acme' to $3.00.")
    told = await events_of(on_server, run.run_id, 9)
    once = ["shotchain.budget.refused", "shotchain.approval.requested", "shotchain.approval.given"]
    reserved = "shotchain.budget.reserved"
    assert told == [reserved, *once, reserved, *once, reserved]


async def test_without_an_answer_in_time_it_fails_and_says_so_in_the_manifest(
    home: Home, emulator: Callable[..., EmulatorServer], on_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = emulator({**LAKE, "times": 1})
    monkeypatch.setenv("PREFECT__RUNTIME__DEPLOYMENT__ID", "00000000-0000-0000-0000-000000000001")
    with pytest.raises(Incomplete) as caught:
        await render(**given(home, server, "Silence", budget_usd="1.26", on_empty="pause", approval_timeout_s=1))
    assert caught.value.exit_code == 3
    assert json.loads((home.folder / "film.manifest.json").read_text())["to_finish"]["cost_usd"] == "0.42"
    with open_ledger(home.environment["SHOTCHAIN_LEDGER"]) as ledger:
        (run,) = ledger.runs()
        assert [it.answer for it in ledger.approvals(run.run_id)] == [Answer.TIMED_OUT]


async def test_what_was_approved_runs_out_too_and_that_is_approval_that_is_needed(
    home: Home, emulator: Callable[..., EmulatorServer]
) -> None:
    server = emulator({**LAKE, "times": 1})
    with pytest.raises(Incomplete) as caught:
        await render(**given(home, server, "Approved", approve_above_usd="1.26", on_empty="pause"))
    assert caught.value.exit_code == 4
    assert "no more than $1.26 may be without approval" in caught.value.message
    assert caught.value.summary["to_finish"]["budgets"][0]["to_usd"] == "1.68"
    assert books(server)[0] == "1.26"


async def test_a_yes_undoes_no_higher_limit_that_somebody_else_has_set_meanwhile(
    home: Home, emulator: Callable[..., EmulatorServer]
) -> None:
    server = emulator({**LAKE, "times": 1})
    (home.folder / "budgets.yaml").write_text(STUDIO)

    def yes(question: str) -> str:
        assert "Raise the budget 'acme' from $1.26 to $1.68?" in question
        with open_ledger(home.environment["SHOTCHAIN_LEDGER"]) as ledger:
            ledger.raise_budget(ledger.runs()[0].provider, "acme", Decimal(9))
        return "yes"

    ask_at(Terminal(yes))
    try:
        options = {"budgets": str(home.folder / "budgets.yaml"), "on_empty": "pause"}
        done = await render(**given(home, server, "Meanwhile", **options))
    finally:
        ask_at(None)
    assert done["cost_usd"] == "1.68"
    with open_ledger(home.environment["SHOTCHAIN_LEDGER"]) as ledger:
        (state,) = ledger.budget_states(ledger.runs()[0].provider)
    assert state.limit_usd == 9


async def test_a_limit_that_is_none_higher_is_no_yes_and_lowers_nothing(
    home: Home, emulator: Callable[..., EmulatorServer]
) -> None:
    server = emulator({**LAKE, "times": 1})
    (home.folder / "budgets.yaml").write_text(STUDIO)
    asked: list[str] = []

    def lower(question: str) -> str:
        asked.append(question)
        return ("0", "1.26", "n")[len(asked) - 1]

    ask_at(Terminal(lower))
    try:
        with pytest.raises(Incomplete, match="money ran out"):
            await render(**given(home, server, "Lower", budgets=str(home.folder / "budgets.yaml"), on_empty="pause"))
    finally:
        ask_at(None)
    with open_ledger(home.environment["SHOTCHAIN_LEDGER"]) as ledger:
        (state,) = ledger.budget_states(ledger.runs()[0].provider)
        (said,) = ledger.approvals(ledger.runs()[0].run_id)
    assert (state.limit_usd, said.answer) == (Decimal("1.26"), Answer.REJECTED)
    assert asked[1].startswith("$0.00 is no raise: the budget 'acme' is $1.26 already.\n")
    assert asked[2].startswith("$1.26 is no raise")


async def test_on_the_page_a_limit_that_is_none_higher_is_a_no(
    home: Home, emulator: Callable[..., EmulatorServer], on_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = emulator({**LAKE, "times": 1})
    monkeypatch.setenv("PREFECT__RUNTIME__DEPLOYMENT__ID", "00000000-0000-0000-0000-000000000001")
    named = render.with_options(flow_run_name="no raise")
    running = asyncio.create_task(named(**given(home, server, "No raise", budget_usd="1.26", on_empty="pause")))
    await answer(on_server, "no raise", answer="approve", new_limit_usd="1.26", note="as it is")
    with pytest.raises(Incomplete) as ended:
        await running
    assert ended.value.exit_code == 3
    with open_ledger(home.environment["SHOTCHAIN_LEDGER"]) as ledger:
        (said,) = ledger.approvals(ledger.runs()[0].run_id)
    assert (said.answer, said.limit_usd) == (Answer.REJECTED, None)
    assert said.note == "$1.26 is no raise: the run's budget is $1.26 already. as it is"


async def test_a_run_that_is_started_again_without_money_asks_again_and_tells_what_is_missing(
    home: Home, emulator: Callable[..., EmulatorServer]
) -> None:
    server = emulator({**LAKE, "times": 1})
    answers, asked = ["", "", "yes"], []

    def say(question: str) -> str:
        asked.append(question)
        return answers[len(asked) - 1]

    options = given(home, server, "Again", budget_usd="1.26", on_empty="pause")
    ask_at(Terminal(say))
    try:
        with pytest.raises(Incomplete) as ended:
            await render.with_options(retries=1, retry_delay_seconds=0)(**options)
        again = await render.with_options(flow_run_name="again")(**{**options, "budget_usd": "0.42"})
    finally:
        ask_at(None)
    # The second start of the first run bought nothing, and says the same as the first; the other run has its own money.
    assert len(asked) == 2
    assert asked[0].splitlines()[-1] == asked[1].splitlines()[-1]
    assert (ended.value.exit_code, ended.value.summary["reused"]) == (3, 0)
    assert ended.value.summary["to_finish"]["cost_usd"] == "0.42"
    assert (again["cost_usd"], books(server)[0]) == ("0.42", "1.68")


async def test_a_yes_to_a_run_that_was_started_again_finishes_it(
    home: Home, emulator: Callable[..., EmulatorServer], on_server: str
) -> None:
    server = emulator({**LAKE, "times": 1})
    answers = ["", "yes"]
    ask_at(Terminal(lambda _: answers.pop(0)))
    try:
        options = given(home, server, "Once more", budget_usd="1.26", on_empty="pause")
        done = await render.with_options(retries=1, retry_delay_seconds=0)(**options)
    finally:
        ask_at(None)
    assert (done["cost_usd"], done["generated"], done["failed"]) == ("1.68", 3, 0)
    assert books(server)[0] == "1.68"
    with open_ledger(home.environment["SHOTCHAIN_LEDGER"]) as ledger:
        (run,) = ledger.runs()
    asked = ["shotchain.budget.refused", "shotchain.approval.requested"]
    reserved, given_, denied = "shotchain.budget.reserved", "shotchain.approval.given", "shotchain.approval.denied"
    assert await events_of(on_server, run.run_id, 8) == [reserved, *asked, denied, *asked, given_, reserved]


@pytest.mark.quick
async def test_a_shot_that_is_at_its_own_limit_fails_alone_and_nobody_is_asked(
    home: Home, emulator: Callable[..., EmulatorServer]
) -> None:
    server = emulator({**LAKE, "times": 1})
    asked: list[str] = []

    def yes(question: str) -> str:
        asked.append(question)
        return "yes"

    ask_at(Terminal(yes))
    try:
        with pytest.raises(Incomplete) as ended:
            await render(**given(home, server, "Own limit", shot_budget_usd="0.42", on_empty="pause"))
    finally:
        ask_at(None)
    (refused,) = ended.value.failures
    assert (refused.shot, ended.value.exit_code, asked) == ("lake", 3, [])
    assert (ended.value.summary["generated"], "to_finish" in ended.value.summary) == (2, False)
    assert books(server)[0] == "1.26"


async def test_a_raise_gives_no_take_more_tries_than_it_had(
    home: Home, emulator: Callable[..., EmulatorServer]
) -> None:
    server = emulator({**LAKE, "times": 9})
    ask_at(Terminal(lambda _: "9"))
    try:
        with pytest.raises(Incomplete) as ended:
            await render(**given(home, server, "Tries", budget_usd="1.26", on_empty="pause"))
    finally:
        ask_at(None)
    assert ended.value.exit_code == 5
    assert sum("lake" in prompt for prompt in books(server)[1]) == 2  # with one retry


async def test_where_asking_itself_fails_the_run_ends_with_what_it_has(
    home: Home, emulator: Callable[..., EmulatorServer]
) -> None:
    server = emulator({**LAKE, "times": 1})

    def broken() -> AbstractContextManager[None]:
        raise RuntimeError("the screen is gone")

    ask_at(Terminal(lambda _: "yes", broken))
    try:
        with pytest.raises(Incomplete) as caught:
            await render(**given(home, server, "Broken", budget_usd="1.26", on_empty="pause"))
    finally:
        ask_at(None)
    assert caught.value.exit_code == 3
    manifest = json.loads((home.folder / "film.manifest.json").read_text())
    assert manifest["to_finish"] == caught.value.summary["to_finish"]


async def test_where_the_budget_is_what_is_approved_too_it_is_the_budget_that_ran_out(
    home: Home, emulator: Callable[..., EmulatorServer]
) -> None:
    server = emulator({**LAKE, "times": 1})
    with pytest.raises(Incomplete) as caught:
        await render(**given(home, server, "Both", budget_usd="1.26", approve_above_usd="1.26"))
    assert caught.value.exit_code == 3


async def test_what_failed_for_another_reason_is_neither_asked_for_nor_held(
    home: Home, emulator: Callable[..., EmulatorServer]
) -> None:
    refused = {**LAKE, "code": "contentPolicyViolation", "times": 1}
    server = emulator(refused, {**LAKE, "times": 1})
    asked: list[str] = []

    def yes(question: str) -> str:
        asked.append(question)
        return "yes"

    board = BOARD.replace("A calm lake, duration: 1", "A calm lake, duration: 1, takes: 2")
    options = given(home, server, "Takes", budget_usd="1.68", on_empty="pause", max_in_flight=1)
    options["storyboard"] = str(home.storyboard(board.format(title="Takes")))
    ask_at(Terminal(yes))
    try:
        with pytest.raises(Incomplete) as ended:
            await asyncio.wait_for(render(**options), 60)
    finally:
        ask_at(None)
    # One take of the lake is refused for good; the other, the hill and the barn are had for what was asked.
    (question,) = asked
    assert "from $1.68 to $2.10" in question
    assert (ended.value.exit_code, ended.value.summary["reserved_usd"]) == (5, "0.00")
    assert books(server)[0] == ended.value.summary["cost_usd"] == "2.10"
