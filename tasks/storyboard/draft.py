"""Shots while they are resolved: which values are a shot's own and which the defaults', and where a mistake stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tasks.errors import Problem
from tasks.storyboard.check import Checked, dotted
from tasks.storyboard.document import ShotDefaults, ShotDocument, StoryboardDocument, keys_of
from tasks.storyboard.located import KeyPath

__all__ = ["Draft", "Mistakes", "Value", "drafts_of"]

_SHOT_KEYS = keys_of(ShotDefaults)


@dataclass(frozen=True, slots=True)
class Value:
    """A value of a shot, and where the shot has it from: its own key, or that of the defaults."""

    value: Any
    path: KeyPath


@dataclass(slots=True)
class Draft:
    """A shot while it is being resolved.

    Attributes:
        index: Its place in the storyboard, from 0.
        id: Its id, or a stand-in.
        named: Whether the id is one that was written.
        line: Where it begins.
        values: Its values by key, as written.
        needs: The shots that must be made before it, by id, each with the paths that say so.
    """

    index: int
    id: str
    named: bool
    line: int
    values: dict[str, Value]
    needs: dict[str, list[KeyPath]] = field(default_factory=dict)

    def get(self, key: str) -> Any:
        """What is written for a key, None where nothing is."""
        return self.values[key].value if key in self.values else None


def drafts_of(checked: Checked, document: StoryboardDocument) -> list[Draft]:
    """The shots of a document: what a shot does not say, the defaults say for it, where they do."""
    return [_draft(checked, document, index, shot) for index, shot in enumerate(document.shots)]


def _draft(checked: Checked, document: StoryboardDocument, index: int, shot: ShotDocument) -> Draft:
    values: dict[str, Value] = {}
    here: KeyPath = ("shots", index)
    for key in _SHOT_KEYS:
        if key in shot.model_fields_set:
            values[key] = Value(getattr(shot, key), (*here, key))
        elif document.defaults is not None and key in document.defaults.model_fields_set:
            values[key] = Value(getattr(document.defaults, key), ("defaults", key))
    named = not {here, (*here, "id")} & checked.broken
    return Draft(index, shot.id, named, checked.lines[here], values)


class Mistakes:
    """What is wrong between the values of one file.

    Args:
        file: Its name for messages.
        lines: The line of every key and list item, by its path.
    """

    def __init__(self, file: str, lines: Mapping[KeyPath, int]) -> None:
        self._file = file
        self._lines = lines
        self._problems: list[Problem] = []

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Each once, in the order in which they were found."""
        return tuple(dict.fromkeys(self._problems))

    def line(self, path: KeyPath) -> int:
        """The line of what is at `path`, or of what is written around it."""
        while path not in self._lines:
            path = path[:-1]
        return self._lines[path]

    def note(
        self, path: KeyPath, message: str, draft: Draft | None, accepted: str | None, key: str | None = None
    ) -> None:
        """Note one.

        Args:
            path: What is wrong.
            message: Why.
            draft: The shot that has it, None where it is not a shot's.
            accepted: What would do.
            key: What to call it, if not by its path.
        """
        inside = path[2:] if path[0] == "shots" else path
        # A mistake in the defaults is one mistake, however many shots inherit it.
        shot = draft.id if draft is not None and draft.named and path[0] == "shots" else None
        self._problems.append(Problem(message, self._file, self.line(path), key or dotted(inside), shot, accepted))
