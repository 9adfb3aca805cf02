"""Asks the fault plan on behalf of the emulator, and enters in the books what was given."""

from __future__ import annotations

from tasks.emulator.fates import Fate
from tasks.emulator.fault_plan import FaultPlan
from tasks.emulator.rule import Call, Phase, Rule
from tasks.emulator.rules import Order
from tasks.emulator.state import StateStore

__all__ = ["Mischief"]


class Mischief:
    """The faults that a plan has for calls and results.

    Args:
        plan: The plan, which may change while it is used.
        store: Where faults are counted.
    """

    def __init__(self, plan: FaultPlan, store: StateStore) -> None:
        self._plan = plan
        self._store = store

    def take(self, call: Call, phase: Phase, *, only_first: bool = False) -> list[Rule]:
        """See `FaultPlan.take`."""
        taken = self._plan.take(call, phase, only_first=only_first)
        for rule in taken:
            self._store.count_fault(rule.fault)
        return taken

    def fates(self, order: Order) -> tuple[Fate, ...]:
        """What is to become of each result of a task that is being accepted."""
        rules = self.take(Call("submit", order.task_uuid, order.prompt), "accepted")
        fates: list[Fate] = []
        for number in range(1, order.number_results + 1):
            fate = Fate()
            for rule in rules:
                fate = rule.decide(fate) if rule.concerns(number) else fate
            fates.append(fate)
        return tuple(fates)
