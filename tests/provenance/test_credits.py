"""A film is generated if all in it is the model's own, and a composite as soon as anything is not."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from tasks.clips.store import Clip, Origin
from tasks.plan.build import build_plan
from tasks.plan.model import Plan
from tasks.provenance.credits import SourceType, credits_of
from tasks.settings import DEFAULT_FINISH, Finish
from tasks.storyboard.inputs import InputFacts
from tasks.storyboard.read import read_storyboard

BURNED = Finish(burn_captions=True)


def plan_of(shots: str, film: str = "") -> Plan:
    board = read_storyboard(f"title: Dawn\n{film}\nshots:\n{shots}")
    facts = {
        "https://a.test/v.mp4": InputFacts("https://a.test/v.mp4", "video", sha256="0" * 64, duration_s=Decimal(5)),
    }
    return build_plan(board, facts, "runware")


def source_of(plan: Plan, slates: tuple[str, ...] = (), finish: Finish = DEFAULT_FINISH) -> tuple[str, tuple[str, ...]]:
    told = credits_of(plan, {}, slates, finish)
    return str(told.source_type).rsplit("/", 1)[-1], told.because


@pytest.mark.parametrize(
    "shots",
    [
        "  - {id: a, prompt: A lake}",
        "  - {id: a, prompt: A lake, first_frame: https://a.test/still.png}",
        "  - {id: a, prompt: A lake, reference_images: [https://a.test/still.png]}",
        "  - {id: a, prompt: A lake, caption: At dawn}\n  - {id: b, prompt: It goes on, boundary: continue}",
        # A video that was made here is the model's own, whatever is done with it.
        "  - {id: a, prompt: A lake}\n  - {id: b, prompt: At night, video: {shot: a}}",
        "  - {id: a, prompt: A lake}\n  - {id: b, prompt: A hill, reference_videos: [{shot: a}], duration: 5}",
    ],
)
def test_what_the_model_makes_of_words_stills_and_its_own_clips_is_generated(shots: str) -> None:
    assert source_of(plan_of(shots)) == ("trainedAlgorithmicMedia", ())


@pytest.mark.parametrize(
    ("film", "shot", "why"),
    [
        ("music: https://a.test/m.wav", "", "the music is your own"),
        ("", ", narration: https://a.test/n.wav", "the narration is your own"),
        ("", ", video: https://a.test/v.mp4", "shot 'a' edits a video of your own"),
        (
            "",
            ", reference_videos: [https://a.test/v.mp4], duration: 5",
            "shot 'a' takes a video of your own as reference",
        ),
    ],
)
def test_what_is_of_the_users_own_makes_a_composite(film: str, shot: str, why: str) -> None:
    plan = plan_of(f"  - {{id: a, prompt: A lake{shot}}}", film)

    assert source_of(plan) == ("compositeWithTrainedAlgorithmicMedia", (why,))


def test_so_does_what_is_drawn_into_the_film() -> None:
    plan = plan_of("  - {id: a, prompt: A lake, caption: At dawn}\n  - {id: b, prompt: A hill}")

    assert source_of(plan, ("b",)) == ("compositeWithTrainedAlgorithmicMedia", ("shot 'b' is a slate",))
    assert source_of(plan, finish=BURNED)[1] == ("captions are drawn into the pictures",)
    assert source_of(plan_of("  - {id: a, prompt: A lake}"), finish=BURNED)[0] == "trainedAlgorithmicMedia"
    carded = plan_of("  - {id: a, prompt: A lake}", "title_card: Sea\nend_card: The End\n")
    assert source_of(carded)[1] == ("the title card is drawn", "the end card is drawn")


def test_the_types_are_addresses_of_iptcs_vocabulary() -> None:
    assert {str(kind).rpartition("/")[0] for kind in SourceType} == {"http://cv.iptc.org/newscodes/digitalsourcetype"}


def test_a_clip_that_several_shots_show_is_one_ingredient() -> None:
    plan = plan_of("".join(f"  - {{id: {shot}, prompt: A lake}}\n" for shot in "abc"))
    origin = Origin("runware", plan.model, "uuid", "video", Decimal("0.42"), 7, nsfw=False)

    def clip(digit: str) -> Clip:
        return Clip(digit, Path(f"{digit}.mp4"), digit * 64, 9, 121, 1280, 720, Fraction(24), False, origin)

    told = credits_of(plan, {"c": clip("1"), "b": clip("2"), "a": clip("1")}, (), DEFAULT_FINISH)

    assert [(item.title, item.sha256[0]) for item in told.ingredients] == [("a, c", "1"), ("b", "2")]
    assert (told.title, told.model, told.provider) == ("Dawn", plan.model, "runware")
