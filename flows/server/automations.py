"""What the Prefect server does by itself: tell a person, mark dead runs as crashed, run crashed ones again.

What is about states concerns runs with the tag `shotchain`, which every deployment of prefect.yaml has. What is about
money goes by our own events, of whatever run.
"""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState, SendNotification
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification

from flows.money.events import ABOUT, UNCLEAR, MoneyEvent

__all__ = [
    "MONEY",
    "MOST_STARTS",
    "REMIND_AFTER_S",
    "RERUN_AFTER_S",
    "SILENT_S",
    "TAG",
    "UNBEGUN_S",
    "notifications",
    "rescues",
]

TAG = "shotchain"
# Three of Prefect's heartbeats (180 s), and a little; a machine that only stalled is not taken for dead.
SILENT_S = 600
# A worker reports a crash a second time some seconds later; that would undo a rerun that had begun by then.
RERUN_AFTER_S = 60
# Longer than a machine takes to start, or to fetch an image: a run that begins twice costs nothing, but helps nobody.
UNBEGUN_S = 1800
# A recovery runs by the clock: of what stays as it is, people are told once in that time.
REMIND_AFTER_S = 86_400
# A run that crashed so often is left to a person.
MOST_STARTS = 3

# What a person should hear of: somebody has to raise a budget, look at a bill, or answer.
MONEY = (MoneyEvent.REFUSED, MoneyEvent.OVERRUN, MoneyEvent.REQUESTED)

_RUN = "prefect.flow-run."
_RECOVER = "recover"
_ENDINGS = ("Completed", "Failed", "Crashed", "Cancelled", "Cancelling", "Paused", "Suspended", "AwaitingRetry")
_STORY = (
    "{{ flow.name }} · {{ flow_run.name }} is {{ flow_run.state.name }}: {{ flow_run.state.message }}\n\n"
    "{{ flow_run|ui_url }}"
)

_PAYLOAD_STORY = (
    "{{ flow.name }} · {{ flow_run.name }}: {{ event.event }}\n\n"
    "{% for name, value in event.payload.items() %}{{ name }}: {{ value }}\n{% endfor %}\n"
    "{{ flow_run|ui_url }}"
)
# A crash has no payload that people could read.
_RECOVERY_STORY = f"{{% if event.event == '{UNCLEAR}' %}}{_PAYLOAD_STORY}{{% else %}}{_STORY}{{% endif %}}"


def rescues() -> list[AutomationCore]:
    """What brings a run back whose process or machine died. Nothing is paid twice: the ledger sees to that."""
    return [
        AutomationCore(
            name="shotchain: mark dead runs crashed",
            description=f"A run that was alive, has not ended, and has said nothing for {SILENT_S} s.",
            trigger=_silence(
                after={f"{_RUN}heartbeat"},
                expect={f"{_RUN}heartbeat", *(_RUN + name for name in _ENDINGS)},
                within_s=SILENT_S,
            ),
            actions=[
                ChangeFlowRunState(
                    state=StateType.CRASHED, message=f"No sign of life for {SILENT_S} s: its process or machine died."
                )
            ],
        ),
        AutomationCore(
            name="shotchain: run crashed runs again",
            description=f"{RERUN_AFTER_S} s after it crashed, unless something has happened to it since, or it has "
            f"been started {MOST_STARTS} times, or never. What is paid for is found, not bought again.",
            trigger=_silence(
                after={f"{_RUN}Crashed"},
                expect={
                    f"{_RUN}{name}" for name in (*_ENDINGS, "Scheduled", "Pending", "Running") if name != "Crashed"
                },
                within_s=RERUN_AFTER_S,
                labels={"prefect.run-count": [str(count) for count in range(1, MOST_STARTS)]},
            ),
            actions=[
                ChangeFlowRunState(
                    name="AwaitingRetry", state=StateType.SCHEDULED, message="It crashed, and goes on where it stopped."
                )
            ],
        ),
        AutomationCore(
            name="shotchain: plan anew runs that never began",
            description=f"A worker took it, and {UNBEGUN_S} s later it has not begun: that machine died in between.",
            trigger=_silence(
                after={f"{_RUN}Pending"},
                expect={f"{_RUN}{name}" for name in (*_ENDINGS, "heartbeat", "Scheduled", "Running", "Retrying")},
                within_s=UNBEGUN_S,
            ),
            actions=[
                ChangeFlowRunState(
                    name="Scheduled", state=StateType.SCHEDULED, message="The machine that took it never began it."
                )
            ],
        ),
    ]


def notifications(block: UUID) -> list[AutomationCore]:
    """What tells a person, by way of a notification block.

    Args:
        block: Id of the block document.
    """
    return [
        # Not of recoveries, which would say the same each quarter of an hour: they have a rule of their own.
        _notice("shotchain: tell of failures", {"Failed", "Crashed"}, "failed", block, _flow(f"!{_RECOVER}")),
        _notice("shotchain: tell of approvals wanted", {"Paused", "Suspended"}, "waits for approval", block),
        AutomationCore(
            name="shotchain: tell of money",
            description="A budget had no room or holds more than its limit, or somebody is asked for a sum.",
            trigger=EventTrigger(
                match=_runs(),
                expect={str(event) for event in MONEY},
                posture=Posture.Reactive,
                threshold=1,
                within=timedelta(0),
            ),
            actions=[
                SendNotification(
                    block_document_id=block,
                    subject="shotchain: {{ event.event }} of {{ flow_run.name }}",
                    body=_PAYLOAD_STORY,
                )
            ],
        ),
        AutomationCore(
            name="shotchain: tell of recovery",
            description="A recovery finds what is not clear, or cannot do its work: told at once, and again only when "
            f"something else is unclear, or {REMIND_AFTER_S // 3600} hours later.",
            trigger=EventTrigger(
                match=_runs(),
                match_related=[_ours(), _flow(_RECOVER)],
                for_each={ABOUT},
                expect={UNCLEAR, f"{_RUN}Crashed"},
                posture=Posture.Reactive,
                threshold=1,
                within=timedelta(seconds=REMIND_AFTER_S),
            ),
            actions=[
                SendNotification(
                    block_document_id=block,
                    subject="shotchain: {{ flow_run.name }} needs somebody to look",
                    body=_RECOVERY_STORY,
                )
            ],
        ),
    ]


def _notice(name: str, states: set[str], what: str, block: UUID, *only: ResourceSpecification) -> AutomationCore:
    return AutomationCore(
        name=name,
        description=f"A run {what}.",
        trigger=EventTrigger(
            match=_runs(),
            match_related=[_ours(), *only],
            expect={_RUN + state for state in states},
            posture=Posture.Reactive,
            threshold=1,
            within=timedelta(0),
        ),
        actions=[
            SendNotification(block_document_id=block, subject=f"shotchain: {{{{ flow_run.name }}}} {what}", body=_STORY)
        ],
    )


def _silence(
    after: set[str], expect: set[str], within_s: int, labels: dict[str, list[str]] | None = None
) -> EventTrigger:
    """Fires for each of our runs (with these labels) of which nothing expected is heard so long after the first."""
    return EventTrigger(
        match=_runs(labels),
        match_related=_ours(),
        for_each={"prefect.resource.id"},
        after=after,
        expect=expect,
        posture=Posture.Proactive,
        threshold=1,
        within=timedelta(seconds=within_s),
    )


def _runs(labels: dict[str, list[str]] | None = None) -> ResourceSpecification:
    return ResourceSpecification({"prefect.resource.id": f"{_RUN}*", **(labels or {})})


def _ours() -> ResourceSpecification:
    return ResourceSpecification({"prefect.resource.id": f"prefect.tag.{TAG}", "prefect.resource.role": "tag"})


def _flow(name: str) -> ResourceSpecification:
    """Runs of a flow; with `!`, of any other."""
    return ResourceSpecification({"prefect.resource.role": "flow", "prefect.resource.name": name})
