"""Whatever goes wrong, in whatever order: one take is one charge, and the ledger never holds less than the bill."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections import deque
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.errors import OutcomeUnknown, ShotchainError
from tasks.ledger import State
from tests.clips.house import House, make_plan
from tests.runware.provider import (
    PRICE_USD,
    Answer,
    Provider,
    accept,
    busy,
    lose_reply,
    lose_request,
    refuse,
    unavailable_after,
    unreachable,
)

ANSWERS: dict[str, Answer] = {
    "accept": accept,
    "lose reply": lose_reply,
    "lose request": lose_request,
    "503 after accepting": unavailable_after,
    "503": busy(503),
    "429": busy(429),
    "unreachable": unreachable,
    "server error": refuse("internalServerError", 500),
    "bad gateway": busy(502),
    "key refused": refuse("invalidApiKey", 401),
    "no credit": refuse("insufficientCredits", 402),
}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    answers=st.lists(st.sampled_from(sorted(ANSWERS)), max_size=6),
    downloads=st.lists(st.sampled_from(["whole", "cut", "broken", "gone", "failing"]), max_size=4),
    polls=st.integers(0, 3),
    silent=st.booleans(),
    stops_after_s=st.lists(st.none() | st.floats(0.0, 0.06), max_size=3),
)
def test_a_take_is_paid_for_once(
    template: Path,
    provider: Provider,
    answers: list[str],
    downloads: list[str],
    polls: int,
    silent: bool,
    stops_after_s: list[float | None],
) -> None:
    async def runs(folder: Path) -> None:
        wire = Provider(
            clip=provider.clip,
            submissions=deque(ANSWERS[name] for name in answers),
            downloads=deque(downloads),
            polls=polls,
            silent=silent,
        )
        house = House(folder, make_plan("a tram"), template)

        def held() -> object:
            return sum((attempt.totals.held_usd for attempt in house.attempts()), start=PRICE_USD * 0)

        for number, stop_s in enumerate([*stops_after_s, None]):
            with contextlib.suppress(TimeoutError):  # it was stopped
                await asyncio.wait_for(house.render(wire, f"run {number}", grace_s=0.02), stop_s)
            assert len(wire.tasks) <= 1
            if wire.tasks:
                assert held() == PRICE_USD
        if wire.tasks and not wire.submissions:
            ended = await house.render(wire, "last", grace_s=0.02)
            if isinstance(ended, OutcomeUnknown):
                # Stopped in the middle of the one further post, and a provider that answers no question: only a
                # person can tell, and until then the money is held.
                assert silent
                assert house.attempts()[-1].posts == 2
                assert held() == PRICE_USD
            else:
                assert not isinstance(ended, ShotchainError)
                assert house.states()[-1] is State.STORED
        assert len(wire.tasks) <= 1
        assert wire.charged_usd <= PRICE_USD

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(runs(Path(folder)))
