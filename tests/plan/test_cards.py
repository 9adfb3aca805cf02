"""Cards are scenes of the film: counted in its frames, free, and of no consequence to any clip."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tasks.plan.model import PlannedCard, Unpinned
from tasks.plan.savings import Kind, Saving, apply_savings
from tasks.plan.transitions import PlannedTransition
from tasks.storyboard.model import TransitionKind
from tests.plan.boards import FIRST_LINE, SITE, changed, film, plan, problem, sha256_of

TWO = """
title_card: {text: [Sea, by us], duration: 2}
end_card: {text: The End, duration: 1.5}
shots:
  - {id: one, prompt: The sea}
  - {id: two, prompt: The dunes, boundary: continue}
"""


def test_they_stand_before_and_behind_the_shots() -> None:
    planned = plan(TWO)

    assert [scene.id for scene in planned.scenes] == ["title card", "one", "two", "end card"]
    assert planned.begins == {"title card": 0, "one": 48, "two": 169, "end card": 289}
    assert planned.frames == 48 + 121 + 120 + 36
    assert planned.title_card == PlannedCard("title card", ("Sea", "by us"), "#000000", None, None, 48)


def test_they_cost_nothing_and_change_no_clip() -> None:
    with_cards, without = plan(TWO), plan(TWO[TWO.index("shots:") :])

    assert changed(without, with_cards) == set()
    assert with_cards.cost_usd == without.cost_usd == Decimal("0.84")
    assert with_cards.fingerprint == without.fingerprint
    assert with_cards.memory() == without.memory()
    assert with_cards.critical_path_s == without.critical_path_s


def test_they_stand_in_the_plan_that_is_shown() -> None:
    told = plan(TWO).as_dict()

    assert told["title_card"] == {
        "id": "title card",
        "text": ["Sea", "by us"],
        "background": "#000000",
        "picture": None,
        "sha256": None,
        "duration_s": 2,
        "frames": 48,
        "begin_frame": 0,
        "transition": None,
    }
    assert told["end_card"]["begin_frame"] == 289
    assert [shot["begin_frame"] for shot in told["shots"]] == [48, 169]


def test_frames_are_counted_at_the_film_rate() -> None:
    assert plan(TWO.replace("title_card", "fps: 29.97\ntitle_card", 1)).title_card.frames == 60  # type: ignore[union-attr]


def test_the_film_goes_over_from_a_card_and_to_one_as_between_shots() -> None:
    planned = plan(
        """
        title_card: {text: Sea, duration: 2, transition: fade}
        end_card: {text: The End, transition: {kind: circleclose, duration: 1}}
        shots: [{id: one, prompt: The sea, transition: dissolve}]
        """
    )

    assert [scene.transition for scene in planned.scenes] == [
        PlannedTransition(TransitionKind.FADE, 12, begins=12),
        PlannedTransition(TransitionKind.DISSOLVE, 12, overlap=12),
        PlannedTransition(TransitionKind.CIRCLE_CLOSE, 24, overlap=24),
    ]
    assert planned.begins == {"title card": 0, "one": 36, "end card": 133}
    assert planned.frames == 48 + 121 - 12 + 72 - 24


def test_a_fade_into_the_first_shot_begins_in_the_title_card() -> None:
    planned = plan(
        """
        title_card: {text: Sea}
        shots: [{id: one, prompt: The sea, transition: fade}]
        """
    )

    assert planned.shot("one").transition == PlannedTransition(TransitionKind.FADE, 12, ends=6, begins=6)


def test_a_default_of_the_shots_is_none_of_a_card() -> None:
    planned = plan(
        """
        title_card: Sea
        end_card: The End
        defaults: {transition: dissolve, prompt: The sea}
        shots: [{id: one}, {id: two}]
        """
    )

    assert [scene.overlap for scene in planned.scenes] == [0, 12, 12, 0]


def test_a_title_card_has_nothing_before_it_to_dissolve_with() -> None:
    said = problem(
        """
        title_card:
          text: Sea
          transition: wipeleft
        shots: [{id: one, prompt: The sea}]
        """
    )

    assert (said.key, said.shot, said.line) == ("title_card.transition", None, FIRST_LINE + 2)
    assert said.message == "the title card cannot begin with wipeleft: there is nothing before it"
    assert said.accepted is not None
    assert said.accepted.endswith("for the 'transition' of 'one'")


@pytest.mark.parametrize(("duration", "is_enough"), [("0.5", False), ("0.54", True)])
def test_a_card_keeps_a_frame_of_its_own(duration: str, is_enough: bool) -> None:
    text = f"""
        end_card: {{text: The End, duration: {duration}, transition: dissolve}}
        shots: [{{id: one, prompt: The sea}}]
        """
    if is_enough:
        assert plan(text).end_card is not None
        return
    said = problem(text)

    assert (said.key, said.line) == ("end_card.transition", FIRST_LINE)
    assert said.message == "the transitions of 'end card' take 12 frames, and it has 12"
    assert said.accepted is not None
    assert said.accepted.endswith("or a longer card")


def test_a_picture_of_a_card_is_known_by_its_bytes() -> None:
    text = """
        title_card: {text: Sea, picture: a}
        shots: [{id: one, prompt: The sea}]
        """
    card = plan(text).title_card

    assert card is not None
    assert card.picture is not None
    assert (card.picture.uri, card.sha256) == (f"{SITE}a.jpg", sha256_of(f"{SITE}a.jpg"))
    assert plan(text, a=None).unpinned == (Unpinned(None, f"{SITE}a.jpg", "the server does not answer"),)


def test_a_part_of_a_plan_has_no_cards() -> None:
    part = plan(TWO).part(["one"])

    assert (part.cards, part.frames) == ((), 121)


def test_a_shot_that_comes_to_be_first_may_still_dissolve_with_the_title_card() -> None:
    board = film(
        """
        title_card: Sea
        shots: [{id: one, prompt: The sea}, {id: two, prompt: The dunes, transition: dissolve}]
        """
    )

    after = apply_savings(board, [Saving(Kind.DROPPED, ("one",), Decimal("0.42"))])

    assert [shot.id for shot in after.shots] == ["two"]
    assert plan(after).begins == {"title card": 0, "two": 60}
