"""Cut, match and continue, in every spelling: who shares a frame with whom, and who waits for whom."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tasks.plan.catalog import Mode
from tasks.plan.model import LAST, Plan
from tasks.storyboard.model import Boundary
from tests.plan.boards import ONE, TWO, film, frames_in, plan, problem, problems, two_shots


def joins(planned: Plan) -> list[tuple[str, bool]]:
    return [(str(shot.boundary), shot.seam) for shot in planned.shots]


def test_a_cut_shares_nothing() -> None:
    planned = plan(two_shots(two="boundary: cut"))

    assert joins(planned) == [("cut", False), ("cut", False)]
    assert [shot.depends_on for shot in planned.shots] == [(), ()]
    assert planned.frames == 121 + 121


@pytest.mark.parametrize(
    "two",
    [
        "boundary: continue",
        "first_frame: {shot: one, frame: last}",
        "boundary: continue, first_frame: {shot: one, frame: last}",
        "boundary: cut, first_frame: {shot: one, frame: last}",
    ],
)
def test_every_spelling_of_continue_is_the_same_plan(two: str) -> None:
    planned = plan(two_shots(two=two))

    assert joins(planned) == [("cut", False), ("continue", True)]
    assert planned.shot("two").mode is Mode.FRAMES
    assert planned.shot("two").depends_on == ("one",)
    assert frames_in(planned, "two") == {"first_frame": ("one", LAST)}
    assert planned.frames == 121 + 120
    assert planned.as_dict() == plan(two_shots(two="boundary: continue")).as_dict()


def test_continue_may_end_on_a_still() -> None:
    planned = plan(two_shots(two="boundary: continue, last_frame: b"))

    assert frames_in(planned, "two") == {"first_frame": ("one", LAST), "last_frame": "b"}


@pytest.mark.parametrize("one", ["reference_images: [a, b]", "reference_videos: [v]", "video: v", "first_frame: a"])
def test_any_shot_can_be_continued(one: str) -> None:
    assert joins(plan(two_shots(one=one, two="boundary: continue")))[1] == ("continue", True)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("first_frame", "a"),
        ("first_frame", "{shot: one, frame: first}"),
        ("reference_images", "[a]"),
        ("reference_videos", "[v]"),
        ("video", "v"),
        ("video", "{shot: one}"),
    ],
)
def test_continue_excludes_other_inputs(key: str, value: str) -> None:
    found = problem(two_shots(two=f"boundary: continue, {key}: {value}"))

    assert found.message.startswith(f"'boundary: continue' and '{key}' exclude each other")
    assert "'boundary: continue'" in (found.accepted or "")
    assert (found.line, found.key, found.shot) == (TWO, key, "two")


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("first_frame: a, last_frame: b", "boundary: match"),
        ("first_frame: a", "boundary: match, first_frame: b"),
        ("first_frame: a, last_frame: b", "boundary: match, first_frame: b"),
        ("first_frame: a, last_frame: b", "first_frame: b"),
        ("first_frame: a, last_frame: b", "boundary: cut, first_frame: b"),
    ],
)
def test_every_spelling_of_match_is_the_same_plan(one: str, two: str) -> None:
    planned = plan(two_shots(one, two))

    assert joins(planned) == [("cut", False), ("match", True)]
    assert frames_in(planned, "one") == {"first_frame": "a", "last_frame": "b"}
    assert frames_in(planned, "two") == {"first_frame": "b"}
    assert [shot.mode for shot in planned.shots] == [Mode.FRAMES, Mode.FRAMES]
    assert [shot.depends_on for shot in planned.shots] == [(), ()], "both can be made at once"
    assert planned.frames == 121 + 120


def test_the_same_bytes_under_two_names_are_one_still() -> None:
    text = two_shots("first_frame: a, last_frame: b", "boundary: match, first_frame: c")

    assert joins(plan(text, b={"sha256": "5a"}, c={"sha256": "5a"})) == [("cut", False), ("match", True)]
    assert joins(plan(text.replace("match", "cut"), b={"sha256": "5a"}, c={"sha256": "5a"}))[1] == ("match", True)
    assert joins(plan(text.replace("match", "cut")))[1] == ("cut", False)


def test_two_unread_stills_are_one_only_by_name() -> None:
    text = two_shots("first_frame: a, last_frame: b", "boundary: match, first_frame: b")

    assert joins(plan(text, b=None))[1] == ("match", True)
    assert "are different ones" in problem(text.replace("first_frame: b", "first_frame: c"), b=None, c=None).message


def test_match_with_two_stills() -> None:
    found = problem(two_shots("first_frame: a, last_frame: b", "boundary: match, first_frame: c"))

    assert found.message == (
        "'boundary: match' shares one still, but 'first_frame' of 'two' and 'last_frame' of 'one' are different ones"
    )
    assert found.accepted == (
        "the same still on both sides, or only one of 'last_frame' of 'one' or 'first_frame' of 'two'"
    )
    assert (found.line, found.key, found.shot) == (TWO, "first_frame", "two")


def test_match_without_a_still() -> None:
    found = problem(two_shots("first_frame: a", "boundary: match"))

    assert found.message == "'boundary: match' needs the still that both shots share"
    assert found.accepted == "a still as 'last_frame' of 'one' or 'first_frame' of 'two'"
    assert (found.line, found.key, found.shot) == (TWO, "boundary", "two")


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("first_frame: a", "boundary: match, first_frame: {shot: one, frame: last}"),
        ("first_frame: a", "boundary: match, first_frame: {shot: one, frame: first}"),
        ("first_frame: a, last_frame: b", "boundary: match, first_frame: {shot: one, frame: last}"),
        ("first_frame: a, last_frame: {shot: two, frame: first}", "boundary: match"),
        ("first_frame: a, last_frame: {shot: two, frame: first}", "boundary: match, first_frame: b"),
    ],
)
def test_match_needs_a_still_that_exists_before_both(one: str, two: str) -> None:
    found = problem(two_shots(one, two))

    assert "'boundary: match' shares a still that exists before both shots" in found.message
    assert "'boundary: continue'" in (found.accepted or "")
    assert (found.line, found.shot) == (TWO, "two")


def test_match_may_share_a_frame_of_a_third_shot() -> None:
    planned = plan("""
        shots:
          - {id: zero, prompt: A hall}
          - {id: one, prompt: A tram, first_frame: a}
          - {id: two, prompt: It goes on, boundary: match, first_frame: {shot: zero, frame: last}}
        """)

    assert joins(planned)[2] == ("match", True)
    assert frames_in(planned, "one")["last_frame"] == ("zero", LAST)
    assert planned.shot("one").depends_on == planned.shot("two").depends_on == ("zero",)


@pytest.mark.parametrize("key", ["reference_images: [c]", "reference_videos: [v]", "video: v"])
@pytest.mark.parametrize(
    ("one", "two", "who", "brought_by"),
    [
        ("", "boundary: match, first_frame: b, {key}", "two", "'first_frame'"),
        ("first_frame: a, last_frame: b", "boundary: match, {key}", "two", "'boundary: match'"),
        ("{key}", "boundary: match, first_frame: b", "one", "'boundary: match' of 'two'"),
        ("last_frame: b, {key}", "boundary: match", "one", "'last_frame'"),
    ],
)
def test_match_excludes_other_inputs_on_both_sides(key: str, one: str, two: str, who: str, brought_by: str) -> None:
    one = one.replace("{key}", key) or "first_frame: a"

    found = problem(two_shots(one, two.replace("{key}", key)))

    name = key.partition(":")[0]
    assert found.message == f"{brought_by} and '{name}' exclude each other"
    assert found.accepted == f"a shot with {brought_by}, or one with '{name}'"
    assert (found.line, found.key, found.shot) == (ONE if who == "one" else TWO, name, who)


def test_a_last_frame_that_match_brings_needs_a_first_frame_too() -> None:
    found = problem(two_shots("", "boundary: match, first_frame: b"))

    assert found.message == "the last frame from 'boundary: match' of 'two' needs a first frame"
    assert found.accepted == "'first_frame' too"
    assert (found.line, found.shot) == (ONE, "one")


def test_the_later_side_of_a_match_can_be_trimmed() -> None:
    planned = plan(two_shots("first_frame: a", "boundary: match, first_frame: b, duration: 3"))

    assert [shot.frames for shot in planned.shots] == [121, 72]


def test_a_bridge_ends_where_the_next_shot_begins() -> None:
    planned = plan("""
        shots:
          - {id: one, prompt: A tram}
          - id: bridge
            prompt: From here to there
            first_frame: {shot: one, frame: last}
            last_frame: {shot: two, frame: first}
          - {id: two, prompt: A hall}
        """)

    assert joins(planned) == [("cut", False), ("continue", True), ("match", True)]
    assert frames_in(planned, "bridge") == {"first_frame": ("one", LAST), "last_frame": ("two", 0)}
    assert planned.shot("two").mode is Mode.TEXT
    assert planned.shot("bridge").depends_on == ("one", "two")
    assert planned.frames == 121 + 120 + 120
    assert planned.critical_path_s == 2 * 120


def test_the_first_frame_of_the_shot_before_is_no_seam() -> None:
    planned = plan(two_shots("first_frame: a", "first_frame: {shot: one, frame: first}"))

    assert joins(planned)[1] == ("cut", False)
    assert frames_in(planned, "two") == {"first_frame": ("one", 0)}


def test_the_last_frame_of_an_earlier_shot_is_no_seam() -> None:
    planned = plan("""
        shots:
          - {id: one, prompt: A tram}
          - {id: two, prompt: A hall}
          - {id: three, prompt: Back to it, first_frame: {shot: one, frame: last}}
        """)

    assert joins(planned)[2] == ("cut", False)
    assert planned.shot("three").depends_on == ("one",)


def test_a_chain_goes_on_from_shot_to_shot() -> None:
    planned = plan("""
        defaults: {boundary: continue}
        shots:
          - {id: one, prompt: A tram}
          - {id: two, prompt: It goes on}
          - {id: three, prompt: And on}
        """)

    assert joins(planned) == [("cut", False), ("continue", True), ("continue", True)]
    assert [shot.depends_on for shot in planned.shots] == [(), ("one",), ("two",)]
    assert planned.frames == 121 + 120 + 120
    assert planned.priority == {"one": 3, "two": 2, "three": 1}


def test_the_first_shot_has_nothing_to_go_on_from() -> None:
    board = film(two_shots())
    first = replace(board.shots[0], boundary=Boundary.CONTINUE)

    found = problem(replace(board, shots=(first, *board.shots[1:])))

    assert found.message == "the first shot cannot 'continue': there is no shot before it"
    assert found.accepted == "cut"


def test_a_circle_that_a_shared_still_closes_is_named() -> None:
    found = problem("""
        shots:
          - {id: one, prompt: A tram, first_frame: a}
          - {id: two, prompt: A hall, boundary: match, first_frame: {shot: three, frame: last}}
          - {id: three, prompt: A tree, first_frame: {shot: one, frame: first}}
        """)

    assert found.message == "the shots need one another in a circle: one -> three -> one"
    assert found.accepted == "'one' without a frame or clip of 'three', or another order"
    assert (found.line, found.shot) == (ONE, "one")


def test_continue_with_two_other_inputs_is_two_problems() -> None:
    found = problems(two_shots(two="boundary: continue, first_frame: a, reference_images: [b]"))

    assert [item.key for item in found] == ["first_frame", "reference_images"]
