"""Storyboards as people write them, planned with facts as an inspection would find them."""

from __future__ import annotations

import hashlib
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest

from tasks.errors import Problem, StoryboardError
from tasks.plan.build import build_plan
from tasks.plan.catalog import ModelSpec
from tasks.plan.model import ClipFrame, Plan
from tasks.storyboard.inputs import InputFacts, Kind
from tasks.storyboard.model import MediaFile, Storyboard
from tasks.storyboard.read import read_storyboard

STANDARD: Final = "klingai:kling@o1-standard"
PRO: Final = "klingai:kling@o1"
PROVIDER: Final = "emulator"
SITE: Final = "https://example.org/"

# Line 1 to 12 of every film below; what a test writes begins on line 13.
ASSETS: Final = f"""\
assets:
  a: {SITE}a.jpg
  b: {SITE}b.jpg
  c: {SITE}c.jpg
  d: {SITE}d.jpg
  e: {SITE}e.jpg
  f: {SITE}f.jpg
  g: {SITE}g.jpg
  h: {SITE}h.jpg
  v: {SITE}v.mp4
  w: {SITE}w.mp4

"""
FIRST_LINE: Final = 13
KEYS: Final = FIRST_LINE + 3
"""Line of the first key of `one_shot` after the prompt."""
ONE: Final = FIRST_LINE + 1
TWO: Final = FIRST_LINE + 3
"""Lines of the shots of `two_shots`; the keys that a test gives follow on the next lines."""


def film(text: str) -> Storyboard:
    """A storyboard of `text`, in which the pictures `a` to `h` and the videos `v` and `w` are assets."""
    return read_storyboard("film.yaml", text=ASSETS + textwrap.dedent(text).lstrip("\n"))


def one_shot(*lines: str) -> str:
    """A film of one shot, `one`, with further lines of its own."""
    return "shots:\n  - id: one\n" + "".join(f"    {line}\n" for line in ("prompt: A tram climbs", *lines))


def two_shots(one: str = "", two: str = "") -> str:
    """Two shots; `one` and `two` are further keys of theirs, as a flow mapping's inside."""
    return (
        "shots:\n"
        f"  - {{id: one, prompt: A tram climbs{', ' + one if one else ''},\n     ttl: 60}}\n"
        f"  - {{id: two, prompt: It goes on{', ' + two if two else ''},\n     ttl: 60}}\n"
    )


def facts_of(board: Storyboard, **known: Mapping[str, Any] | None) -> dict[str, InputFacts]:
    """Facts by URI, as good as can be: pictures of 1280x720, videos of 6 s, each with bytes of its own.

    `known` changes fields by the name of the asset; `None` makes it unreadable.
    """
    facts: dict[str, InputFacts] = {}
    for media, kind in _media(board):
        fact = InputFacts(
            uri=media.uri,
            kind=kind,
            sha256=sha256_of(media.uri),
            size_bytes=1000,
            media_type="image/jpeg" if kind == "image" else "video/mp4",
            width=1280,
            height=720,
            duration_s=Decimal("6.000") if kind == "video" else None,
            local=Path("kept"),
        )
        changes = known.get(media.asset or "", {})
        if changes is None:
            facts[media.uri] = InputFacts(media.uri, kind, unpinned="the server does not answer")
        else:
            facts[media.uri] = replace(fact, **changes)
    return facts


def sha256_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _media(board: Storyboard) -> Iterator[tuple[MediaFile, Kind]]:
    if board.music:
        yield board.music.file, "sound"
    for card in (board.title_card, board.end_card):
        if card and card.picture:
            yield card.picture, "image"
    for shot in board.shots:
        for picture in (shot.first_frame, shot.last_frame, *shot.reference_images):
            if isinstance(picture, MediaFile):
                yield picture, "image"
        for video in (*shot.reference_videos, shot.video):
            if isinstance(video, MediaFile):
                yield video, "video"
        if shot.narration:
            yield shot.narration, "sound"


def plan(
    text: str | Storyboard,
    *,
    provider: str = PROVIDER,
    catalog: Mapping[str, ModelSpec] | None = None,
    **known: Mapping[str, Any] | None,
) -> Plan:
    """The plan of a film; `known` as in `facts_of`."""
    board = film(text) if isinstance(text, str) else text
    return build_plan(board, facts_of(board, **known), provider, catalog)


def problems(text: str | Storyboard, **known: Mapping[str, Any] | None) -> tuple[Problem, ...]:
    """What is wrong with a film that is read without a complaint, but cannot be planned."""
    board = film(text) if isinstance(text, str) else text
    with pytest.raises(StoryboardError) as caught:
        build_plan(board, facts_of(board, **known), PROVIDER)
    return caught.value.problems


def problem(text: str | Storyboard, **known: Mapping[str, Any] | None) -> Problem:
    """The one thing that is wrong with a film."""
    found = problems(text, **known)
    assert len(found) == 1, "\n".join(str(item) for item in found)
    return found[0]


def frames_in(planned: Plan, shot: str) -> dict[str, object]:
    """Role -> what gives it, for the frames of a shot: an asset's name, or (shot, index)."""
    return {
        item.role: item.source.asset if isinstance(item.source, MediaFile) else (item.source.shot, item.source.index)
        for item in planned.shot(shot).inputs
        if isinstance(item.source, MediaFile | ClipFrame)
    }


def keys(of: Plan) -> dict[str, str]:
    """The content key of each shot's selected take."""
    return {shot.id: shot.selected.content_key for shot in of.shots}


def changed(before: Plan, after: Plan) -> set[str]:
    """Ids of the shots whose selected clip is another one."""
    one, other = keys(before), keys(after)
    return {shot for shot in one.keys() | other.keys() if one.get(shot) != other.get(shot)}
