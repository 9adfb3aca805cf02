"""What a plan costs if all goes well, what if all goes wrong, and what of it is there already."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.plan.build import build_plan
from tasks.plan.catalog import load_catalog
from tasks.plan.estimate import Estimate, estimate
from tasks.plan.timing import ClipTimes
from tasks.storyboard.model import Shot
from tasks.storyboard.read import read_storyboard
from tests.plan.boards import PRO, PROVIDER, STANDARD, plan
from tests.plan.films import Film, film_of, films

EXAMPLES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "emulator" / "page_examples.json").read_text(encoding="utf-8")
)


def estimated(film: Film, **options: Any) -> Estimate:
    facts: dict[str, Any] = {"times": ClipTimes(), "max_in_flight": 8, **options}
    return estimate(film.plan, film.reused, **facts)


def as_storyboard(request: Mapping[str, Any]) -> str:
    """The request of the page as a person would write it, for what decides the price: inputs and seconds."""
    shot: dict[str, Any] = {"id": "example", "prompt": request["positivePrompt"]}
    board: dict[str, Any] = {"model": request["model"], "shots": [shot]}
    inputs = request.get("inputs", {})
    shot |= {f"{item['frame']}_frame": item["image"] for item in inputs.get("frameImages", ())}
    names = {"referenceImages": "reference_images", "referenceVideos": "reference_videos"}
    shot |= {name: inputs[key] for key, name in names.items() if key in inputs}
    if "duration" in request:
        shot["duration"] = request["duration"]
    if "video" in inputs:
        board["assets"] = {"source": {"source": inputs["video"], "source_duration": 6}}
        shot["video"] = "source"
    return json.dumps(board)


class TestPrices:
    @pytest.mark.parametrize("example", EXAMPLES, ids=[example["name"] for example in EXAMPLES])
    def test_the_examples_of_the_models_page_cost_what_it_says(self, example: dict[str, Any]) -> None:
        board = read_storyboard("example.json", text=as_storyboard(example["request"]))
        told = estimate(build_plan(board, {}, PROVIDER), (), times=ClipTimes(), max_in_flight=8)
        assert told.to_pay_usd == Decimal(example["cost_usd"])
        assert told.worst_usd == 3 * Decimal(example["cost_usd"])

    @pytest.mark.parametrize(
        ("model", "text_usd", "frames_usd", "images_usd", "videos_usd", "edit_usd"),
        [(STANDARD, "0.84", "0.42", "0.252", "0.882", "0.756"), (PRO, "1.12", "0.56", "0.336", "1.176", "1.008")],
    )
    def test_every_mode_of_both_models_to_the_cent(
        self, model: str, text_usd: str, frames_usd: str, images_usd: str, videos_usd: str, edit_usd: str
    ) -> None:
        planned = plan(f"""
            model: {model}
            size: {load_catalog()[model].sizes[0]}
            shots:
              - {{id: text, prompt: A lake, duration: 10}}
              - {{id: frames, prompt: A lake, first_frame: a}}
              - {{id: images, prompt: A lake, reference_images: [a, b], duration: 3}}
              - {{id: videos, prompt: A lake, reference_videos: [v], duration: 7}}
              - {{id: edit, prompt: A lake, video: w}}
        """)
        told = estimate(planned, (), times=ClipTimes(), max_in_flight=8)
        prices = [text_usd, frames_usd, images_usd, videos_usd, edit_usd]
        assert [str(shot.as_dict()["to_pay_usd"]) for shot in told.shots] == prices
        assert told.to_pay_usd == sum(map(Decimal, prices)) == planned.cost_usd
        assert set(load_catalog()) == {STANDARD, PRO}

    def test_takes_reused_and_shared_clips_are_told_apart(self) -> None:
        film = film_of(
            Shot(id="a", prompt="A lake", takes=3),
            Shot(id="b", prompt="A lake", takes=1),  # the same clip as take 1 of a
            reused=(("a", 2),),
        )
        told = estimated(film, retries=1)
        first, second = told.shots
        assert (first.takes, first.reused, first.generated) == (3, 1, 2)
        assert (second.takes, second.reused, second.generated) == (1, 0, 0)
        assert (told.to_pay_usd, told.worst_usd, told.saved_usd) == (Decimal("0.84"), Decimal("1.68"), Decimal("0.42"))

    @pytest.mark.parametrize(
        ("flag", "board", "counts"), [(None, None, 2), (None, 5, 5), (0, 5, 0), (1, None, 1)], ids=str
    )
    def test_retries_are_the_flags_then_the_storyboards_then_two(
        self, flag: int | None, board: int | None, counts: int
    ) -> None:
        film = film_of(Shot(id="a", prompt="A lake"))
        told = estimated(replace(film, plan=replace(film.plan, retries=board)), retries=flag)
        assert told.retries == counts
        assert told.worst_usd == (1 + counts) * Decimal("0.42")


@given(film=films(), retries=st.integers(0, 10))
def test_sums_add_up_and_the_worst_is_never_better(film: Film, retries: int) -> None:
    told = estimated(film, retries=retries)

    assert told.to_pay_usd == film.plan.to_pay_usd(film.reused)
    assert told.to_pay_usd + told.saved_usd == film.plan.cost_usd
    assert told.worst_usd >= told.to_pay_usd
    assert told.worst_usd == (1 + retries) * told.to_pay_usd
    assert all(shot.worst_usd >= shot.to_pay_usd for shot in told.shots)
    assert told.generated == len(film.plan.content_keys - film.reused)


@given(film=films())
def test_as_json_it_has_money_as_text_and_nothing_that_json_does_not_know(film: Film) -> None:
    times = ClipTimes(stated_s=Decimal("61.5"))
    told = json.loads(json.dumps(estimated(film, times=times).as_dict()))

    assert Decimal(told["to_pay_usd"]) == sum(Decimal(shot["to_pay_usd"]) for shot in told["shots"])
    assert told["time"]["source"] == "stated"
    assert told["time"]["wall_s"] is not None


def test_times_that_are_not_known_are_null() -> None:
    told = estimated(film_of(Shot(id="a", prompt="A lake"))).as_dict()
    assert told["time"] == {
        "source": "unknown",
        "clip_s": {},
        "stated_s": None,
        "max_in_flight": 8,
        "wall_s": None,
        "critical_path_s": None,
        "critical_path": None,
        "serial_s": None,
    }
