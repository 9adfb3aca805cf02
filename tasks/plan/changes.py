"""Puts in words what makes a shot's request another one than it was."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from tasks.plan.model import LAST, ClipFrame, PlannedShot, WholeClip

__all__ = ["Change", "Takes", "changes_between"]

Takes: TypeAlias = Mapping[tuple[str, int], str]
"""(shot, take number) -> content key, of one plan."""

_EXCERPT = 60
_LISTS = {"reference_image": "reference_images", "reference_video": "reference_videos"}
_KINDS = {"reference_video": "video", "video": "video"}
_CLIP, _FILE = "clip", "file"
_UNREAD = "unread:"


@dataclass(frozen=True, slots=True)
class Change:
    """One part of a request that is another one: its name, the change in words, and both values as text."""

    part: str
    says: str
    was: str | None
    now: str | None

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready fields."""
        return {"part": self.part, "says": self.says, "was": self.was, "now": self.now}


def changes_between(
    was: Mapping[str, Any], shot: PlannedShot, takes_then: Takes, takes_now: Takes, reused: Collection[str]
) -> Iterator[Change]:
    """What a shot's request says otherwise than its identity `was`; nothing if its clips are the same.

    Args:
        was: The shot's earlier identity; see `tasks.plan.keys.identity_of`.
        shot: The shot now.
        takes_then: All takes of the earlier plan.
        takes_now: All takes of the plan now.
        reused: The content keys whose clips are in the store.
    """
    now = shot.identity
    for key in dict.fromkeys((*now, *was)):
        if key == "inputs":
            yield from _Inputs(was.get(key, ()), shot, takes_then, takes_now, reused).changes()
        elif key in {"width", "height"}:
            continue
        elif was.get(key) != now.get(key):
            part, words = _PARTS.get(key, (key, _as_json))
            yield _plain(part, words(was.get(key)), words(now.get(key)))
    if _size(was) != _size(now):
        yield _plain("size", _size(was), _size(now))


def _plain(part: str, was: str, now: str) -> Change:
    shown = _excerpts(was, now) if part == "prompt" else (was, now)
    return Change(part, f"{part}: {shown[0]} → {shown[1]}", was, now)


def _excerpts(was: str, now: str) -> tuple[str, str]:
    """Both texts, short, from a word or two before where they begin to differ."""
    same = next((at for at, (one, other) in enumerate(zip(was, now, strict=False)) if one != other), None)
    same = min(len(was), len(now)) if same is None else same
    start = 0
    if max(len(was), len(now)) > _EXCERPT and same > _EXCERPT // 3:
        start = was.rfind(" ", 0, max(0, same - _EXCERPT // 4)) + 1
    return _excerpt(was, start), _excerpt(now, start)


def _excerpt(text: str, start: int) -> str:
    end = start + _EXCERPT
    return f"«{'…' if start else ''}{text[start:end]}{'…' if len(text) > end else ''}»"


def _as_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _seconds(value: object) -> str:
    return "the source's length" if value == "source" else f"{value} s"


def _flag(value: object) -> str:
    return "true" if value else "false"


def _safety(value: Any) -> str:
    return f"check_content {_flag(value.get('checkContent'))}, mode {value.get('mode')}" if value else "none"


def _size(identity: Mapping[str, Any]) -> str:
    width, height = identity.get("width"), identity.get("height")
    return "its input's" if width is None or height is None else f"{width}x{height}"


_PARTS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "version": ("the way keys are made", str),
    "provider": ("provider", str),
    "model": ("model", str),
    "prompt": ("prompt", str),
    "duration": ("duration", _seconds),
    "keepOriginalSound": ("keep_original_sound", _flag),
    "outputFormat": ("output_format", str),
    "outputQuality": ("output_quality", str),
    "safety": ("safety", _safety),
}
"""Keys of an identity -> the name that a storyboard has for them, and how a value is shown."""


class _Inputs:
    """The inputs of one shot, then and now, by role and position."""

    def __init__(
        self,
        was: Sequence[Sequence[str]],
        shot: PlannedShot,
        takes_then: Takes,
        takes_now: Takes,
        reused: Collection[str],
    ) -> None:
        self._was = [tuple(item) for item in was]
        self._now = [tuple(item) for item in shot.identity["inputs"]]
        self._sources = dict(_numbered(self._now, shot.inputs))
        self._then = takes_then
        self._takes = takes_now
        self._reused = reused

    def changes(self) -> Iterator[Change]:
        was, now = dict(_numbered(self._was, self._was)), dict(_numbered(self._now, self._now))
        for role in dict.fromkeys((*(item[0] for item in self._now), *(item[0] for item in self._was))):
            ours = [item for item in self._now if item[0] == role]
            theirs = [item for item in self._was if item[0] == role]
            if ours != theirs and sorted(ours) == sorted(theirs):
                name = _LISTS.get(role, role)
                yield Change(name, f"{name}: in another order", None, None)
                continue
            for at in range(max(len(ours), len(theirs))):
                part = (role, at)
                if was.get(part) != now.get(part):
                    yield self._change(part, was.get(part), now.get(part))

    def _change(self, part: tuple[str, int], was: tuple[str, ...] | None, now: tuple[str, ...] | None) -> Change:
        role, at = part
        name = f"{_LISTS[role]}[{at}]" if role in _LISTS else role
        then = None if was is None else self._described(was, self._then, self._shot_then(was, part))
        if now is None:
            return Change(name, f"{name}: left out", then, None)
        source = self._sources[part].source
        shot = source.shot if isinstance(source, ClipFrame | WholeClip) else None
        words = self._described(now, self._takes, shot)
        kind = _KINDS.get(role, "picture")
        if was is None:
            says = f"{name}: added, {words if now[1] != _FILE else f'a {kind}'}"
        elif now[1] == _FILE:
            unread = now[2].startswith(_UNREAD)
            says = f"{name}: {'a' if was[1] != _FILE else 'another'} {kind}{', which cannot be read' if unread else ''}"
        elif was[1] == _FILE or shot is None:
            says = f"{name}: takes {words} now"
        else:
            says = f"{name}: {self._of_another_shot(was, now, shot, part)}"
        return Change(name, says, then, words)

    def _of_another_shot(self, was: tuple[str, ...], now: tuple[str, ...], shot: str, part: tuple[str, int]) -> str:
        """How a frame or clip of `shot` differs from the frame or clip that was taken before."""
        what = _what(now)
        if was[2] == now[2]:
            return f"takes {what} of '{shot}' rather than {_what(was)}"
        anew = now[2] not in self._reused
        take_now = _take_of(self._takes, now[2], shot)
        take_then = _take_of(self._then, was[2], shot)
        if self._shot_then(was, part) != shot or take_then is None:
            return f"takes {what} of '{shot}' now"
        if take_now is not None and take_then != take_now:
            of = f"takes {what} of it; " if was[3:] != now[3:] else ""
            return f"{of}'{shot}' take {take_now} is selected now{', and is generated' if anew else ''}"
        return f"takes {what} of '{shot}', {'which is generated anew' if anew else 'whose clip is another one'}"

    def _shot_then(self, was: tuple[str, ...], part: tuple[str, int]) -> str | None:
        """Whose clip it was; of shots that shared one, the shot that is named now."""
        source = self._sources[part].source if part in self._sources else None
        named = source.shot if isinstance(source, ClipFrame | WholeClip) else None
        owners = [shot for (shot, _), key in self._then.items() if key == was[2]]
        return named if named in owners else owners[0] if owners else None

    @staticmethod
    def _described(item: tuple[str, ...], takes: Takes, shot: str | None) -> str:
        _, kind, key = item[:3]
        if kind == _FILE:
            return "unread" if key.startswith(_UNREAD) else f"sha256 {key[:12]}…"
        has_many = sum(of == shot for of, _ in takes) > 1
        number = _take_of(takes, key, shot) if shot is not None and has_many else None
        whose = "another shot" if shot is None else f"'{shot}'{f' take {number}' if number else ''}"
        return f"{_what(item)} of {whose}"


def _numbered(inputs: Sequence[tuple[str, ...]], values: Sequence[Any]) -> Iterator[tuple[tuple[str, int], Any]]:
    """Each value by the role of its input and the position among those of that role."""
    counts: dict[str, int] = {}
    for item, value in zip(inputs, values, strict=True):
        at = counts.get(item[0], 0)
        counts[item[0]] = at + 1
        yield (item[0], at), value


def _what(item: tuple[str, ...]) -> str:
    if item[1] == _CLIP:
        return "the clip"
    index = int(item[3])
    return {LAST: "the last frame", 0: "the first frame"}.get(index, f"frame {index}")


def _take_of(takes: Takes, key: str, shot: str) -> int | None:
    return next((number for (of, number), have in takes.items() if of == shot and have == key), None)
