"""Every rule of the model's page, broken once: one problem, at its line, naming both fields and what would do."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tasks.plan.catalog import Mode
from tasks.storyboard.read import read_storyboard
from tests.plan.boards import FIRST_LINE, KEYS, PRO, one_shot, plan, problem, problems

REFERENCES = "[a, b, c, d, e, f, g, h]"


@pytest.mark.parametrize(
    ("keys", "mode", "inputs"),
    [
        ("", Mode.TEXT, []),
        ("first_frame: a", Mode.FRAMES, ["first_frame"]),
        ("first_frame: a|last_frame: b", Mode.FRAMES, ["first_frame", "last_frame"]),
        ("reference_images: a", Mode.REFERENCE_IMAGES, ["reference_image"]),
        ("reference_images: [a, b, c, d, e, f, g]", Mode.REFERENCE_IMAGES, ["reference_image"] * 7),
        ("reference_videos: v", Mode.REFERENCE_VIDEOS, ["reference_video"]),
        (
            "reference_videos: [v, w]|reference_images: [a, b, c, d]",
            Mode.REFERENCE_VIDEOS,
            ["reference_image"] * 4 + ["reference_video"] * 2,
        ),
        ("video: v", Mode.EDIT, ["video"]),
        ("video: v|reference_images: [a, b, c, d]", Mode.EDIT, ["reference_image"] * 4 + ["video"]),
    ],
)
def test_the_inputs_decide_the_mode(keys: str, mode: Mode, inputs: list[str]) -> None:
    (shot,) = plan(one_shot(*keys.split("|"))).shots

    assert shot.mode is mode
    assert [item.role for item in shot.inputs] == inputs
    sends_size = mode not in {Mode.FRAMES, Mode.EDIT}
    assert (shot.width, shot.height) == ((1280, 720) if sends_size else (None, None))
    assert ("width" in shot.request, "height" in shot.request) == (sends_size, sends_size)
    assert ("duration" in shot.request) == (mode is not Mode.EDIT)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("first_frame: a", "reference_images: [b]"),
        ("first_frame: a", "reference_videos: [v]"),
        ("first_frame: a", "video: v"),
        ("last_frame: a", "reference_images: [b]"),
        ("last_frame: a", "reference_videos: [v]"),
        ("last_frame: a", "video: v"),
        ("reference_videos: [v]", "video: w"),
    ],
)
def test_modes_exclude_one_another(first: str, second: str) -> None:
    one, other = first.partition(":")[0], second.partition(":")[0]

    found = problem(one_shot(first, second))

    assert found.message == f"'{one}' and '{other}' exclude each other"
    assert found.accepted == f"a shot with '{one}', or one with '{other}'"
    assert (found.file, found.line, found.key, found.shot) == ("film.yaml", KEYS + 1, other, "one")


def test_what_excludes_each_other_has_no_length_to_complain_of() -> None:
    found = problem(one_shot("first_frame: a", "video: v", "duration: 8"))

    assert found.key == "video"


def test_both_frames_are_one_side_of_an_exclusion() -> None:
    found = problem(one_shot("first_frame: a", "last_frame: b", "reference_images: [c]"))

    assert found.message == "'first_frame' with 'last_frame' and 'reference_images' exclude each other"


def test_three_modes_at_once_are_three_pairs() -> None:
    found = problems(one_shot("first_frame: a", "reference_videos: [v]", "video: w"))

    assert [(item.line, item.key) for item in found] == [
        (KEYS + 1, "reference_videos"),
        (KEYS + 2, "video"),
        (KEYS + 2, "video"),
    ]


@pytest.mark.parametrize(
    ("lines", "key", "line", "message", "accepted"),
    [
        (
            ["last_frame: a"],
            "last_frame",
            KEYS,
            "a last frame needs a first frame",
            "'first_frame' too",
        ),
        (
            [f"reference_images: {REFERENCES}"],
            "reference_images",
            KEYS,
            "there cannot be 8 reference images",
            "1 to 7 reference images",
        ),
        (
            ["video: v", "reference_images: [a, b, c, d, e]"],
            "reference_images",
            KEYS + 1,
            "there cannot be 5 reference images beside 'video'",
            "0 to 4 reference images beside 'video'",
        ),
        (
            ["reference_videos: v", f"reference_images: {REFERENCES}"],
            "reference_images",
            KEYS + 1,
            "there cannot be 8 reference images beside 'reference_videos'",
            "0 to 7 reference images beside 'reference_videos'",
        ),
        (
            ["keep_original_sound: true"],
            "keep_original_sound",
            KEYS,
            "there is no original sound to keep without 'video' or 'reference_videos'",
            "'keep_original_sound' in a shot with 'video' or 'reference_videos'",
        ),
        (["output_quality: 19"], "output_quality", KEYS, "output quality 19 is out of range", "20 to 99"),
        (["output_quality: 100"], "output_quality", KEYS, "output quality 100 is out of range", "20 to 99"),
        (["ttl: 59"], "ttl", KEYS, "a ttl of 59 seconds is out of range", "60 or more seconds"),
        (["safety: {mode: slow}"], "safety", KEYS, "no safety mode 'slow'", "none, fast, full"),
    ],
)
def test_a_broken_rule_is_one_problem(lines: list[str], key: str, line: int, message: str, accepted: str) -> None:
    found = problem(one_shot(*lines))

    assert found.message == message
    assert found.accepted == accepted
    assert (found.file, found.line, found.key, found.shot) == ("film.yaml", line, key, "one")


@pytest.mark.parametrize(
    ("prompt", "style", "characters"),
    [("A", "", 1), ("x" * 2501, "", 2501), ("x" * 2400, "y" * 100, 2501)],
)
def test_the_finished_prompt_has_a_length(prompt: str, style: str, characters: int) -> None:
    found = problem(f"{f'style: {style}' if style else 'title: T'}\nshots:\n  - id: one\n    prompt: {prompt}\n")

    with_style = " with the storyboard's style" if style else ""
    assert found.message == f"the prompt{with_style} has {characters} characters"
    assert found.accepted == f"2 to 2500 characters{with_style}"
    assert (found.line, found.key) == (FIRST_LINE + 3, "prompt")


def test_the_longest_prompt_is_sent_whole() -> None:
    (shot,) = plan(f"style: {'y' * 99}\nshots:\n  - id: one\n    prompt: {'x' * 2400}\n").shots

    assert shot.request["positivePrompt"] == "x" * 2400 + " " + "y" * 99


PICTURES = [
    ({"media_type": "image/webp"}, "asset 'a': a WEBP picture", "JPEG or PNG"),
    ({"size_bytes": 10_000_001}, "asset 'a': 10,000,001 bytes are too many", "at most 10,000,000 bytes"),
    ({"width": 299}, "asset 'a': 299x720 pixels are too few", "at least 300 pixels a side"),
    ({"width": 1801}, "asset 'a': 1801x720 is too narrow", "no side longer than 2.5 times the other"),
    ({"width": 300, "height": 751}, "asset 'a': 300x751 is too narrow", "no side longer than 2.5 times the other"),
]


@pytest.mark.parametrize(("facts", "message", "accepted"), PICTURES)
@pytest.mark.parametrize("use", ["first_frame: a", "reference_images: [b, a]"])
def test_what_a_picture_may_be(use: str, facts: dict[str, Any], message: str, accepted: str) -> None:
    found = problem(one_shot(use), a=facts)

    assert (found.message, found.accepted, found.line) == (message, accepted, KEYS)


@pytest.mark.parametrize("facts", [{"width": 1800}, {"width": 300, "height": 750}, {"size_bytes": 10_000_000}])
def test_what_a_picture_may_just_be(facts: dict[str, Any]) -> None:
    assert plan(one_shot("first_frame: a"), a=facts).shots


VIDEOS = [
    ({"size_bytes": 200_000_001}, "asset 'v': 200,000,001 bytes are too many", "at most 200,000,000 bytes"),
    ({"duration_s": Decimal("2.999")}, "asset 'v': a video of 2.999 s", "3 to 10 s"),
    ({"duration_s": Decimal("10.043")}, "asset 'v': a video of 10.043 s", "3 to 10 s"),
    ({"media_type": "video/webm"}, "asset 'v': a video of format WEBM", "MP4 or MOV"),
    ({"media_type": "video/x-matroska"}, "asset 'v': a video of format Matroska", "MP4 or MOV"),
    ({"media_type": "video/x-msvideo"}, "asset 'v': a video of format AVI", "MP4 or MOV"),
    ({"media_type": "application/octet-stream"}, "asset 'v': a video of an unknown format", "MP4 or MOV"),
]


@pytest.mark.parametrize(("facts", "message", "accepted"), VIDEOS)
@pytest.mark.parametrize("use", ["video: v", "reference_videos: [w, v]"])
def test_what_a_video_may_be(use: str, facts: dict[str, Any], message: str, accepted: str) -> None:
    found = problem(one_shot(use), v=facts)

    assert (found.message, found.accepted, found.line) == (message, accepted, KEYS)


@pytest.mark.parametrize("facts", [{"media_type": "video/quicktime"}, {"duration_s": Decimal(3)}])
def test_what_a_video_may_just_be(facts: dict[str, Any]) -> None:
    assert plan(one_shot("video: v"), v=facts).shots


def test_the_clip_of_a_shot_is_an_input_if_its_format_is_one() -> None:
    board = """
        shots:
          - {id: one, prompt: A tram, output_format: %s}
          - {id: two, prompt: A tram, video: {shot: one}}
        """
    found = problem(board % "WEBM")

    assert found.message == "the clip of 'one' is a WEBM, and cannot be an input"
    assert found.accepted == "'output_format: MP4 or MOV' of 'one'"
    assert (found.shot, found.key, found.line) == ("two", "video", FIRST_LINE + 2)
    assert plan(board % "MOV").shots


def test_more_images_beside_videos_than_the_upstream_model_speaks_of_are_a_warning() -> None:
    few = plan(one_shot("reference_videos: v", "reference_images: [a, b, c, d]"))
    many = plan(one_shot("reference_videos: v", "reference_images: [a, b, c, d, e, f, g]"))

    assert few.warnings == ()
    (warning,) = many.warnings
    assert "7 reference images beside videos" in warning


def test_a_stated_length_is_held_to_the_same_limits() -> None:
    board = f"assets:\n  x: {{source: 'https://example.org/x.mp4', source_duration: 60}}\n{one_shot('video: x')}"

    found = problem(read_storyboard("film.yaml", text=board), x=None)

    assert (found.message, found.accepted) == ("asset 'x': a video of 60 s", "3 to 10 s")


def test_every_mistake_is_told_at_once_in_the_order_of_the_file() -> None:
    found = problems("""
        size: 640x480
        shots:
          - id: one
            prompt: A
            duration: 30
          - id: two
            prompt: A tram
            first_frame: a
            reference_images: [b]
            ttl: 1
          - id: three
            prompt: A tram
            video: {shot: one}
            duration: 5
          - id: four
            prompt: A tram
            video: v
            duration: 7
        """)

    assert [(item.shot, item.key, item.line) for item in found] == [
        (None, "size", FIRST_LINE),
        ("one", "prompt", FIRST_LINE + 3),
        ("one", "duration", FIRST_LINE + 4),
        ("two", "reference_images", FIRST_LINE + 8),
        ("two", "ttl", FIRST_LINE + 9),
        ("four", "duration", FIRST_LINE + 17),
    ]


def test_the_larger_model_has_the_same_modes_at_its_own_sizes() -> None:
    board = f"model: {PRO}\nsize: 1920x1080\n{one_shot('duration: 10')}"

    (shot,) = plan(board).shots

    assert (shot.width, shot.height, shot.price_usd) == (1920, 1080, Decimal("1.12"))
