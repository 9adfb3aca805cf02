"""How attempts end: refused, given up, failed by the provider, or stopped by whoever runs them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tasks.clips.gate import open_gate
from tasks.errors import (
    BadInput,
    Charged,
    ContentRefused,
    KeyRefused,
    NoCredit,
    OutcomeUnknown,
    ProviderError,
    ProviderFailed,
    ProviderTimeout,
    ProviderUnreachable,
    RateLimited,
    RequestRejected,
    ShotchainError,
)
from tasks.ledger import State
from tasks.plan.model import Plan
from tests.clips.house import KEY, House, drive, left_by_a_crash, make_plan, until
from tests.runware.provider import (
    PRICE_USD,
    Provider,
    accept,
    busy,
    refuse,
    unreachable,
)

S = State
NewHouse = Callable[[Plan], House]


class TestOddAnswers:
    """Whatever the provider writes, what became of an attempt is written down."""

    @pytest.mark.parametrize(
        "odd",
        [
            {"videoUUID": "cut \ud83d"},
            {"note": ["cut \ud83d", {"\ud83d": 1}]},
            {"progress": float("nan")},
            {"cost": 1e30},
            {"code": {"not": "a text"}},
        ],
        ids=str,
    )
    async def test_a_clip_is_had(self, house: House, provider: Provider, odd: dict[str, Any]) -> None:
        provider.odd = odd
        async with house.run(provider) as run:
            await run.first()
        assert house.states() == [S.STORED]
        assert house.held_usd() == PRICE_USD

    @pytest.mark.parametrize(
        "odd",
        [
            {"message": "your prompt 'a tram \ud83d' is too odd"},
            {"code": "inference\x00\ud83dError"},
            {"code": ["inferenceError"]},
            {"allowedValues": [float("inf")]},
        ],
        ids=str,
    )
    async def test_a_failure_is_told(self, house: House, provider: Provider, odd: dict[str, Any]) -> None:
        provider.endings = deque([{"code": "inferenceError", "message": "no", **odd}])
        assert isinstance(await house.render(provider, retries=0), ProviderError)
        assert house.states() == [S.FAILED]
        assert house.held_usd() == PRICE_USD


class TestRefusals:
    """What is refused is over, and says why."""

    @pytest.mark.parametrize(
        ("answer", "kind", "exit_code"),
        [
            (refuse("unsupportedDuration", allowedValues=[5, 10]), RequestRejected, 5),
            (refuse("contentPolicyViolation"), ContentRefused, 5),
            (refuse("invalidApiKey", 401), KeyRefused, 6),
            (refuse("insufficientCredits", 402), NoCredit, 6),
            (refuse("someNewCode", 402), NoCredit, 6),
            (busy(404), RequestRejected, 5),
            (busy(301), RequestRejected, 5),
        ],
    )
    async def test_it_is_never_sent_again_and_its_money_is_given_back(
        self, house: House, provider: Provider, answer: Any, kind: type[ShotchainError], exit_code: int
    ) -> None:
        provider.submissions = deque([answer])
        error = await house.render(provider)
        assert type(error) is kind
        assert (error.exit_code, error.shot) == (exit_code, "a")
        assert len(provider.submitted) == 1
        assert house.states() == [S.REFUSED]
        assert house.held_usd() == 0

    @pytest.mark.parametrize("status", [200, 400])
    async def test_a_code_that_nobody_knows_is_final_and_possibly_charged(
        self, house: House, provider: Provider, status: int
    ) -> None:
        provider.submissions = deque([refuse("someNewCode", status)])
        error = await house.render(provider)
        assert type(error) is ProviderError
        assert house.states() == [S.FAILED]
        assert house.held_usd() == PRICE_USD
        assert error.code == "someNewCode"

    async def test_moderation_that_charges_is_booked(self, house: House, provider: Provider) -> None:
        provider.endings = deque([{"code": "providerContentPolicyViolation", "message": "no", "cost": 0.1}])
        error = await house.render(provider)
        assert isinstance(error, ContentRefused)
        (attempt,) = house.attempts()
        assert (attempt.state, attempt.charged, attempt.cost_usd) == (S.FAILED, Charged.YES, Decimal("0.1"))

    async def test_a_stop_opens_the_circuit_for_what_waits_behind_it(self, house: House, provider: Provider) -> None:
        provider.submissions = deque([refuse("insufficientCredits", 402)])
        async with house.run(provider) as run:
            first = run.reserve()
            with pytest.raises(NoCredit):
                await drive(run, first)
            second = run.reserve()
            with pytest.raises(NoCredit):
                await drive(run, second)
        assert len(provider.submitted) == 1
        assert house.states() == [S.REFUSED, S.RELEASED]


class TestBusyProvider:
    async def test_what_waits_to_be_posted_again_is_given_back_once_the_run_may_send_no_more(
        self, new_house: NewHouse, provider: Provider
    ) -> None:
        house = new_house(make_plan("a tram", "a ferry"))
        asked: list[str] = []

        def first_is_busy(server: Provider, task: dict[str, Any], request: httpx.Request) -> httpx.Response:
            asked.append(task["taskUUID"])
            is_first = task["taskUUID"] == asked[0]
            answer: httpx.Response = (busy() if is_first else refuse("insufficientCredits", 402))(server, task, request)
            return answer

        provider.submissions = deque([first_is_busy] * 20)
        async with house.run(provider) as run:
            await open_gate(run.plan, run.store, run.ledger, "run")
            shots = [run.generator.take(shot, shot.takes[0], {}) for shot in run.plan.shots]
            errors = await asyncio.gather(*shots, return_exceptions=True)
        assert [type(error) for error in errors] == [NoCredit, NoCredit]
        assert asked[-1] != asked[0], "nothing is posted after the refusal"
        assert sorted(house.states()) == [S.REFUSED, S.RELEASED]

    async def test_a_busy_provider_gets_the_same_uuid_again(self, house: House, provider: Provider) -> None:
        provider.submissions = deque([busy(), busy(429, "1"), unreachable, busy(503), refuse("rateLimitExceeded", 429)])
        async with house.run(provider) as run:
            done = await drive(run)
        assert len(set(provider.submitted)) == 1
        assert done.posts == 1
        assert provider.charged_usd == PRICE_USD

    async def test_one_that_stays_busy_is_given_up_and_the_reservation_with_it(
        self, house: House, provider: Provider
    ) -> None:
        provider.submissions = deque([busy()] * 8)
        async with house.run(provider) as run:
            with pytest.raises(RateLimited):
                await drive(run)
        assert house.states() == [S.RELEASED]
        assert house.held_usd() == 0

    async def test_one_that_cannot_be_reached_is_given_up_and_the_reservation_with_it(
        self, house: House, provider: Provider
    ) -> None:
        provider.submissions = deque([unreachable] * 8)
        error = await house.render(provider)
        assert isinstance(error, ProviderUnreachable)
        assert error.exit_code == 6
        assert house.states() == [S.RELEASED]
        assert house.held_usd() == 0

    async def test_a_gateway_that_stays_unavailable_may_have_passed_it_on(
        self, house: House, provider: Provider
    ) -> None:
        provider.submissions = deque([busy(503)] * 8)
        async with house.run(provider) as run:
            done = await drive(run)
        assert (done.state, done.posts) == (S.SUCCEEDED, 2)
        assert len(set(provider.submitted)) == 1

    async def test_what_another_run_posts_meanwhile_is_not_given_up(self, house: House, provider: Provider) -> None:
        async with house.run(provider) as run:
            attempt = run.reserve()

            def taken_by_another(given: Provider, task: dict[str, Any], request: httpx.Request) -> httpx.Response:
                assert run.ledger.count_post(attempt.task_uuid, posts=1) is not None
                raise httpx.ConnectError("refused", request=request)

            provider.submissions = deque([*[busy()] * 7, taken_by_another, accept])
            with pytest.raises(OutcomeUnknown):
                await drive(run, attempt)
        assert house.states() == [S.UNKNOWN]
        assert house.held_usd() == PRICE_USD


class TestEndings:
    """What the provider says while it is asked."""

    @pytest.mark.parametrize(
        ("code", "kind", "charged"),
        [
            ("timeoutProvider", ProviderTimeout, Charged.UNKNOWN),
            ("inferenceError", ProviderFailed, Charged.UNKNOWN),
            ("providerRateLimitExceeded", RateLimited, Charged.UNKNOWN),
            ("somethingNew", ProviderError, Charged.UNKNOWN),
        ],
    )
    async def test_a_failed_task_is_failed(
        self, house: House, provider: Provider, code: str, kind: type[ProviderError], charged: Charged
    ) -> None:
        provider.endings = deque([{"code": code, "message": "sorry"}])
        async with house.run(provider) as run:
            with pytest.raises(kind):
                await drive(run)
        (attempt,) = house.attempts()
        assert (attempt.state, attempt.charged, attempt.error_code) == (S.FAILED, charged, code)

    @pytest.mark.parametrize(
        "answer",
        [
            (429, ""),
            (429, {"errors": [{"code": "rateLimitExceeded", "message": "slow down", "taskUUID": "ID"}]}),
            (503, "<html>"),
            (500, {"errors": [{"code": "internalServerError", "message": "oops", "taskUUID": "ID"}]}),
            (200, "not json"),
            (200, {"errors": []}),
        ],
    )
    async def test_a_question_that_fails_is_asked_again(
        self, house: House, provider: Provider, answer: tuple[int, Any]
    ) -> None:
        async with house.run(provider) as run:
            attempt = run.reserve()
            status, body = answer
            if isinstance(body, dict):
                body = {"errors": [{**item, "taskUUID": attempt.task_uuid} for item in body["errors"]]}
            provider.questions = deque([(status, body)] * 3)
            assert (await drive(run, attempt)).state is S.SUCCEEDED
        assert provider.charged_usd == PRICE_USD

    @pytest.mark.parametrize("named", [True, False])
    async def test_a_refused_question_leaves_the_task_to_the_provider(
        self, house: House, provider: Provider, named: bool
    ) -> None:
        async with house.run(provider, grace_s=30.0) as run:  # no look beside the polling, however busy the machine
            attempt = run.reserve()
            error = {"code": "invalidParameter", "message": "?", "taskType": "getResponse"}
            if named:
                error["taskUUID"] = attempt.task_uuid
            provider.questions = deque([(400, {"errors": [error]})] * 2)
            with pytest.raises(OutcomeUnknown):
                await drive(run, attempt)
        assert house.states() == [S.ACCEPTED]
        assert house.held_usd() == PRICE_USD

    async def test_a_key_that_is_refused_while_waiting_leaves_the_task_to_the_provider(
        self, house: House, provider: Provider
    ) -> None:
        provider.questions = deque([(401, {"errors": [{"code": "invalidApiKey", "message": f"bad key {KEY}"}]})])
        error = await house.render(provider)
        assert isinstance(error, KeyRefused)
        assert KEY not in str(error)
        assert house.states() == [S.ACCEPTED]
        await house.render(provider, "next")
        assert provider.charged_usd == PRICE_USD

    async def test_a_task_without_a_result_at_the_deadline_is_gone_on_with_by_the_next_run(
        self, house: House, provider: Provider
    ) -> None:
        provider.polls = float("inf")
        error = await house.render(provider, deadline_s=0.05)
        assert isinstance(error, OutcomeUnknown)
        assert house.states() == [S.ACCEPTED]
        for task in provider.tasks.values():
            task.polls = 0
        (taken,) = await house.render(provider, "next")
        assert len(provider.submitted) == 1
        assert taken.reused

    async def test_a_task_that_never_ends_can_be_settled_and_is_asked_about_before_it_is_bought_anew(
        self, house: House, provider: Provider, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from flows.commands.settle import settle  # the commands' own imports are slow

        monkeypatch.delenv("RUNWARE_API_KEY", raising=False)
        provider.polls = float("inf")
        assert isinstance(await house.render(provider, deadline_s=0.05), OutcomeUnknown)
        [attempt] = house.attempts()
        ledger = str(house.folder / "ledger.db")
        with pytest.raises(BadInput, match="is at work on this attempt"):
            settle(attempt.task_uuid, charged=False, work=house.work, ledger=ledger)
        assert house.attempts() == [attempt]
        monkeypatch.setenv("SHOTCHAIN_DEADLINE_S", "0.05")
        settle(attempt.task_uuid, charged=False, work=house.work, ledger=ledger)
        assert house.states() == [S.FAILED]
        assert house.held_usd() == 0
        provider.tasks[attempt.task_uuid].polls = 0  # it ended all the same
        await house.render(provider, "next")
        assert provider.submitted == [attempt.task_uuid]

    async def test_a_task_that_is_not_found_any_more_is_unknown(self, house: House, provider: Provider) -> None:
        async with house.run(provider, "crashed") as run:
            left_by_a_crash(run, S.SUBMITTED, S.ACCEPTED)
        provider.not_found = True
        error = await house.render(provider, "next", deadline_s=30.0)
        assert isinstance(error, OutcomeUnknown)
        assert house.states() == [S.UNKNOWN]
        assert provider.submitted == []


class TestCancellation:
    """A run that is stopped anywhere leaves a row from which the next goes on, and the money is spent once."""

    @pytest.mark.parametrize("moment", range(12))
    async def test_at_every_step(self, house: House, provider: Provider, moment: int) -> None:
        provider.polls = 2
        provider.delay_s = 0.004
        async with house.run(provider, "stopped") as run:
            driving = asyncio.create_task(run.all())
            await asyncio.sleep(0.005 * moment)
            driving.cancel()
            (ended,) = await asyncio.gather(driving, return_exceptions=True)
            assert isinstance(ended, asyncio.CancelledError | list)
        provider.delay_s = 0.0
        (taken,) = await house.render(provider, "next")
        assert taken.clip.path.is_file()
        assert len(set(provider.submitted)) == 1
        assert provider.charged_usd == PRICE_USD
        assert house.held_usd("stopped") + house.held_usd("next") == PRICE_USD
        assert house.states()[-1] is S.STORED

    @pytest.mark.parametrize(
        ("status", "state", "held_usd"), [(429, S.RELEASED, Decimal(0)), (503, S.SUBMITTED, PRICE_USD)]
    )
    async def test_between_two_posts_it_gives_back_what_nobody_can_have_taken(
        self, house: House, provider: Provider, status: int, state: State, held_usd: Decimal
    ) -> None:
        provider.submissions = deque([busy(status, "3000")] * 8)
        async with house.run(provider, "stopped") as run:
            driving = asyncio.create_task(run.all())
            await until(lambda: any("trying again" in event.message for event in house.events))
            driving.cancel()
            await asyncio.gather(driving, return_exceptions=True)
            (attempt,) = run.ledger.attempts()
            assert (attempt.state, attempt.totals.held_usd) == (state, held_usd)
        assert len(provider.submitted) == 1

    async def test_what_is_being_written_is_written(self, house: House, provider: Provider) -> None:
        accepted = asyncio.Event()

        def tell(given: Provider, task: dict[str, Any], request: httpx.Request) -> httpx.Response:
            accepted.set()
            return accept(given, task, request)

        provider.submissions = deque([tell])
        async with house.run(provider) as run:
            driving = asyncio.create_task(drive(run))
            await accepted.wait()
            await asyncio.sleep(0)
            driving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await driving
            (attempt,) = run.ledger.attempts()
        assert attempt.state in {S.SUBMITTED, S.ACCEPTED}
