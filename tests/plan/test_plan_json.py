"""The plan as people and programs read it: its fields, exact money, the same every time."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from tasks.plan.model import Unpinned, number, usd
from tests.plan.boards import PROVIDER, STANDARD, film, plan

FILM = """
title: Trams
retries: 1
shots:
  - id: opening
    prompt: A tram climbs
    first_frame: a
    takes: 3
    select: 2
  - id: follow
    prompt: It goes on
    boundary: continue
    duration: 2.5
  - id: winter
    prompt: The same in winter
    video: v
    reference_images: [b]
    keep_original_sound: true
    output_format: mov
    output_quality: 80
    safety: {check_content: true, mode: full}
    ttl: 600
"""


def test_the_whole_plan() -> None:
    planned = plan(FILM)
    opening, follow, winter = planned.shots

    assert planned.as_dict() == {
        "title": "Trams",
        "storyboard": "film.yaml",
        "provider": PROVIDER,
        "model": STANDARD,
        "width": 1280,
        "height": 720,
        "fps": 24,
        "cost_usd": "2.436",
        "frames": 121 + 60 + 144,
        "duration_s": 13.542,
        "critical_path_s": 240,
        "music": None,
        "loudness_lufs": -16,
        "title_card": None,
        "end_card": None,
        "ending": None,
        "shots": [
            {
                "id": "opening",
                "mode": "frames",
                "boundary": "cut",
                "depends_on": [],
                "generate_s": 5,
                "duration_s": 5,
                "clip_frames": 121,
                "frames": 121,
                "seam": False,
                "begin_frame": 0,
                "transition": None,
                "fit": "fit",
                "gain_db": 0,
                "narration": None,
                "caption": None,
                "takes": [{"number": take.number, "content_key": take.content_key} for take in opening.takes],
                "select": 2,
                "cost_usd": "1.26",
                "request": {
                    "taskType": "videoInference",
                    "model": STANDARD,
                    "positivePrompt": "A tram climbs",
                    "duration": 5,
                    "deliveryMethod": "async",
                    "includeCost": True,
                    "inputs": {"frameImages": [{"image": "https://example.org/a.jpg", "frame": "first"}]},
                },
            },
            {
                "id": "follow",
                "mode": "frames",
                "boundary": "continue",
                "depends_on": ["opening"],
                "generate_s": 5,
                "duration_s": 2.5,
                "clip_frames": 121,
                "frames": 60,
                "seam": True,
                "begin_frame": 121,
                "transition": None,
                "fit": "fit",
                "gain_db": 0,
                "narration": None,
                "caption": None,
                "takes": [{"number": 1, "content_key": follow.selected.content_key}],
                "select": 1,
                "cost_usd": "0.42",
                "request": {
                    "taskType": "videoInference",
                    "model": STANDARD,
                    "positivePrompt": "It goes on",
                    "duration": 5,
                    "deliveryMethod": "async",
                    "includeCost": True,
                    "inputs": {"frameImages": [{"image": "shot:opening/last", "frame": "first"}]},
                },
            },
            {
                "id": "winter",
                "mode": "edit",
                "boundary": "cut",
                "depends_on": [],
                "generate_s": 6,
                "duration_s": 6,
                "clip_frames": 144,
                "frames": 144,
                "seam": False,
                "begin_frame": 181,
                "transition": None,
                "fit": "fit",
                "gain_db": 0,
                "narration": None,
                "caption": None,
                "takes": [{"number": 1, "content_key": winter.selected.content_key}],
                "select": 1,
                "cost_usd": "0.756",
                "request": {
                    "taskType": "videoInference",
                    "model": STANDARD,
                    "positivePrompt": "The same in winter",
                    "deliveryMethod": "async",
                    "includeCost": True,
                    "outputFormat": "MOV",
                    "outputQuality": 80,
                    "safety": {"checkContent": True, "mode": "full"},
                    "ttl": 600,
                    "providerSettings": {"klingai": {"keepOriginalSound": True}},
                    "inputs": {
                        "referenceImages": ["https://example.org/b.jpg"],
                        "video": "https://example.org/v.mp4",
                    },
                },
            },
        ],
        "warnings": [],
        "unpinned": [],
    }
    assert planned.retries == 1


def test_the_same_film_is_the_same_json() -> None:
    assert json.dumps(plan(FILM).as_dict()) == json.dumps(plan(FILM).as_dict())


def floats_in(value: Any, path: str = "") -> list[str]:
    if isinstance(value, dict):
        return [found for key, inner in value.items() for found in floats_in(inner, f"{path}.{key}")]
    if isinstance(value, list):
        return [found for inner in value for found in floats_in(inner, f"{path}[]")]
    return [path] if isinstance(value, float) else []


def test_money_is_never_a_float() -> None:
    plain = plan(film(FILM.replace("retries: 1", "fps: 29.97"))).as_dict()

    assert set(floats_in(plain)) <= {".fps", ".duration_s", ".shots[].generate_s", ".shots[].duration_s"}
    assert json.loads(json.dumps(plain)) == plain


def test_prices_add_up() -> None:
    planned = plan(FILM)

    assert [shot.cost_usd for shot in planned.shots] == [Decimal("1.26"), Decimal("0.42"), Decimal("0.756")]
    assert planned.cost_usd == Decimal("2.436")
    assert planned.shot("opening").price_usd == Decimal("0.42")


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0", "0.00"),
        ("0.420000", "0.42"),
        ("0.756", "0.756"),
        ("12.000000", "12.00"),
        ("1000", "1000.00"),
        ("0.635292", "0.635292"),
        ("0.000001", "0.000001"),
        ("1E+2", "100.00"),
    ],
)
def test_dollars_are_plain_decimals(amount: str, text: str) -> None:
    assert usd(Decimal(amount)) == text


@pytest.mark.parametrize(
    ("value", "shown"),
    [(Decimal("5.000"), "5"), (Decimal("2.5"), "2.5"), (Fraction(24000, 1001), "23.976023976023978")],
)
def test_whole_numbers_are_shown_whole(value: Decimal | Fraction, shown: str) -> None:
    assert str(number(value)) == shown


@pytest.mark.parametrize(
    ("fps", "frames", "duration_s"),
    [("24", [121, 60], "7.542"), ("30", [151, 75], "7.533"), ("12", [61, 30], "7.583"), ("25", [126, 63], "7.560")],
)
def test_frames_of_a_film_at_another_rate(fps: str, frames: list[int], duration_s: str) -> None:
    planned = plan(f"""
        fps: {fps}
        shots:
          - {{id: one, prompt: A tram}}
          - {{id: two, prompt: It goes on, boundary: continue, duration: 2.5}}
        """)

    assert [shot.frames for shot in planned.shots] == frames
    assert [shot.clip_frames for shot in planned.shots] == [121, 121]
    assert planned.frames == sum(frames)
    assert planned.duration_s == Decimal(duration_s)


def test_a_film_at_the_clips_rate_says_nothing_of_it() -> None:
    assert plan("shots: [{id: one, prompt: A tram}]").warnings == ()
    assert plan("fps: 24\nshots: [{id: one, prompt: A tram}]").warnings == ()


@pytest.mark.parametrize(("fps", "what"), [("30", "repeated"), ("12.5", "left out")])
def test_a_film_at_another_rate_warns(fps: str, what: str) -> None:
    assert plan(f"fps: {fps}\nshots: [{{id: one, prompt: A tram}}]").warnings == (
        f"the film has {fps} frames a second and its clips 24: some frames are {what}",
    )


CHAIN = """
shots:
  - {id: one, prompt: A tram, first_frame: a}
  - {id: two, prompt: It goes on, boundary: continue}
  - {id: three, prompt: In winter, video: {shot: two}}
  - {id: four, prompt: A hall}
  - {id: five, prompt: The hall, reference_images: [a]}
"""


def test_clips_of_another_shape_warn_once_for_all_that_go_on_from_them() -> None:
    (warning,) = plan(CHAIN, a={"width": 960, "height": 720}).warnings

    assert warning == (
        "shot 'one': its clip follows the shape of its input (960x720), as do 'two', 'three' after it; "
        "what does not fill the film's 1280x720 gets bars"
    )


def test_one_that_fills_the_film_otherwise_is_told_for_itself() -> None:
    chain = CHAIN.replace("boundary: continue", "boundary: continue, fit: blur")

    one, two = plan(chain, a={"width": 960, "height": 720}).warnings

    assert one == (
        "shot 'one': its clip follows the shape of its input (960x720), as does 'three' after it; "
        "what does not fill the film's 1280x720 gets bars"
    )
    assert two == (
        "shot 'two': its clip follows the shape of the input of 'one' (960x720); "
        "what does not fill the film's 1280x720 is filled with the clip itself, blurred"
    )


@pytest.mark.parametrize(
    "size", [{"width": 1920, "height": 1080}, {"width": 1275, "height": 720}, {"width": None, "height": None}]
)
def test_clips_of_the_films_shape_do_not_warn(size: dict[str, int | None]) -> None:
    assert plan(CHAIN, a=size).warnings == ()


def test_an_input_that_cannot_be_read_is_unpinned_once_a_shot() -> None:
    planned = plan(
        """
        shots:
          - {id: one, prompt: A tram, reference_images: [a, a, b]}
          - {id: two, prompt: A tram, first_frame: a}
        """,
        a=None,
    )

    a = "https://example.org/a.jpg"
    assert planned.unpinned == (
        Unpinned("one", a, "the server does not answer"),
        Unpinned("two", a, "the server does not answer"),
    )
    assert planned.as_dict()["unpinned"][0] == {"shot": "one", "uri": a, "reason": "the server does not answer"}
    assert planned.cost_usd == Decimal("0.84"), "what cannot be read can still be priced"


def test_a_picture_in_the_storyboard_is_shown_short() -> None:
    data = "data:image/png;base64," + "A" * 4000
    (shot,) = plan(f"shots: [{{id: one, prompt: A tram, first_frame: '{data}'}}]").shots

    (frame,) = shot.request["inputs"]["frameImages"]
    assert frame["image"] == data[:40] + "…"
