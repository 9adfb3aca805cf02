"""One attempt, from a reservation to a result: paid once, whatever is lost on the way."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from contextlib import closing
from typing import Any

import httpx
import pytest

from tasks.errors import (
    Charged,
    KeyRefused,
    NoCredit,
    OutcomeUnknown,
    ProviderUnreachable,
    RequestRejected,
)
from tasks.ledger import State
from tasks.redaction import fingerprint
from tests.clips.house import KEY, House, drive, left_by_a_crash
from tests.runware.provider import (
    PRICE_USD,
    Provider,
    accept,
    busy,
    lose_reply,
    lose_request,
    refuse,
    unavailable_after,
)

S = State


async def test_an_attempt_is_submitted_once_and_costs_what_the_provider_says(house: House, provider: Provider) -> None:
    provider.polls = 3
    async with house.run(provider) as run:
        done = await drive(run)
    assert done.state is S.SUCCEEDED
    assert (done.cost_usd, done.charged, done.posts) == (PRICE_USD, Charged.YES, 1)
    assert done.account == fingerprint(KEY)
    assert provider.submitted == [done.task_uuid]
    sent = provider.bodies[0][0]
    assert sent["deliveryMethod"] == "async"
    assert sent["includeCost"] is True


class TestLostReply:
    """A reply that is lost never leads to a second task."""

    @pytest.mark.thorough
    @pytest.mark.parametrize("polls", [0, 4])
    @pytest.mark.parametrize("loss", [lose_reply, unavailable_after])
    async def test_a_task_that_was_taken_is_found_by_asking(
        self, house: House, provider: Provider, loss: Any, polls: int
    ) -> None:
        provider.submissions = deque([loss])
        provider.polls = polls
        async with house.run(provider) as run:
            done = await drive(run)
        assert done.state is S.SUCCEEDED
        assert set(provider.submitted) == {done.task_uuid}
        assert provider.charged_usd == PRICE_USD

    async def test_a_task_that_was_not_taken_is_posted_once_more_under_its_own_uuid(
        self, house: House, provider: Provider
    ) -> None:
        provider.submissions = deque([lose_request])
        async with house.run(provider) as run:
            done = await drive(run)
        assert provider.submitted == [done.task_uuid] * 2
        assert done.posts == 2
        assert provider.charged_usd == PRICE_USD

    async def test_it_is_not_posted_again_before_the_grace_time_is_over(self, house: House, provider: Provider) -> None:
        provider.submissions = deque([lose_request])
        async with house.run(provider, grace_s=30.0) as run:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(drive(run), 0.3)
        assert len(provider.submitted) == 1
        assert provider.counts["getTaskDetails"] > 1
        assert house.states() == [S.SUBMITTED]

    async def test_a_silent_provider_that_had_it_all_along_says_so_when_it_is_posted_again(
        self, house: House, provider: Provider
    ) -> None:
        provider.submissions = deque([lose_reply])
        provider.silent, provider.polls = True, float("inf")
        async with house.run(provider, deadline_s=0.05) as run:
            with pytest.raises(OutcomeUnknown, match="no result after"):
                await drive(run)
        assert len(set(provider.submitted)) == 1
        assert len(provider.submitted) == 2
        assert house.states() == [S.ACCEPTED]

    async def test_lost_twice_it_is_unknown_and_the_next_run_only_asks(self, house: House, provider: Provider) -> None:
        provider.submissions = deque([lose_request, lose_request])
        error = await house.render(provider)
        assert isinstance(error, OutcomeUnknown)
        assert (error.exit_code, error.charged, error.cost_usd) == (5, Charged.UNKNOWN, PRICE_USD)
        assert house.states() == [S.UNKNOWN]
        assert house.held_usd() == PRICE_USD
        again = await house.render(provider, "next")
        assert isinstance(again, OutcomeUnknown)
        assert len(provider.submitted) == 2
        assert house.states() == [S.UNKNOWN]
        assert house.held_usd() == PRICE_USD

    async def test_an_unknown_attempt_that_the_provider_knows_after_all_is_fetched(
        self, house: House, provider: Provider
    ) -> None:
        async with house.run(provider, "crashed") as run:
            attempt = left_by_a_crash(run, S.SUBMITTED, S.UNKNOWN)
        provider.take({"taskUUID": attempt.task_uuid})
        (taken,) = await house.render(provider, "next")
        assert provider.submitted == []
        assert taken.clip.origin.task_uuid == attempt.task_uuid
        assert house.states() == [S.STORED]

    async def test_nothing_is_posted_again_while_the_provider_cannot_be_asked(
        self, house: House, provider: Provider
    ) -> None:
        provider.submissions = deque([lose_request])
        provider.questions = deque([httpx.ConnectTimeout("no route")] * 50)
        error = await house.render(provider)
        assert isinstance(error, ProviderUnreachable)
        assert error.exit_code == 6
        assert house.states() == [S.SUBMITTED]
        assert len(provider.submitted) == 1
        provider.questions.clear()
        (taken,) = await house.render(provider, "next")
        assert not taken.clip.origin.cost_usd - PRICE_USD
        assert len(set(provider.submitted)) == 1

    async def test_a_refused_question_is_no_refused_task(self, house: House, provider: Provider) -> None:
        provider.submissions = deque([lose_reply])
        provider.questions = deque([(400, {"errors": [{"code": "invalidParameter", "message": "taskUUID"}]})])
        error = await house.render(provider)
        assert isinstance(error, OutcomeUnknown)
        assert house.states() == [S.SUBMITTED]
        assert house.held_usd() == PRICE_USD

    async def test_a_provider_without_task_details_is_asked_by_polling_alone(
        self, house: House, provider: Provider
    ) -> None:
        unsupported = {"errors": [{"code": "unsupportedTaskType", "message": "getTaskDetails"}]}
        provider.submissions = deque([lose_request])
        provider.questions = deque([(200, {"data": []}), (400, unsupported)])
        async with house.run(provider, grace_s=0.0) as run:
            assert (await drive(run)).posts == 2

    @pytest.mark.thorough
    @pytest.mark.parametrize("code", ["invalidApiKey", "insufficientCredits"])
    async def test_what_is_refused_at_the_second_post_says_nothing_of_the_first(
        self, house: House, provider: Provider, code: str
    ) -> None:
        provider.submissions = deque([lose_request, refuse(code, 401)])
        error = await house.render(provider)
        assert isinstance(error, KeyRefused | NoCredit)
        assert house.states() == [S.SUBMITTED]
        assert house.held_usd() == PRICE_USD

    @pytest.mark.thorough
    @pytest.mark.parametrize("answer", [refuse("inferenceError"), refuse("contentPolicyViolation"), refuse("new", 200)])
    async def test_a_failure_at_the_second_post_says_nothing_of_the_first_either(
        self, house: House, provider: Provider, answer: Any
    ) -> None:
        provider.submissions = deque([lose_reply, answer])
        provider.silent, provider.polls = True, float("inf")
        assert isinstance(await house.render(provider), OutcomeUnknown)
        assert house.states() == [S.UNKNOWN]
        assert len(set(provider.submitted)) == 1
        assert house.held_usd() == PRICE_USD
        for task in provider.tasks.values():
            task.polls = 0
        (taken,) = await house.render(provider, "next")
        assert taken.clip.path.is_file()
        assert provider.charged_usd == PRICE_USD

    async def test_what_is_rejected_at_the_second_post_was_rejected_at_the_first(
        self, house: House, provider: Provider
    ) -> None:
        provider.submissions = deque([lose_request, refuse("invalidDuration")])
        assert isinstance(await house.render(provider), RequestRejected)
        assert house.states() == [S.REFUSED]

    async def test_a_page_that_names_no_task_says_nothing_of_the_first_post(
        self, house: House, provider: Provider
    ) -> None:
        provider.silent, provider.polls = True, float("inf")
        provider.submissions = deque([lose_reply, lambda *_: httpx.Response(404, text="<html>not here</html>")])
        assert isinstance(await house.render(provider), OutcomeUnknown)
        assert house.states() == [S.UNKNOWN]
        assert house.held_usd() == PRICE_USD
        for task in provider.tasks.values():
            task.polls = 0
        (taken,) = await house.render(provider, "next")
        assert taken.clip.path.is_file()
        assert provider.charged_usd == PRICE_USD

    async def test_nor_does_a_rejection_that_names_neither_task_nor_parameter(
        self, house: House, provider: Provider
    ) -> None:
        error = {"code": "invalidValue", "message": "no"}
        provider.submissions = deque([lose_request, lambda *_: httpx.Response(400, json={"errors": [error]})])
        assert isinstance(await house.render(provider), OutcomeUnknown)
        assert house.states() == [S.UNKNOWN]

    async def test_a_rejected_parameter_ends_it(self, house: House, provider: Provider) -> None:
        error = {"code": "invalidValue", "message": "no", "parameter": "duration"}
        provider.submissions = deque([lose_request, lambda *_: httpx.Response(400, json={"errors": [error]})])
        assert isinstance(await house.render(provider), RequestRejected)
        assert house.states() == [S.REFUSED]


class TestLateAnswers:
    """The answer to one post says nothing of what another run has posted since, or has heard."""

    @pytest.mark.thorough
    @pytest.mark.parametrize(
        "answer", [refuse("insufficientCredits", 402), refuse("invalidDuration"), refuse("inferenceError"), busy()]
    )
    @pytest.mark.parametrize("is_accepted", [True, False])
    async def test_a_late_refusal_leaves_what_was_posted_again_alone(
        self, house: House, provider: Provider, answer: Any, is_accepted: bool
    ) -> None:
        async with house.run(provider, "first") as run:
            attempt = run.reserve()

            def late(server: Provider, task: dict[str, Any], request: httpx.Request) -> httpx.Response:
                # This run was taken for dead: another has claimed the one more post, and the provider took it.
                assert run.ledger.count_post(attempt.task_uuid, posts=1) is not None
                accept(server, task, request)
                if is_accepted:
                    assert run.ledger.move(attempt.task_uuid, S.ACCEPTED) is not None
                refused: httpx.Response = answer(server, task, request)
                return refused

            provider.submissions = deque([busy(), late])
            done = await drive(run, attempt)
        assert (done.state, done.posts, done.charged) == (S.SUCCEEDED, 2, Charged.YES)
        (taken,) = await house.render(provider, "next")
        assert (taken.reused, provider.charged_usd) == (True, PRICE_USD)


class TestUnknown:
    """An attempt that was given up by somebody who had no request to post has the one further post left."""

    async def test_it_is_posted_once_more_after_the_grace_time(self, house: House, provider: Provider) -> None:
        async with house.run(provider, "asked only") as run:
            attempt = left_by_a_crash(run, S.SUBMITTED, S.UNKNOWN)
        (taken,) = await house.render(provider, "next")
        assert provider.submitted == [attempt.task_uuid]
        assert (taken.reused, provider.charged_usd) == (True, PRICE_USD)
        (stored,) = house.attempts()
        assert (stored.state, stored.posts) == (S.STORED, 2)

    async def test_it_is_not_posted_before(self, house: House, provider: Provider) -> None:
        async with house.run(provider, "asked only") as run:
            left_by_a_crash(run, S.SUBMITTED, S.UNKNOWN)
        async with house.run(provider, "next", grace_s=30.0) as run:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(drive(run), 0.3)
        assert provider.submitted == []
        assert house.states() == [S.UNKNOWN]

    async def test_lost_again_it_stays_unknown_and_is_only_asked_about(self, house: House, provider: Provider) -> None:
        async with house.run(provider, "asked only") as run:
            left_by_a_crash(run, S.SUBMITTED, S.UNKNOWN)
        provider.submissions = deque([lose_request])
        for run_id in ("next", "after"):
            assert isinstance(await house.render(provider, run_id), OutcomeUnknown)
        assert len(provider.submitted) == 1
        assert house.states() == [S.UNKNOWN]
        assert house.attempts()[0].totals.held_usd == PRICE_USD

    async def test_what_the_provider_once_said_that_it_took_is_never_posted_again(
        self, house: House, provider: Provider
    ) -> None:
        async with house.run(provider, "crashed") as run:
            left_by_a_crash(run, S.SUBMITTED, S.ACCEPTED, S.UNKNOWN)
        assert isinstance(await house.render(provider, "next"), OutcomeUnknown)
        assert provider.submitted == []


class TestCrashes:
    """A run that was killed at any point is gone on with by the next."""

    async def test_after_submitted_and_before_the_post(self, house: House, provider: Provider) -> None:
        async with house.run(provider, "crashed") as run:
            attempt = left_by_a_crash(run, S.SUBMITTED)
        async with house.run(provider, "next") as run:
            done = await drive(run, attempt)
        assert provider.submitted == [attempt.task_uuid]
        assert done.posts == 2
        assert provider.charged_usd == PRICE_USD
        kinds = [body[0]["taskType"] for body in provider.bodies]
        assert kinds.index("getTaskDetails") < kinds.index("videoInference")

    async def test_after_the_one_more_post_was_claimed(self, house: House, provider: Provider) -> None:
        async with house.run(provider, "crashed") as run:
            attempt = left_by_a_crash(run, S.SUBMITTED)
            run.ledger.count_post(attempt.task_uuid, posts=1)
        error = await house.render(provider, "next")
        assert isinstance(error, OutcomeUnknown)
        assert provider.submitted == []

    async def test_a_clock_that_is_fast_elsewhere_makes_nobody_wait(self, house: House, provider: Provider) -> None:
        async with house.run(provider, "dead") as run:
            left_by_a_crash(run, S.SUBMITTED)
        with closing(sqlite3.connect(house.folder / "ledger.db")) as rows, rows:
            rows.execute("UPDATE attempts SET updated_at = updated_at + 3600000000, submitted_at = submitted_at + 1")
        async with asyncio.timeout(20):
            await house.render(provider, "next")
        assert house.states() == [S.STORED]

    async def test_after_the_second_post_its_grace_time_runs_from_that(self, house: House, provider: Provider) -> None:
        provider.silent, provider.polls = True, float("inf")
        async with house.run(provider, "crashed") as run:
            attempt = left_by_a_crash(run, S.SUBMITTED)
            await asyncio.sleep(0.6)
            run.ledger.count_post(attempt.task_uuid, posts=1)
            provider.take({"taskUUID": attempt.task_uuid})
        asyncio.get_running_loop().call_later(0.2, setattr, provider.tasks[attempt.task_uuid], "polls", 0)
        (taken,) = await house.render(provider, "next", grace_s=0.6)
        assert taken.clip.path.is_file()
        assert provider.submitted == []

    @pytest.mark.thorough
    @pytest.mark.parametrize("states", [[S.SUBMITTED], [S.SUBMITTED, S.ACCEPTED], [S.SUBMITTED, S.UNKNOWN]])
    async def test_after_the_provider_took_it(self, house: House, provider: Provider, states: list[State]) -> None:
        async with house.run(provider, "crashed") as run:
            attempt = left_by_a_crash(run, *states)
        provider.take({"taskUUID": attempt.task_uuid})
        provider.tasks[attempt.task_uuid].polls = 3
        (taken,) = await house.render(provider, "next")
        assert provider.submitted == []
        assert (taken.reused, taken.paid_usd) == (True, 0)
        assert house.states() == [S.STORED]
        assert provider.charged_usd == PRICE_USD

    async def test_after_acceptance_when_polling_has_forgotten_it(self, house: House, provider: Provider) -> None:
        async with house.run(provider, "crashed") as run:
            attempt = left_by_a_crash(run, S.SUBMITTED, S.ACCEPTED)
        provider.take({"taskUUID": attempt.task_uuid})
        provider.forgets = {attempt.task_uuid}
        async with house.run(provider, "next", grace_s=0.0, deadline_s=60.0) as run:
            assert (await drive(run, attempt)).state is S.SUCCEEDED

    async def test_what_a_run_that_died_had_reserved_is_free_for_the_next(
        self, house: House, provider: Provider
    ) -> None:
        async with house.run(provider, "dead") as run:
            attempt = run.reserve()
            run.ledger.end_lease("dead")
            async with house.run(provider, "next", budget="0.42") as following:
                done = await drive(following)
            assert run.ledger.totals("dead").held_usd == 0
        assert (done.run_id, done.number) == ("next", attempt.number + 1)
        assert house.states() == [S.RELEASED, S.SUCCEEDED]
        assert provider.charged_usd == PRICE_USD

    async def test_another_key_waits_and_says_so(self, house: House, provider: Provider) -> None:
        async with house.run(provider, "crashed") as run:
            left_by_a_crash(run, S.SUBMITTED)
        for run_id in ("second", "third"):
            error = await house.render(provider, run_id, key="another-key")
            assert isinstance(error, OutcomeUnknown)
            assert "another API key" in str(error)
        assert provider.counts["posts"] == 0
        assert house.states() == [S.SUBMITTED]
