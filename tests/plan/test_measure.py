"""How long each shot is generated and what it is made of; and every reason why a shot cannot have its length."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tasks.storyboard.read import read_storyboard
from tests.plan.boards import KEYS, ONE, TWO, frames_in, one_shot, plan, problem, two_shots


@pytest.mark.parametrize(
    ("lines", "line", "message", "accepted"),
    [
        (
            ["duration: 10.5"],
            KEYS,
            "10.5 s is longer than a shot of Kling VIDEO O1 Standard in mode 'text' can be",
            "at most 10 s; split it into shots with 'boundary: continue'",
        ),
        (
            ["reference_images: a", "duration: 11"],
            KEYS + 1,
            "11 s is longer than a shot of Kling VIDEO O1 Standard in mode 'reference images' can be",
            "at most 10 s; split it into shots with 'boundary: continue'",
        ),
        (
            ["first_frame: a", "last_frame: b", "duration: 7"],
            KEYS + 2,
            "a shot of 7 s is trimmed from 10 s, and would lose the last frame from 'last_frame'",
            "5 or 10 s, or no last frame",
        ),
        (
            ["video: v", "duration: 6.5"],
            KEYS + 1,
            "an edit is as long as its source, and 6.5 s is longer than that",
            "at most 6.000 s, or 'duration: null' for all of it",
        ),
    ],
)
def test_a_length_that_a_shot_cannot_have(lines: list[str], line: int, message: str, accepted: str) -> None:
    found = problem(one_shot(*lines))

    assert (found.message, found.accepted) == (message, accepted)
    assert (found.file, found.line, found.key, found.shot) == ("film.yaml", line, "duration", "one")


def test_a_whole_ten_second_clip_can_be_edited() -> None:
    (shot,) = plan(one_shot("video: v"), v={"duration_s": Decimal("10.042")}).shots

    assert (shot.generate_s, shot.price_usd) == (Decimal("10.042"), Decimal("1.265292"))


def test_a_stated_length_prices_an_edit_that_cannot_be_read() -> None:
    board = f"assets:\n  x: {{source: 'https://example.org/x.mp4', source_duration: 5.0416}}\n{one_shot('video: x')}"

    (shot,) = plan(read_storyboard("film.yaml", text=board), x=None).shots

    assert (shot.generate_s, shot.price_usd) == (Decimal("5.042"), Decimal("0.635292"))


def test_an_edit_of_unknown_length_has_no_price() -> None:
    found = problem(one_shot("video: v"), v=None)

    assert found.message == "the length of the source video decides what the edit costs, and cannot be read"
    assert found.accepted == "'source_duration' (seconds) on the asset"
    assert (found.line, found.key) == (KEYS, "video")


def test_the_frame_that_match_brings_cannot_be_trimmed_away() -> None:
    found = problem(two_shots("first_frame: a, duration: 4", "boundary: match, first_frame: b"))

    assert found.message == (
        "a shot of 4 s is trimmed from 5 s, and would lose the last frame from 'boundary: match' of 'two'"
    )
    assert found.accepted == "5 or 10 s, or no last frame"
    assert (found.line, found.key, found.shot) == (ONE, "duration", "one")


def test_a_trimmed_shot_is_continued_from_the_frame_at_which_it_is_trimmed() -> None:
    planned = plan(two_shots("duration: 2.5", "boundary: continue, duration: 1"))

    assert frames_in(planned, "two") == {"first_frame": ("one", 60)}
    assert [shot.last_kept for shot in planned.shots] == [60, 24]
    assert [shot.frames for shot in planned.shots] == [61, 24]
    assert planned.shot("two").request["inputs"]["frameImages"] == [{"image": "shot:one/60", "frame": "first"}]


def test_a_shot_of_which_nothing_would_be_left() -> None:
    found = problem(two_shots(two="boundary: continue, duration: 0.02"))

    assert found.message.startswith("nothing is left of the shot in the film")
    assert found.accepted == "a duration of at least 0.021 s"
    assert (found.line, found.key) == (TWO, "duration")
    assert plan(two_shots(two="boundary: continue, duration: 0.021")).shot("two").frames == 1
    assert plan(two_shots(two="duration: 0.02")).shot("two").frames == 1


@pytest.mark.parametrize("two", ["boundary: continue", "video: {shot: one}", "reference_videos: [{shot: one}]"])
def test_a_shot_is_not_blamed_for_the_one_that_it_needs(two: str) -> None:
    found = problem(two_shots("duration: 30", two))

    assert (found.shot, found.key) == ("one", "duration")
