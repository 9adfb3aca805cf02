"""Where shots stand in the film, and what stands in its row of parts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import MediaError
from tasks.plan.build import build_plan
from tasks.plan.model import Plan
from tasks.sequence.blend import Blended
from tasks.sequence.captions import Caption
from tasks.sequence.chapters import Chapter
from tasks.sequence.conform import Conformed
from tasks.sequence.join import Stretch
from tasks.sequence.scenes import Scene, captions_of, chapters_of, pictures_of, scenes_of, total_frames
from tasks.sequence.timeline import Cut
from tasks.storyboard.model import Shot, Storyboard


def part(shot: str, frames: int, lead: int = 0, tail: int = 0) -> tuple[Cut, Conformed]:
    cut = Cut(shot=shot, clip=Path("clip"), clip_id=shot, start=0, stop=frames, frames=frames, lead=lead, tail=tail)
    return cut, Conformed(shot, Path(f"{shot}.mp4"), None, frames, lead, tail)


def plan_of(**captions: str | None) -> Plan:
    shots = tuple(Shot(id=shot, prompt="The sea", caption=caption) for shot, caption in captions.items())
    return build_plan(Storyboard("Film", "klingai:kling@o1-standard", 1280, 720, shots), {}, "emulator")


THREE = [part("a", 10, tail=3), part("b", 8, lead=3), part("c", 5)]


def test_a_shot_begins_with_the_frames_that_it_shares() -> None:
    assert [(scene.begin, scene.end) for scene in scenes_of(THREE)] == [(0, 10), (7, 15), (15, 20)]
    assert total_frames(scenes_of(THREE)) == 20


def test_a_dissolve_stands_between_what_its_shots_show_alone() -> None:
    row = pictures_of(scenes_of(THREE), {"b": Blended(Path("blend.mp4"), 3)})

    assert row == [
        Stretch(Path("a.mp4"), 7),
        Stretch(Path("blend.mp4"), 3),
        Stretch(Path("b.mp4"), 5),
        Stretch(Path("c.mp4"), 5),
    ]


@pytest.mark.parametrize("blends", [{}, {"b": Blended(Path("blend.mp4"), 2)}, {"a": Blended(Path("blend.mp4"), 3)}])
def test_a_dissolve_that_is_missing_is_told(blends: dict[str, Blended]) -> None:
    with pytest.raises(MediaError, match="the dissolve into this shot is missing") as caught:
        pictures_of(scenes_of(THREE), blends)
    assert caught.value.shot == "b"


def test_a_caption_is_shown_until_the_next_shot_begins() -> None:
    plan = plan_of(a="One", b=None, c="Three")

    assert captions_of(plan, scenes_of(THREE)) == [Caption(0, 7, "One"), Caption(15, 20, "Three")]


def test_a_chapter_a_shot() -> None:
    assert chapters_of(scenes_of(THREE)) == [Chapter(0, "a"), Chapter(7, "b"), Chapter(15, "c")]
    assert chapters_of(scenes_of(THREE[2:])) == []


def test_no_shots_no_frames() -> None:
    assert (scenes_of([]), total_frames([])) == ([], 0)


@given(st.data())
def test_the_row_holds_every_frame_of_the_film_once(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 6))
    overlaps = [0, *data.draw(st.lists(st.integers(0, 5), min_size=count - 1, max_size=count - 1)), 0]
    parts = []
    for number in range(count):
        lead, tail = overlaps[number], overlaps[number + 1]
        parts.append(part(f"s{number}", lead + tail + data.draw(st.integers(1, 9)), lead, tail))
    scenes: list[Scene] = scenes_of(parts)
    blends = {scene.cut.shot: Blended(Path("x"), scene.cut.lead) for scene in scenes if scene.cut.lead}

    row = pictures_of(scenes, blends)

    assert sum(stretch.frames for stretch in row) == total_frames(scenes)
    assert total_frames(scenes) == sum(cut.frames for cut, _ in parts) - sum(overlaps)
    assert all(stretch.frames >= 1 for stretch in row)


def test_a_cut_has_room_for_its_transitions() -> None:
    cut, _ = part("a", 10, lead=4, tail=5)
    assert cut.body == 1
    with pytest.raises(Exception, match="its 10 frames are too few for transitions of 10"):
        replace(cut, fade_out=6)
