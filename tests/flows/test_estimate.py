"""The estimate says what rendering would cost and how long it would take, and sends nothing."""

from __future__ import annotations

from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.sorting import ArtifactSort

from flows.estimate import estimate
from tests.flows.conftest import Home

CHAIN = "shots: [{id: a, prompt: A lake}, {id: b, prompt: It ripples, boundary: continue, takes: 2}]"

pytestmark = pytest.mark.usefixtures("on_server")


async def test_an_estimate_needs_no_key_and_leaves_no_trace(home: Home) -> None:
    plan = await estimate(str(home.storyboard(CHAIN)))
    assert (plan["cost_usd"], plan["to_pay_usd"]) == ("1.26", "1.26")
    assert plan["frames"] == 241
    assert [shot["depends_on"] for shot in plan["shots"]] == [[], ["a"]]
    assert plan["estimate"]["worst_usd"] == "3.78"
    assert plan["estimate"]["time"]["wall_s"] is None
    assert not (home.folder / "ledger.db").exists()
    assert not (home.folder / "work").exists()


async def test_it_leaves_tables_and_a_picture(home: Home) -> None:
    board = home.storyboard(CHAIN.replace("shots", "title: A film of its own\nshots"))
    told = await estimate(str(board), budget_usd="1.00", clip_seconds="60", max_in_flight=1, retries=0)

    assert told["savings"]["together"][0]["says"] == "'b' with takes: 1 instead of 2"
    mine = await found("A film of its own")
    assert set(mine) == {"shotchain-plan", "shotchain-estimate", "shotchain-savings", "shotchain-graph"}
    assert "3 of 3 takes to generate for $1.26, at worst $1.26; over the budget by $0.26; 3:00 min (stated)" in (
        mine["shotchain-estimate"].description or ""
    )
    assert str(mine["shotchain-graph"].data).startswith("```mermaid\nflowchart LR\n")


async def found(title: str) -> dict[str, Any]:
    """The artifacts that name a title, by key."""
    async with get_client() as client:
        # The server gives 200 at most, and other tests leave theirs too.
        read = await client.read_artifacts(sort=ArtifactSort.CREATED_DESC)
        return {item.key or "": item for item in read if title in (item.description or "")}


async def test_a_title_is_text_and_no_markdown(home: Home) -> None:
    title = "![x](https://studio.test/x.png) <b>dawn</b>"
    await estimate(str(home.storyboard(CHAIN.replace("shots", f"title: '{title}'\nshots"))), budget_usd="1.00")

    mine = await found("studio.test")
    assert set(mine) == {"shotchain-plan", "shotchain-estimate", "shotchain-savings", "shotchain-graph"}
    for item in mine.values():
        assert r"!\[x\](https://studio.test/x.png) &lt;b&gt;dawn&lt;/b&gt;" in item.description


async def test_a_graph_that_no_browser_would_draw_is_not_left_as_one(home: Home) -> None:
    shots = [f"  - {{id: s{at}, prompt: It ripples, boundary: {'continue' if at else 'cut'}}}" for at in range(502)]
    await estimate(str(home.storyboard("\n".join(["title: A river without end", "shots:", *shots]))))

    graph = (await found("A river without end"))["shotchain-graph"]
    assert str(graph.data).startswith("502 shots are too many to draw.")
