"""A deployed run asks on its page whether a sum may be spent; a yes is needed, and everything else spends nothing."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from prefect import flow

from flows.money.approval import approve
from flows.money.terms import Terms
from tasks.clips.gate import wanted_take
from tasks.emulator import EmulatorServer, EmulatorSettings
from tasks.errors import ApprovalNeeded, Charged, OverBudget
from tasks.ledger import Answer, Limits, StandingBudget, State, open_ledger
from tasks.settings import Settings, resolve_settings
from tests.clips.house import make_plan
from tests.flows.conftest import Home, Shotchain

ROOT = Path(__file__).parents[3]
PREFECT = Path(sys.executable).with_name("prefect")
PROMPTS = {"yes": "A calm lake", "more": "A green hill", "no": "A red house", "silent": "A blue door", "late": "A bell"}


def state_of(api: str, run_id: str) -> str:
    return str(httpx.get(f"{api}/flow_runs/{run_id}").json()["state"]["type"])


def wait_for(api: str, run_id: str, *states: str) -> str:
    deadline = time.monotonic() + 90
    while (state := state_of(api, run_id)) not in states:
        assert time.monotonic() < deadline, f"{run_id} is {state}"
        time.sleep(0.3)
    return state


def posted(url: str, content: dict[str, Any]) -> httpx.Response:
    """The answer of the server, once its database is not too busy to give one."""
    while (answer := httpx.post(url, json=content, timeout=30)).status_code == 503:
        time.sleep(0.3)
    return answer.raise_for_status()


def end(worker: subprocess.Popen[bytes]) -> None:
    """Leave neither a worker nor its runs behind, should they still wait for something."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(worker.pid, signal.SIGKILL)
    worker.wait(10)


@pytest.mark.server
@pytest.mark.timeout(240)
def test_only_a_yes_spends_and_every_answer_is_written_down(
    home: Home, prefect_server: str, request: pytest.FixtureRequest
) -> None:
    with EmulatorServer(EmulatorSettings(instant=True)) as emulator:
        environment = {
            **os.environ,
            "PREFECT_API_URL": prefect_server,
            "PREFECT_HOME": str(home.folder / "prefect"),
            "RUNWARE_API_KEY": "key",
        }

        def prefect(*arguments: str) -> None:
            command = [str(PREFECT), "--no-prompt", *arguments]
            done = subprocess.run(
                command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
            )
            assert done.returncode == 0, done.stdout + done.stderr

        prefect("work-pool", "create", "--overwrite", "--type", "process", "shotchain")
        prefect("deploy", "--all")
        deployment = httpx.get(f"{prefect_server}/deployments/name/render/render").json()["id"]

        def start(name: str, **parameters: Any) -> str:
            board = home.storyboard(f"shots: [{{id: a, prompt: {PROMPTS[name]}, duration: 1}}]", f"{name}.yaml")
            given = {
                "storyboard": str(board),
                "output": str(home.folder / f"{name}.mp4"),
                "base_url": emulator.base_url,
                "approve_above_usd": "0.10",
                **parameters,
            }
            url = f"{prefect_server}/deployments/{deployment}/create_flow_run"
            return str(posted(url, {"parameters": given, "state": {"type": "SCHEDULED"}}).json()["id"])

        runs = {name: start(name) for name in ("yes", "no", "silent")}
        runs["more"] = start("more", budget_usd="0.45")
        runs["late"] = start("late", approval_timeout_s=1)
        command = [str(PREFECT), "--no-prompt", "worker", "start", "--pool", "shotchain", "--run-once"]
        worker = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        request.addfinalizer(lambda: end(worker))
        answers: dict[str, dict[str, str]] = {
            "yes": {"answer": "approve", "note": "go", "name": "Ann Archer"},
            "no": {"answer": "reject", "note": "too dear"},
            "more": {"answer": "approve", "new_limit_usd": "0.50"},
            "silent": {},
        }
        for name, answer in answers.items():
            wait_for(prefect_server, runs[name], "PAUSED")
            url = f"{prefect_server}/flow_runs/{runs[name]}/resume"
            resumed = posted(url, {"run_input": answer})
            # A form that was sent empty is no answer: the server does not take it.
            told = resumed.json().get("status", resumed.text)
            assert told == ("REJECT" if name == "silent" else "ACCEPT"), (name, resumed.text)
        assert wait_for(prefect_server, runs["yes"], "COMPLETED", "FAILED") == "COMPLETED"
        assert wait_for(prefect_server, runs["more"], "COMPLETED", "FAILED") == "COMPLETED"
        assert wait_for(prefect_server, runs["no"], "COMPLETED", "FAILED", "CRASHED") == "FAILED"
        assert wait_for(prefect_server, runs["late"], "COMPLETED", "FAILED", "CRASHED") == "FAILED"
        assert state_of(prefect_server, runs["silent"]) == "PAUSED"
        posted(f"{prefect_server}/flow_runs/{runs['silent']}/resume", {"run_input": {"answer": "reject"}})
        wait_for(prefect_server, runs["silent"], "FAILED", "CRASHED")
        worker.wait(60)
        books = httpx.get(f"{emulator.origin}/_emulator/books").json()

    prompts = {task["request"]["positivePrompt"] for task in books["tasks"]}
    assert prompts == {PROMPTS["yes"], PROMPTS["more"]}
    assert books["total_usd"] == "0.84"
    with open_ledger(home.environment["SHOTCHAIN_LEDGER"]) as ledger:
        said = {name: ledger.approvals(run_id) for name, run_id in runs.items()}
        run = ledger.run(runs["yes"])
    assert run is not None
    assert run.deployment == "render/render"
    assert {name: [str(one.answer) for one in given] for name, given in said.items()} == {
        "yes": ["approved"],
        "more": ["approved"],
        "no": ["rejected"],
        "silent": ["rejected"],
        "late": ["timed_out"],
    }
    assert (said["yes"][0].sum_usd, said["yes"][0].note, said["yes"][0].how) == (Decimal("0.42"), "go", "prefect")
    assert [said[name][0].who for name in ("yes", "no")] == ["Ann Archer", "prefect"]
    assert said["more"][0].limit_usd == Decimal("0.50")


NOW = make_plan("A tram climbs", "A ferry leaves", "A gull cries", provider="runware")
PRICE_USD = NOW.shots[0].price_usd


@pytest.fixture
def as_deployed(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process works for a run of a deployment."""
    monkeypatch.setenv("PREFECT__RUNTIME__DEPLOYMENT__ID", "00000000-0000-0000-0000-000000000001")


def settings() -> Settings:
    return resolve_settings(environ={**os.environ, "RUNWARE_API_KEY": "key"})


def before(*, approved_usd: str, spent: int, lost: int = 0, limit_usd: str | None = None) -> None:
    """The run was started before, somebody said yes, and it has bought clips, and failures that were charged."""
    with open_ledger(settings().ledger) as ledger:
        ledger.begin_run(run_id="run", provider="runware", account="", storyboard="Harbour", budget_usd=None)
        ledger.record_approval(
            "run",
            provider="runware",
            fingerprint=NOW.fingerprint,
            sum_usd=Decimal(approved_usd),
            answer=Answer.APPROVED,
            who="ann",
            how="prefect",
            limit_usd=None if limit_usd is None else Decimal(limit_usd),
        )
        for number in range(spent + lost):
            shot = NOW.shots[number]
            (attempt,) = ledger.reserve("run", [wanted_take(NOW, shot, shot.takes[0])])
            ledger.move(attempt.task_uuid, State.SUBMITTED)
            if number < spent:
                ledger.move(attempt.task_uuid, State.SUCCEEDED, cost_usd=PRICE_USD)
            else:
                ledger.move(attempt.task_uuid, State.FAILED, cost_usd=PRICE_USD, charged=Charged.YES)


async def granted(terms: Terms) -> Terms:
    return await approve(settings(), NOW, terms, run_id="run", told=None, timeout_s=1)


def ask_above(sum_usd: str, budget_usd: str | None = None, standing: str | None = None) -> Terms:
    budgets = () if standing is None else (StandingBudget("acme", Decimal(standing)),)
    run_usd = None if budget_usd is None else Decimal(budget_usd)
    return Terms({}, Limits(run_usd=run_usd, standing=budgets), Decimal(sum_usd))


async def test_what_was_approved_covers_what_is_spent_of_it_when_the_run_is_started_again(
    home: Home, as_deployed: None
) -> None:
    before(approved_usd="1.26", spent=2)
    terms = await granted(ask_above("0"))
    assert terms.run_usd == Decimal("1.26")
    with open_ledger(settings().ledger) as ledger:
        ledger.begin_run(run_id="run", provider="runware", account="", storyboard="Harbour", budget_usd=terms.run_usd)
        shot = NOW.shots[2]
        (attempt,) = ledger.reserve("run", [wanted_take(NOW, shot, shot.takes[0])])
        assert attempt.state is State.RESERVED  # the gate lets it pass
        # What this run holds already, and has not sent, is no further sum.
        assert (await granted(ask_above("0"))).run_usd == Decimal("1.26")


async def test_a_failure_that_was_charged_makes_a_run_that_is_started_again_ask_again(
    home: Home, as_deployed: None, on_server: str
) -> None:
    before(approved_usd="1.26", spent=1, lost=1)
    resumed = flow(name="resumed", flow_run_name="resumed and asked again")(granted)
    with pytest.raises(ApprovalNeeded) as caught:
        await resumed(ask_above("0"))
    # For what is still to be bought, beside what is spent: two clips, of which one was paid for in vain.
    assert caught.value.cost_usd == 2 * PRICE_USD
    with open_ledger(settings().ledger) as ledger:
        last = ledger.approvals("run")[-1]
    assert (last.answer, last.sum_usd) == (Answer.TIMED_OUT, 4 * PRICE_USD)


async def test_a_limit_that_was_raised_holds_when_the_run_is_started_again(home: Home, as_deployed: None) -> None:
    before(approved_usd="1.68", spent=2, lost=0, limit_usd="1.68")
    assert (await granted(Terms({}, Limits(run_usd=Decimal("1.26")), None))).run_usd == Decimal("1.68")


async def test_a_yes_to_less_than_was_asked_holds_too_when_the_run_is_started_again(
    home: Home, as_deployed: None
) -> None:
    before(approved_usd="0.84", spent=2, limit_usd="0.84")
    # The gate refuses more than that, and the run goes on as one that ran out.
    assert (await granted(Terms({}, Limits(run_usd=Decimal("5.00")), Decimal(0)))).run_usd == Decimal("0.84")


@pytest.mark.parametrize("holder", ["dead", "run"])
async def test_what_is_reserved_and_will_not_be_sent_takes_no_room_from_what_is_asked(
    home: Home, as_deployed: None, on_server: str, holder: str
) -> None:
    acme = StandingBudget("acme", Decimal("1.30"))
    facts: dict[str, Any] = {"provider": "runware", "account": "", "storyboard": "Harbour", "budget_usd": None}
    with open_ledger(settings().ledger) as ledger:
        ledger.begin_run(run_id=holder, **facts, budgets=[acme])
        ledger.reserve(holder, [wanted_take(NOW, shot, shot.takes[0]) for shot in NOW.shots[:2]])
        if holder == "run":
            ledger.hold_lease("run/1", 60, run_id="run")
    asked = flow(name="asked", flow_run_name=f"asked beside what {holder} holds")(granted)
    with pytest.raises(ApprovalNeeded, match="was not approved within"):  # somebody was asked
        await asked(ask_above("0", standing="1.30"))


@pytest.mark.parametrize(
    ("terms", "scope", "limit_usd"),
    [(ask_above("0", budget_usd="1.25"), "run", "1.25"), (ask_above("0", standing="0.84"), "standing", "0.84")],
)
async def test_what_no_budget_has_room_for_is_refused_and_nobody_is_asked(
    home: Home, as_deployed: None, terms: Terms, scope: str, limit_usd: str
) -> None:
    with pytest.raises(OverBudget) as caught:
        await granted(terms)
    error = caught.value
    assert (error.scope, error.limit_usd, error.needed_usd) == (scope, Decimal(limit_usd), 3 * PRICE_USD)
    with open_ledger(settings().ledger) as ledger:
        assert ledger.approvals("run") == []


def test_at_a_terminal_too_nobody_is_asked_for_what_a_budget_has_no_room_for(home: Home, shotchain: Shotchain) -> None:
    board = home.storyboard("shots: [{id: a, prompt: A lake, takes: 3}, {id: b, prompt: A hill, duration: 10}]")
    told = shotchain(
        "render", str(board), "--provider", "emulator", "--approve-above", "0.10", "--budget", "1.30", "--json"
    )
    assert told.code == 3
    assert "'a' with takes: 1 instead of 3 saves $0.84" in told.json["error"]["advice"]
    with open_ledger(home.environment["SHOTCHAIN_LEDGER"]) as ledger:
        assert ledger.runs() == []
