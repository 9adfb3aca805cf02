"""A fault plan at work: which rule meets which call. The same plan and the same calls give the same faults."""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import ValidationError

from tasks.emulator.faults import AnyRule, FaultDocument
from tasks.emulator.rule import ALL_CALLS, Call, Phase, Rule
from tasks.errors import SettingsError

__all__ = ["DELIVERY_FAULTS", "FAULTS", "FaultPlan", "parse_faults"]

_KINDS: dict[str, type[Rule]] = {
    get_args(kind.model_fields["fault"].annotation)[0]: kind for kind in get_args(get_args(AnyRule)[0])
}
FAULTS: tuple[str, ...] = tuple(name for name, kind in _KINDS.items() if set(kind.calls) & set(ALL_CALLS))
"""The name of every fault that a client's own calls can meet, and of every one of their results."""
DELIVERY_FAULTS: tuple[str, ...] = tuple(name for name in _KINDS if name not in FAULTS)
"""The name of every other fault: these meet only what the emulator sends on its own."""


@dataclass
class _Running:
    """A rule, and what has become of it."""

    rule: Rule
    random: random.Random
    seen: int = 0
    given: int = 0


@dataclass
class _Numbers:
    """In which order UUIDs came."""

    of: dict[str, int] = field(default_factory=dict)

    def number(self, uuid: str, *, add: bool) -> int | None:
        if add:
            self.of.setdefault(uuid, len(self.of) + 1)
        return self.of.get(uuid)


class FaultPlan:
    """Rules, in their order, and how often each was met. Safe to use from many threads.

    Args:
        source: A file (YAML or JSON), or what it would hold. None: no faults.

    Raises:
        SettingsError: It is not a fault plan; the message says where and what is accepted.
    """

    def __init__(self, source: Path | Mapping[str, Any] | None = None) -> None:
        self._lock = threading.Lock()
        self._seed = 0
        self._running: list[_Running] = []
        self._tasks, self._uploads = _Numbers(), _Numbers()
        if isinstance(source, Path):
            try:
                text = source.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise SettingsError(f"the fault plan {source} cannot be read: {error}") from error
            self.replace(parse_faults(text, str(source)))
        elif source is not None:
            self.replace(_validated(source, "fault plan"))

    def replace(self, document: FaultDocument) -> None:
        """Begin anew with another plan: tasks are numbered from 1 again."""
        with self._lock:
            self._seed = document.seed
            self._running = []
            self._tasks, self._uploads = _Numbers(), _Numbers()
            self._append(document)

    def add(self, document: FaultDocument) -> None:
        """Put rules behind those that are there; all goes on counting. The seed stays."""
        with self._lock:
            self._append(document)

    def _append(self, document: FaultDocument) -> None:
        for rule in document.rules:
            draws = random.Random(f"{self._seed}/{len(self._running)}")  # noqa: S311  repeatable, not secret
            self._running.append(_Running(rule, draws))

    def take(self, call: Call, phase: Phase, *, only_first: bool = False) -> list[Rule]:
        """The rules that meet a call now, which counts as given: at most one of each fault, in the plan's order.

        Args:
            call: The call.
            phase: Where it is on its way.
            only_first: Leave all rules after the first one that meets it as they are.
        """
        numbers = self._uploads if call.kind == "upload" else self._tasks
        with self._lock:
            number = numbers.number(call.task_uuid, add=call.kind in {"submit", "upload"})
            taken: list[Rule] = []
            for running in self._running:
                rule = running.rule
                if rule.phase != phase or any(rule.fault == other.fault for other in taken):
                    continue
                if running.given == rule.times or not rule.fits(call, number):
                    continue
                running.seen += 1
                if running.seen <= rule.skip:
                    continue
                if rule.rate is not None and running.random.random() >= rule.rate:
                    continue
                running.given += 1
                taken.append(rule)
                if only_first:
                    break
            return taken

    def as_json(self) -> dict[str, Any]:
        """`seed` and `rules` as they can be put in again, and `given`: how often each rule was met."""
        with self._lock:
            rules = [running.rule.model_dump(mode="json", exclude_unset=True) for running in self._running]
            return {"seed": self._seed, "rules": rules, "given": [running.given for running in self._running]}


def parse_faults(text: str | bytes, name: str = "fault plan") -> FaultDocument:
    """Read a plan from YAML or JSON: an object with `rules`, a list of rules, or one rule.

    Raises:
        SettingsError: It is none of these; the message begins with `name` and says where.
    """
    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{name}: this is neither YAML nor JSON: {error}") from error
    if isinstance(content, dict) and "fault" in content:
        content = [content]
    if isinstance(content, list):
        content = {"rules": content}
    return _validated({} if content is None else content, name)


def _validated(content: Any, name: str) -> FaultDocument:
    try:
        return FaultDocument.model_validate(dict(content) if isinstance(content, Mapping) else content)
    except ValidationError as error:
        told = [
            f"{_place(problem['loc'])}: "
            + ("no such key" if problem["type"] == "extra_forbidden" else problem["msg"].removeprefix("Value error, "))
            for problem in error.errors(include_url=False)
        ]
        raise SettingsError(f"{name}: {'; '.join(told)}", advice="docs/emulator.md lists the faults.") from error


def _place(location: tuple[int | str, ...]) -> str:
    """`rules[2].status` for ("rules", 2, the fault's name, "status")."""
    if len(location) > 2 and location[0] == "rules":
        location = (*location[:2], *location[3:])
    place = ""
    for part in location:
        place += f"[{part}]" if isinstance(part, int) else f".{part}"
    return place.removeprefix(".") or "plan"
