"""What automations can react to: each event with its sums, and none that could stop a run."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import httpx
from prefect import flow, get_client
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.events.worker import EventsWorker
from prefect.runtime import flow_run
from prefect.server.events.actions import SendNotification
from prefect.server.events.schemas.automations import Automation, EventTrigger
from prefect.server.events.schemas.events import ReceivedEvent
from prefect.server.utilities.user_templates import render_user_template

from flows.money.events import MoneyEvent, tell, tell_refused
from flows.server.automations import notifications
from tasks.errors import ApprovalNeeded, OverBudget


def test_an_event_names_the_run_the_budgets_and_the_sums_as_text() -> None:
    told: list[dict[str, Any]] = []
    tell(
        MoneyEvent.REFUSED,
        run_id="run-1",
        provider="http://127.0.0.1:1",
        budgets=["acme: month"],
        emit=lambda **facts: told.append(facts),
        needed_usd=Decimal("0.42"),
        note=None,
    )
    (event,) = told
    assert event["event"] == "shotchain.budget.refused"
    assert event["resource"]["prefect.resource.id"] == "prefect.flow-run.run-1"
    assert [item["prefect.resource.name"] for item in event["related"]] == ["acme: month"]
    assert event["payload"] == {"provider": "http://127.0.0.1:1", "needed_usd": "0.42"}


def test_an_event_that_cannot_be_told_stops_nothing() -> None:
    def broken(**_: Any) -> None:
        raise ConnectionError("no server")

    tell(MoneyEvent.GIVEN, run_id="run-1", provider="runware", emit=broken, sum_usd=Decimal(1))


def test_no_secret_is_told() -> None:
    told: list[dict[str, Any]] = []
    note = "use https://user:hunter22@example.com/x?token=abc123456789"
    tell(MoneyEvent.GIVEN, run_id="r", provider="runware", emit=lambda **facts: told.append(facts), note=note)
    assert "hunter22" not in str(told)
    assert "abc123456789" not in str(told)


def test_a_refusal_tells_whose_limit_it_was_and_the_sums() -> None:
    told: list[dict[str, Any]] = []
    sums: dict[str, Any] = {"needed_usd": Decimal("0.42"), "limit_usd": Decimal(1), "held_usd": Decimal("0.84")}
    refusals = [
        OverBudget("run-1", **sums, scope="standing", budget="acme", period="month"),
        OverBudget("run-1", **sums, scope="shot", shot="lake"),
        ApprovalNeeded("more would be spent", cost_usd=Decimal("1.26")),
    ]
    for error in refusals:
        tell_refused(error, run_id="run-1", provider="runware", emit=lambda **facts: told.append(facts))

    assert {event["event"] for event in told} == {"shotchain.budget.refused"}
    assert [event["payload"]["scope"] for event in told] == ["standing", "shot", "approval"]
    assert [len(event["related"]) for event in told] == [1, 0, 0]
    assert told[1]["payload"]["shot"] == "lake"
    assert [event["payload"]["needed_usd"] for event in told] == ["0.42", "0.42", "1.26"]


@flow(name="short of money", flow_run_name="the harbour film")
async def short_of_money() -> str:
    """What a run tells: something that nobody need hear of, and something that somebody must."""
    run_id = str(flow_run.get_id())
    tell(MoneyEvent.RESERVED, run_id=run_id, provider="runware", reserved_usd=Decimal("1.26"))
    tell(MoneyEvent.REFUSED, run_id=run_id, provider="runware", budgets=["acme"], needed_usd=Decimal("0.42"))
    return run_id


async def test_the_automation_about_money_meets_what_somebody_must_hear_of_and_words_it(on_server: str) -> None:
    block = CustomWebhookNotificationBlock(name="producers", url="http://127.0.0.1:9", json_data={"b": "{{body}}"})
    (notice,) = [it for it in notifications(await block.asave("producers-of-a-test")) if "money" in it.name]
    run_id = await short_of_money()
    await asyncio.to_thread(EventsWorker.drain_all, timeout=10.0, at_exit=False)
    wanted = {"filter": {"event": {"prefix": ["shotchain."]}, "resource": {"id": [f"prefect.flow-run.{run_id}"]}}}
    async with get_client() as client, httpx.AsyncClient(base_url=on_server) as api:
        made = await client.create_automation(notice)
        try:
            # As the server understood it, by the code with which it looks at each event that comes in.
            kept = Automation.model_validate((await api.get(f"/automations/{made}")).json())
            told: list[ReceivedEvent] = []
            async with asyncio.timeout(20):
                while len(told) < 2:
                    answer = (await api.post("/events/filter", json=wanted)).json()["events"]
                    told = [ReceivedEvent.model_validate(event) for event in answer]
                    await asyncio.sleep(0.1)
        finally:
            await client.delete_automation(made)
    assert isinstance(kept.trigger, EventTrigger)
    met = [event for event in told if kept.trigger.covers(event) and kept.trigger.expects(event.event)]
    assert [event.event for event in met] == ["shotchain.budget.refused"]
    (action,) = kept.actions
    assert isinstance(action, SendNotification)
    run = {"name": "the harbour film"}
    words = [
        await render_user_template(text, {"event": met[0], "flow_run": run}) for text in (action.subject, action.body)
    ]
    assert words[0] == "shotchain: shotchain.budget.refused of the harbour film"
    assert "needed_usd: 0.42" in words[1]
