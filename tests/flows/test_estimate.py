"""The estimate says what rendering would cost, and sends nothing."""

from __future__ import annotations

import pytest

from flows.estimate import estimate
from tests.flows.conftest import Home


@pytest.mark.usefixtures("on_server")
async def test_an_estimate_needs_no_key_and_leaves_no_trace(home: Home) -> None:
    board = home.storyboard("shots: [{id: a, prompt: A lake}, {id: b, prompt: It ripples, boundary: continue}]")
    plan = await estimate(str(board))
    assert plan["cost_usd"] == "0.84"
    assert plan["frames"] == 241
    assert [shot["depends_on"] for shot in plan["shots"]] == [[], ["a"]]
    assert not (home.folder / "ledger.db").exists()
    assert not (home.folder / "work").exists()
