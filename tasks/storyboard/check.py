"""Plain data to a `StoryboardDocument`, with every mistake told once and in words of the storyboard.

A mistake must neither hide the ones after it nor cause others. So a misspelled key counts as the key that was
meant, and a value that cannot be used is replaced by a harmless one and noted as broken; then validation is
tried again.
"""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tasks.errors import Problem
from tasks.storyboard.document import (
    CLIP_TAG,
    FRAME_TAG,
    MEDIA_ACCEPTED,
    AssetDocument,
    CardDocument,
    ClipReference,
    EndingDocument,
    FrameReference,
    MusicDocument,
    SafetyDocument,
    ShotDefaults,
    ShotDocument,
    StoryboardDocument,
    TransitionDocument,
    keys_of,
)
from tasks.storyboard.located import KeyPath, Located
from tasks.storyboard.values import PROBLEM_TYPE

__all__ = ["Checked", "check_document", "dotted", "listing", "nearest", "similar_file"]

_PLACEHOLDER: Final = "-"
_MANY = 30
_SLIP = 4
_LIKELY = 200
_MANY_FILES = 1000
_WORD = 80


@dataclass(frozen=True, slots=True)
class Checked:
    """What could be used of a file.

    Attributes:
        document: The file, with what could not be used replaced; `None` if there are no shots to speak of.
        data: The plain data behind `document`, with misspelled keys put right.
        lines: As `Located.lines`, for `data`.
        broken: Paths whose value in `document` is a stand-in. Nothing more should be said about them.
        written_ids: By position of the shot, ids that were refused, as far as references may still mean them.
        problems: What is wrong, in no particular order.
    """

    document: StoryboardDocument | None
    data: dict[str, Any]
    lines: dict[KeyPath, int]
    broken: frozenset[KeyPath]
    written_ids: dict[int, str]
    problems: tuple[Problem, ...]


def nearest(word: str, options: Iterable[str]) -> str | None:
    """The option that somebody who wrote `word` probably meant, if there is one."""
    # Comparing everything with everything would take minutes in a large file that is all wrong.
    likely = islice((option for option in options if abs(len(option) - len(word)) <= _SLIP), _LIKELY)
    found = difflib.get_close_matches(word, likely, n=1, cutoff=0.7) if len(word) <= _WORD else []
    return found[0] if found else None


def similar_file(target: Path) -> str:
    """A hint at a file of almost the same name in the same folder; empty where there is none."""
    try:
        names = [entry.name for entry in islice(target.parent.iterdir(), _MANY_FILES)]
    except OSError:
        return ""
    meant = nearest(target.name, names)
    return f" (did you mean '{meant}'?)" if meant else ""


def listing(options: Sequence[str]) -> str:
    """Options as one line for `Problem.accepted`."""
    shown = ", ".join(options[:_MANY])
    return f"{shown}, … ({len(options)} in all)" if len(options) > _MANY else shown


def dotted(path: KeyPath) -> str:
    """A path as people write it: `reference_images[0].shot`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def check_document(located: Located, file: str) -> Checked:
    """Check the shape of a storyboard and the type of each of its values.

    Args:
        located: The parsed file.
        file: Its name for messages.
    """
    return _Check(located, file).run()


class _Check:
    def __init__(self, located: Located, file: str) -> None:
        self._data = copy.deepcopy(located.data)
        self._lines = dict(located.lines)
        self._file = file
        self._problems = list(located.problems)
        self._broken: set[KeyPath] = set()
        self._guessed: set[KeyPath] = set()
        self._written_ids: dict[int, str] = {}

    def run(self) -> Checked:
        if not isinstance(self._data, dict):
            empty = self._data is None
            self._note((), "the file is empty" if empty else "a storyboard is keys with values", _ROOT_ACCEPTED)
            return self._result(None)
        while True:
            try:
                return self._result(StoryboardDocument.model_validate(self._data))
            except ValidationError as error:
                details = error.errors(include_url=False, include_input=False)
            # Misspelled keys first: most of what else is wrong in this round is their doing.
            unknown = [detail for detail in details if detail["type"] == "extra_forbidden"]
            for detail in unknown:
                self._unknown_key(detail["loc"])
            if unknown:
                continue
            hopeless = False
            for detail in details:
                hopeless |= not self._mistake(detail)
            if hopeless:
                return self._result(None)

    def _result(self, document: StoryboardDocument | None) -> Checked:
        data = self._data if isinstance(self._data, dict) else {}
        return Checked(document, data, self._lines, frozenset(self._broken), self._written_ids, tuple(self._problems))

    def _unknown_key(self, loc: KeyPath) -> None:
        path = self._plain(loc)
        *parent, key = path
        key = str(key)
        container = self._at(tuple(parent))
        if CLIP_TAG in loc and key == "frame":
            self._note(path, "a video is the whole clip of the other shot: leave 'frame' out", "{shot: ID}")
            del container[key]
            return
        options = keys_of(_model_at(loc[:-1]))
        meant = nearest(key.casefold().replace("-", "_").replace(" ", "_"), options)
        hint = f" (did you mean '{meant}'?)" if meant else ""
        self._note(path, f"unknown key '{key}'{hint}", listing(options))
        value = container.pop(key)
        if meant and meant not in container:
            container[meant] = value
            self._move(path, (*parent, meant))
            self._guessed.add((*parent, meant))

    def _move(self, old: KeyPath, new: KeyPath) -> None:
        size = len(old)
        for path in [path for path in self._lines if path[:size] == old]:
            self._lines[new + path[size:]] = self._lines.pop(path)

    def _mistake(self, detail: ErrorDetails) -> bool:
        """Note it and replace what is wrong; `False` if nothing is left to check."""
        path = self._plain(detail["loc"])
        if not any(path[: len(guess)] == guess for guess in self._guessed):
            self._note(path, *_words(detail, path))
        return self._replace(path)

    def _replace(self, path: KeyPath) -> bool:
        match path:
            case ("shots",):
                return False
            case ("shots", int(index)):
                self._remember_id(index, self._at(path))
                self._put(path, {"id": f"nameless-{index + 1}"})
            case ("shots", int(index), "id"):
                self._remember_id(index, self._at(path[:2]).get("id"))
                self._put(path, f"nameless-{index + 1}")
            case ("shots", _, _, int(), *_):
                self._put(path[:4], _PLACEHOLDER)
            case ("shots", _, _, *_):
                self._put(path[:3], None)
            case ("assets", _, *_):
                self._put(path[:2], _PLACEHOLDER)
            case ("defaults", _, int(), *_):
                self._put(path[:3], _PLACEHOLDER)
            case ("defaults", _, *_):
                self._put(path[:2], None)
            case _:
                self._put(path[:1], None)
        return True

    def _remember_id(self, index: int, written: object) -> None:
        if isinstance(written, str | int | Decimal) and not isinstance(written, bool):
            self._written_ids[index] = str(written)

    def _put(self, path: KeyPath, value: object) -> None:
        self._at(path[:-1])[path[-1]] = value
        self._broken.add(path)

    def _plain(self, loc: KeyPath) -> KeyPath:
        """The path in the file, which has no validator's tags and no `0` for one value instead of a list."""
        path: list[str | int] = []
        here: Any = self._data
        for step in loc:
            if isinstance(step, str) and step.startswith("<") and step.endswith(">") and not _has(here, step):
                continue
            if isinstance(step, int) and not isinstance(here, list):
                continue
            path.append(step)
            here = here[step] if _has(here, step) else None
        return tuple(path)

    def _at(self, path: KeyPath) -> Any:
        here: Any = self._data
        for step in path:
            here = here[step]
        return here

    def _line(self, path: KeyPath) -> int | None:
        while path not in self._lines and path:
            path = path[:-1]
        return self._lines.get(path)

    def _note(self, path: KeyPath, message: str, accepted: str | None = None) -> None:
        shot: str | None = None
        line = self._line(path)
        if len(path) > 2 and path[0] == "shots":
            written = self._at(path[:2]).get("id")
            named = isinstance(written, str) and path[2] != "id" and (*path[:2], "id") not in self._broken
            shot = str(written) if named else None
            path = path[2:]
        problem = Problem(message, self._file, line, dotted(path) or None, shot, accepted)
        self._problems.append(problem)


_ROOT_ACCEPTED = "at least 'shots': a list of shots, each with an id and a prompt"


def _has(container: object, step: str | int) -> bool:
    if isinstance(container, list):
        return isinstance(step, int) and step < len(container)
    return isinstance(container, dict) and step in container


def _model_at(loc: KeyPath) -> type[BaseModel]:
    match loc:
        case ():
            return StoryboardDocument
        case ("assets", *_):
            return AssetDocument
        case ("music", *_):
            return MusicDocument
        case (*_, "transition"):
            return TransitionDocument
        case ("ending", *_):
            return EndingDocument
        case ("title_card" | "end_card", *_):
            return CardDocument
        case (*_, tag) if tag == CLIP_TAG:
            return ClipReference
        case (*_, tag) if tag == FRAME_TAG:
            return FrameReference
        case (*_, "safety"):
            return SafetyDocument
        case ("defaults",):
            return ShotDefaults
        case _:
            return ShotDocument


def _words(detail: ErrorDetails, path: KeyPath) -> tuple[str, str | None]:
    kind = detail["type"]
    inside = path[2:] if path[:1] == ("shots",) and len(path) > 2 else path
    name = f"'{dotted(inside)}'"
    if kind == PROBLEM_TYPE:
        context = detail.get("ctx", {})
        return f"{name} {context['say']}", context["accepted"]
    if kind in MEDIA_ACCEPTED:
        return f"{name} {detail['msg']}", MEDIA_ACCEPTED[kind]
    match path, kind:
        case ("shots",), "missing":
            return "the storyboard has no 'shots'", _ROOT_ACCEPTED
        case ("shots",), "too_short":
            return "'shots' is empty: a film needs at least one shot", _ROOT_ACCEPTED
        case ("shots",), _:
            return "'shots' must be a list, each item beginning with '- '", _ROOT_ACCEPTED
        case ("shots", index), _:
            return f"shot {int(index) + 1} must be keys with values", "id, prompt and more"
        case ("shots", index, "id"), "missing":
            return (
                f"shot {int(index) + 1} has no 'id'",
                "an id that no other shot has, such as opening",
            )
        case (*_, "frame"), "missing":
            return f"{name} is missing: say which frame of the other shot", "first, last"
        case _, "missing":
            return f"{name} is missing", None
        case ("assets",), _:
            return "'assets' must be names with paths or URIs", "NAME: PATH, one a line"
        case ("tags",), _:
            return "'tags' must be names with values", "NAME: VALUE, one a line, such as client: acme"
        case _:
            return f"{name} must be keys with values", listing(keys_of(_model_at(detail["loc"])))
