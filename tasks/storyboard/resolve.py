"""From the file as written to the `Storyboard` that the film is made from.

Defaults are filled in, and what the storyboard names is followed (see `references`); and what only shows when several
values are seen together is refused: an id that is used twice, circles, a selected take that nobody makes.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Literal

from tasks.errors import Problem
from tasks.storyboard.check import Checked, dotted
from tasks.storyboard.cycles import find_cycles
from tasks.storyboard.defaults import (
    DEFAULT_CARD_S,
    ending_of,
    loudness_of,
    music_of,
    safety_of,
    transition_of,
)
from tasks.storyboard.document import (
    DEFAULT_MODEL,
    DEFAULT_SIZE,
    SafetyDocument,
    ShotDefaults,
    StoryboardDocument,
)
from tasks.storyboard.draft import Draft, Mistakes, Value, drafts_of
from tasks.storyboard.located import KeyPath
from tasks.storyboard.model import (
    Boundary,
    Card,
    Fit,
    Music,
    Shot,
    Storyboard,
    Transition,
)
from tasks.storyboard.references import References
from tasks.storyboard.uris import Base, stem_of

__all__ = ["resolve"]

_PICTURE_KEYS = ("first_frame", "last_frame")
_LIST_KEYS = ("reference_images", "reference_videos")
_MEDIA_KEYS = (*_PICTURE_KEYS, *_LIST_KEYS, "video", "narration")


def resolve(
    checked: Checked, source: str, file: str, *, has_folder: bool = True
) -> tuple[Storyboard | None, tuple[Problem, ...]]:
    """Resolve a checked file.

    Args:
        checked: What `check_document` made of it.
        source: Path or URI that the file was read from; relative paths start from its folder.
        file: Its name for messages.
        has_folder: Whether there is a folder that relative paths start from.

    Returns:
        The storyboard and the problems found here. The storyboard is to be used only if there are no problems
        at all, neither here nor in `checked`; it is `None` if `checked` holds no document.
    """
    if checked.document is None:
        return None, ()
    resolution = _Resolution(checked, checked.document, source, file, has_folder=has_folder)
    storyboard = resolution.storyboard()
    return storyboard, resolution.problems


class _Resolution:
    def __init__(
        self, checked: Checked, document: StoryboardDocument, source: str, file: str, *, has_folder: bool
    ) -> None:
        self._checked = checked
        self._document = document
        self._source = source
        self._file = file
        self._lines = checked.lines
        self._mistakes = Mistakes(file, checked.lines)
        self._drafts = drafts_of(checked, document)
        base = Base.of(source) if has_folder else Base(None)
        self._references = References(checked, document, self._drafts, base, file, self._mistakes)

    @property
    def problems(self) -> tuple[Problem, ...]:
        return self._mistakes.problems

    def storyboard(self) -> Storyboard:
        self._check_ids()
        if self._document.defaults is not None:
            for value, path in self._media_values("defaults", self._document.defaults):
                self._references.resolve(value, path, None)
        shots = tuple(self._shot(draft) for draft in self._drafts)
        self._check_cycles()
        width, height = (self._document.size or DEFAULT_SIZE).split("x")
        lines = {
            dotted(path): line for path, line in self._lines.items() if path[:1] not in {("shots",), ("defaults",)}
        }
        return Storyboard(
            title=self._document.title or stem_of(self._source),
            model=self._document.model or DEFAULT_MODEL,
            width=int(width),
            height=int(height),
            shots=shots,
            style=self._document.style or "",
            fps=self._document.fps,
            retries=self._document.retries,
            tags=dict(self._document.tags or {}),
            music=self._music(),
            title_card=self._card("title_card"),
            end_card=self._card("end_card"),
            ending=ending_of(self._document.ending),
            loudness_lufs=loudness_of(self._document.loudness),
            file=self._file,
            lines=lines,
        )

    # Shots

    def _check_ids(self) -> None:
        first: dict[str, int] = {}
        for draft in self._drafts:
            if not draft.named:
                continue
            line = self._lines["shots", draft.index, "id"]
            if draft.id in first:
                message = f"the id '{draft.id}' is used twice, on line {first[draft.id]} and on line {line}"
                self._mistakes.note(
                    ("shots", draft.index, "id"), message, draft, "an id that no other shot has", key="id"
                )
            else:
                first[draft.id] = line

    def _shot(self, draft: Draft) -> Shot:
        prompt = draft.get("prompt")
        if prompt is None and not self._is_broken(draft, "prompt"):
            path: KeyPath = draft.values["prompt"].path if "prompt" in draft.values else ("shots", draft.index)
            message = "'prompt' is empty" if "prompt" in draft.values else "there is no 'prompt'"
            self._mistakes.note(path, message, draft, "what happens in the shot, in words", key="prompt")
        takes, select = draft.get("takes") or 1, draft.get("select") or 1
        if select > takes and not self._is_broken(draft, "takes"):
            made = "1 take is" if takes == 1 else f"{takes} takes are"
            accepted = "1" if takes == 1 else f"1 to {takes}, or more takes"
            self._mistakes.note(draft.values["select"].path, f"'select' is {select}, but {made} made", draft, accepted)
        safety: SafetyDocument | None = draft.get("safety")
        return Shot(
            id=draft.id,
            prompt=prompt or "",
            duration_s=draft.get("duration"),
            boundary=self._boundary(draft),
            first_frame=self._one(draft, "first_frame"),
            last_frame=self._one(draft, "last_frame"),
            reference_images=tuple(self._many(draft, "reference_images")),
            reference_videos=tuple(self._many(draft, "reference_videos")),
            video=self._one(draft, "video"),
            keep_original_sound=draft.get("keep_original_sound"),
            takes=takes,
            select=select,
            output_format=draft.get("output_format"),
            output_quality=draft.get("output_quality"),
            safety=safety_of(safety) if safety is not None else None,
            ttl=draft.get("ttl"),
            transition=self._transition(draft.values.get("transition")),
            fit=Fit(draft.get("fit") or Fit.FIT),
            gain_db=draft.get("gain_db") or Decimal(0),
            narration=self._one(draft, "narration"),
            narration_gain_db=draft.get("narration_gain_db") or Decimal(0),
            caption=draft.get("caption"),
            lines=self._shot_lines(draft),
        )

    def _is_broken(self, draft: Draft, key: str) -> bool:
        here: KeyPath = ("shots", draft.index)
        paths = {here, (*here, key)} | (
            {("defaults",), ("defaults", key)} if (*here, key) not in self._lines else set()
        )
        return bool(paths & self._checked.broken)

    def _boundary(self, draft: Draft) -> Boundary:
        written = draft.values.get("boundary")
        boundary = Boundary(written.value or Boundary.CUT) if written is not None else Boundary.CUT
        if boundary is Boundary.CUT or written is None:
            return boundary
        if draft.index == 0:
            # A default is meant for the shots that have one before them.
            if written.path[0] != "defaults":
                message = f"the first shot cannot '{boundary}': there is no shot before it"
                self._mistakes.note(written.path, message, draft, "cut")
            return Boundary.CUT
        if boundary is Boundary.CONTINUE:
            draft.needs.setdefault(self._drafts[draft.index - 1].id, []).append(written.path)
        return boundary

    def _shot_lines(self, draft: Draft) -> dict[str, int]:
        lines = {"": draft.line}
        own: KeyPath = ("shots", draft.index)
        if (*own, "id") in self._lines:
            lines["id"] = self._lines[*own, "id"]
        for key, value in draft.values.items():
            lines[key] = self._lines[value.path]
            entries = value.value if key in _LIST_KEYS and value.value is not None else ()
            for position in range(len(entries)):
                lines[f"{key}[{position}]"] = self._mistakes.line(self._item_path(value.path, position))
        return lines

    def _transition(self, written: Value | None) -> Transition | None:
        if written is None or written.value is None:
            return None
        return transition_of(written.value, is_default=written.path[0] == "defaults")

    # Pictures, videos and sounds

    def _music(self) -> Music | None:
        written = self._document.music
        if written is None:
            return None
        path: KeyPath = ("music", "source") if ("music", "source") in self._lines else ("music",)
        file = self._references.resolve(written.source, path, None)
        return None if file is None else music_of(written, file)

    def _card(self, key: Literal["title_card", "end_card"]) -> Card | None:
        written = self._document.title_card if key == "title_card" else self._document.end_card
        if written is None:
            return None
        picture = None if written.picture is None else self._references.resolve(written.picture, (key, "picture"), None)
        into = written.transition
        return Card(
            key=key,
            text=tuple(written.text),
            duration_s=DEFAULT_CARD_S if written.duration is None else written.duration,
            background=written.background,
            picture=picture,
            transition=None if into is None else transition_of(into, is_default=False),
            lines={dotted(path[1:]): line for path, line in self._lines.items() if path[:1] == (key,)},
        )

    def _media_values(self, root: str, shot: ShotDefaults) -> Iterator[tuple[Any, KeyPath]]:
        for key in _MEDIA_KEYS:
            value = getattr(shot, key)
            if value is None:
                continue
            if key in _LIST_KEYS:
                for position, item in enumerate(value):
                    yield item, self._item_path((root, key), position)
            else:
                yield value, (root, key)

    def _item_path(self, path: KeyPath, position: int) -> KeyPath:
        """The path of a list's item; that of the list itself where one value stands for a list."""
        here: Any = self._checked.data
        for step in path:
            here = here[step]
        return (*path, position) if isinstance(here, list) else path

    def _one(self, draft: Draft, key: str) -> Any:
        written = draft.values.get(key)
        if written is None or written.value is None:
            return None
        return self._references.resolve(written.value, written.path, draft)

    def _many(self, draft: Draft, key: str) -> Iterator[Any]:
        written = draft.values.get(key)
        if written is None or written.value is None:
            return
        for position, item in enumerate(written.value):
            resolved = self._references.resolve(item, self._item_path(written.path, position), draft)
            if resolved is not None:
                yield resolved

    # Circles

    def _check_cycles(self) -> None:
        drafts: dict[str, Draft] = {}
        for draft in self._drafts:
            drafts.setdefault(draft.id, draft)
        for cycle in find_cycles({shot_id: draft.needs for shot_id, draft in drafts.items()}):
            first = drafts[cycle[0]]
            path = first.needs[cycle[-1]][0]
            message = f"the shots need one another in a circle: {' -> '.join((*cycle, cycle[0]))}"
            accepted = f"'{cycle[0]}' without a frame or clip of '{cycle[-1]}', or another order"
            self._mistakes.note(path, message, first, accepted)
