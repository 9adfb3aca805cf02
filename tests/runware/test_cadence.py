"""How many questions a run costs, and how late it learns, in simulated time.

The measure is Runware's own client, which asks about each task alone: after 1 s, after another half, and then after
pauses that grow by half, up to ten seconds.
"""

from __future__ import annotations

import asyncio
import json
import random
import selectors
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tasks.runware.client import RunwareClient
from tasks.runware.pauses import Pauses
from tasks.runware.poller import Poller


class Hurrying(selectors.DefaultSelector):
    """Does not wait for what a timer is set to: it moves the clock there."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is not None:
            self.now += max(0.0, timeout)
        return ready


class HurriedLoop(asyncio.SelectorEventLoop):
    """An event loop in which no time passes but that of its timers."""

    def __init__(self) -> None:
        self.clock = Hurrying()
        super().__init__(self.clock)

    def time(self) -> float:
        return self.clock.now


@dataclass
class Outcome:
    """What waiting cost: requests and their times, and for each task how much later than its end it was learnt."""

    posts: int = 0
    delays_s: list[float] = field(default_factory=list)
    asked_at_s: list[float] = field(default_factory=list)

    @property
    def mean_delay_s(self) -> float:
        return sum(self.delays_s) / len(self.delays_s)


Task = tuple[float, float]
"""When a task is accepted, before zero for one of an earlier run, and how long it takes, in seconds."""


def ours(tasks: Sequence[Task], *, seed: int = 1, is_batching: bool = True, refused: int = 0) -> Outcome:
    """Wait for tasks. The first `refused` questions are answered with 429 and a wish to be left alone for a minute."""
    outcome = Outcome()
    accepted: dict[str, tuple[float, float]] = {}

    async def wait(poller: Poller, name: str, starts_s: float, takes_s: float) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(starts_s)
        accepted[name] = (starts_s, takes_s)
        await poller.wait(name, deadline_s=3600, waited_s=loop.time() - starts_s)
        outcome.delays_s.append(loop.time() - sum(accepted[name]))

    def answer(request: httpx.Request) -> httpx.Response:
        outcome.posts += 1
        outcome.asked_at_s.append(asyncio.get_running_loop().time())
        if outcome.posts <= refused:
            return httpx.Response(429, headers={"Retry-After": "60"})
        content = json.loads(request.content)
        if len(content) > 1 and not is_batching:
            return httpx.Response(400, json={"errors": [{"code": "invalidBody", "message": "one at a time"}]})
        return httpx.Response(200, json={"data": [item(task["taskUUID"]) for task in content]})

    def item(name: str) -> dict[str, Any]:
        found = {"taskType": "videoInference", "taskUUID": name}
        if asyncio.get_running_loop().time() < sum(accepted[name]):
            return found | {"status": "processing"}
        return found | {"status": "success", "videoUUID": name, "videoURL": f"https://cdn.test/{name}.mp4"}

    async def main() -> None:
        transport = httpx.MockTransport(answer)
        async with RunwareClient("https://api.test/v1", "a-key", transport=transport) as client:
            poller = Poller(client, pauses=Pauses(random_source=random.Random(seed)))
            await asyncio.gather(*(wait(poller, str(number), *task) for number, task in enumerate(tasks)))
            await poller.close()

    with asyncio.Runner(loop_factory=HurriedLoop) as runner:
        runner.run(main())
    return outcome


def theirs(tasks: Sequence[Task]) -> Outcome:
    outcome = Outcome()
    for _, takes_s in tasks:
        at_s, pause_s = 1.0, 0.5
        outcome.posts += 1
        while at_s < takes_s:
            at_s, pause_s = at_s + pause_s, min(10.0, pause_s * 1.5)
            outcome.posts += 1
        outcome.delays_s.append(at_s - takes_s)
    return outcome


def between(low_s: float, high_s: float) -> Callable[[], float]:
    source = random.Random(7)
    return lambda: source.uniform(low_s, high_s)


LENGTHS = between(40, 90)
FLIGHTS: dict[str, list[Task]] = {
    "fifty at once, a minute each": [(0.02 * number, 60.0) for number in range(50)],
    "fifty at once, each as long as it likes": [(0.02 * number, LENGTHS()) for number in range(50)],
    "one every second": [(float(number), 60.0) for number in range(300)],
    "one every second, each as long as it likes": [(float(number), LENGTHS()) for number in range(300)],
}


@pytest.mark.parametrize("name", FLIGHTS)
@pytest.mark.parametrize("seed", range(5))
def test_many_cost_a_tenth_of_the_requests_and_are_learnt_of_no_later(name: str, seed: int) -> None:
    we, they = ours(FLIGHTS[name], seed=seed), theirs(FLIGHTS[name])
    assert len(we.delays_s) == len(they.delays_s)
    assert we.posts <= they.posts / 10
    assert we.mean_delay_s <= they.mean_delay_s


def test_a_task_costs_the_same_whatever_else_is_in_flight() -> None:
    alone, together = ours([(0.0, 60.0)]), ours([(0.0, 60.0)] * 50)
    assert abs(alone.posts - together.posts) <= 4


@pytest.mark.parametrize("takes_s", [0.3, 1.0, 3.0, 10.0, 60.0, 100.0])
def test_a_result_is_learnt_at_most_a_tenth_or_a_third_of_a_second_late(takes_s: float) -> None:
    for seed in range(10):
        [delay_s] = ours([(0.0, takes_s)], seed=seed).delays_s
        assert 0 <= delay_s <= max(0.3, 0.105 * takes_s)


def test_the_later_links_of_a_chain_are_learnt_of_sooner_for_fewer_questions() -> None:
    first = ours([(0.0, 60.0)])
    chain = ours([(66.0 * link, 60.0) for link in range(10)])
    assert chain.posts < 6 * first.posts
    assert max(chain.delays_s[1:]) <= 0.07 * 60


def test_where_each_needs_a_request_of_its_own_no_more_are_sent_than_they_send() -> None:
    tasks = FLIGHTS["fifty at once, a minute each"]
    assert ours(tasks, is_batching=False).posts <= theirs(tasks).posts


def test_a_task_of_an_earlier_run_is_asked_about_at_once() -> None:
    outcome = ours([(-100.0, 30.0)] * 20)
    assert outcome.posts == 1
    assert outcome.asked_at_s[0] < 0.3


def test_one_who_comes_while_the_provider_wants_to_be_left_alone_does_not_ask_either() -> None:
    outcome = ours([(0.0, 10.0), (5.0, 10.0), (20.0, 10.0)], refused=1)
    first, second, *_ = outcome.asked_at_s
    assert second - first >= 60.0
