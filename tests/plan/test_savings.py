"""What would bring a plan within a sum: every change is one that the model allows, and saves what it says."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.errors import StoryboardError
from tasks.plan.build import build_plan
from tasks.plan.savings import Kind, Saving, Savings, apply_savings, find_savings
from tasks.storyboard.model import Boundary, ClipOf, FrameOf, MediaFile, Shot, Transition, TransitionKind
from tests.plan.boards import PROVIDER, facts_of, film
from tests.plan.films import Film, film_of, films

STILL = MediaFile("https://example.org/still.jpg")


def found(film_: Film, room: str) -> Savings:
    savings = find_savings(film_.board, film_.facts, PROVIDER, film_.reused, Decimal(room))
    assert savings is not None
    return savings


def cost_usd(film_: Film, changes: tuple[Saving, ...]) -> Decimal:
    """What the film costs when these changes are made to it and it is planned again."""
    changed = apply_savings(film_.board, changes)
    return build_plan(changed, film_.facts, PROVIDER).to_pay_usd(film_.reused)


def says(changes: tuple[Saving, ...]) -> list[str]:
    return [saving.says for saving in changes]


def text(shot_id: str, duration: int = 5, **facts: object) -> Shot:
    return Shot(id=shot_id, prompt=f"About {shot_id}", duration_s=Decimal(duration), **facts)  # type: ignore[arg-type]


def test_what_fits_needs_no_change() -> None:
    film_ = film_of(text("a"))
    assert find_savings(film_.board, {}, PROVIDER, (), Decimal("0.42")) is None


class TestTheGentlestFirst:
    def test_takes_go_before_seconds_and_shots(self) -> None:
        film_ = film_of(text("a", 10, takes=3), text("b", 10))
        told = found(film_, "2.60")  # of 3.36
        assert says(told.together) == ["'a' with takes: 2 instead of 3"]
        assert (told.together[0].saves_usd, told.left_usd, told.fits) == (Decimal("0.84"), Decimal("2.52"), True)

    def test_seconds_go_before_shots(self) -> None:
        told = found(film_of(text("a", 10), text("b", 5)), "1.00")  # of 1.26
        assert says(told.together) == ["'a' with duration: 5 instead of 10"]

    def test_shots_go_where_nothing_else_is_left(self) -> None:
        told = found(film_of(text("a"), text("b"), text("c")), "0.50")  # of 1.26
        assert [saving.kind for saving in told.together] == [Kind.DROPPED, Kind.DROPPED]
        assert told.left_usd == Decimal("0.42")

    def test_no_more_is_given_up_than_is_needed(self) -> None:
        """Once a shot is dropped, its takes need not be fewer as well."""
        film_ = film_of(text("a", takes=2), text("b", 10))
        told = found(film_, "0.42")  # of 1.68; fewer takes and seconds give 0.84
        assert told.fits
        for saving in told.together:
            others = tuple(other for other in told.together if other is not saving)
            assert cost_usd(film_, others) > told.room_usd

    def test_one_shot_is_always_left(self) -> None:
        told = found(film_of(text("a")), "0.10")
        assert (told.together, told.alone, told.fits, told.left_usd) == ((), (), False, Decimal("0.42"))

    def test_each_is_told_alone_too_the_smallest_that_is_enough_first(self) -> None:
        told = found(film_of(text("a", takes=4), text("b", 10)), "2.10")  # of 2.52
        assert says(told.alone) == [
            "'a' with takes: 3 instead of 4",
            "'b' with duration: 5 instead of 10",
            "drop 'b'",
            "drop 'a'",
        ]
        assert [saving.saves_usd for saving in told.alone] == [Decimal(it) for it in ("0.42", "0.42", "0.84", "1.68")]


class TestWhatIsNotSuggested:
    def test_a_length_that_the_model_does_not_make(self) -> None:
        board = film("shots: [{id: a, prompt: A lake, duration: 7, reference_images: [a]}]")
        told = find_savings(board, facts_of(board), PROVIDER, (), Decimal("0.50"))
        assert told is not None
        assert says(told.together) == ["'a' with duration: 5 instead of 7"]  # 3 to 10 whole seconds
        board = film("shots: [{id: a, prompt: A lake, duration: 5}]")
        assert not found(Film(board, build_plan(board, {}, PROVIDER), frozenset()), "0.10").together

    def test_a_trimmed_shot_is_shortened_to_what_is_paid_less_for(self) -> None:
        told = found(film_of(text("a", 7)), "0.50")  # 10 s are generated, and 0.84 is paid
        assert says(told.together) == ["'a' with duration: 5 instead of 7"]

    def test_the_selected_take(self) -> None:
        told = found(film_of(text("a", takes=3, select=2), text("b")), "1.30")
        assert "'a' with takes: 2 instead of 3" in says(told.alone)
        assert not any("takes: 1" in line for line in says(told.alone))

    def test_what_is_reused_and_saves_nothing(self) -> None:
        film_ = film_of(text("a", takes=2), text("b", 10), reused=(("a", 1), ("a", 2)))
        told = found(film_, "0.50")
        assert says(told.alone) == ["'b' with duration: 5 instead of 10", "drop 'b'"]

    def test_a_shorter_shot_that_costs_its_followers_more(self) -> None:
        """The shot that continues from it would have to be made anew."""
        first = text("a", 10, takes=1)
        second = Shot(id="b", prompt="On", duration_s=Decimal(10), boundary=Boundary.CONTINUE)
        film_ = film_of(first, second, reused=(("b", 1),))
        assert not [saving for saving in found(film_, "0.50").alone if saving.kind is Kind.SHORTER]

    def test_a_shot_without_those_that_need_it(self) -> None:
        chain = [text("a"), Shot(id="b", prompt="On", boundary=Boundary.CONTINUE), text("c")]
        told = found(film_of(*chain, Shot(id="d", prompt="Paint it", video=ClipOf("a"))), "1.00")
        assert "drop 'a', with what takes frames of it: 'b', 'd'" in says(told.alone)
        assert "drop 'a'" not in says(told.alone)

    def test_a_shot_that_the_next_one_is_joined_to_by_a_still(self) -> None:
        first = Shot(id="a", prompt="To the still", first_frame=STILL, last_frame=STILL)
        second = Shot(id="b", prompt="From the still", boundary=Boundary.MATCH)
        told = found(film_of(text("x"), first, second, text("y")), "0.42")
        assert "drop 'a'" not in says(told.alone)
        assert told.fits

    def test_a_shot_that_needs_two_others_never_stays_without_one_of_them(self) -> None:
        needy = Shot(id="d", prompt="Both", reference_images=(FrameOf("b", "last"), FrameOf("a", "last")))
        told = found(film_of(text("a"), text("b"), text("c"), needy), "0.00")
        assert told.left_usd == Decimal("0.42")

    def test_a_shot_before_one_that_dissolves(self) -> None:
        dissolve = Transition(TransitionKind.DISSOLVE, Decimal(1))
        told = found(film_of(text("a", 10), text("b", transition=dissolve)), "0.42")
        assert "drop 'a'" in says(told.alone)


@settings(max_examples=60)
@given(film_=films(most=5), share=st.integers(0, 99))
def test_suggestions_save_what_they_say_when_the_storyboard_is_changed_and_planned_again(
    film_: Film, share: int
) -> None:
    to_pay_usd = film_.plan.to_pay_usd(film_.reused)
    room_usd = (to_pay_usd * share / 100).quantize(Decimal("0.01"))
    told = find_savings(film_.board, film_.facts, PROVIDER, film_.reused, room_usd)
    if told is None:
        assert to_pay_usd <= room_usd
        return

    for saving in told.alone:
        assert to_pay_usd - cost_usd(film_, (saving,)) == saving.saves_usd > 0
    for count, saving in enumerate(told.together):
        before_usd, after_usd = cost_usd(film_, told.together[:count]), cost_usd(film_, told.together[: count + 1])
        assert before_usd - after_usd == saving.saves_usd
    assert cost_usd(film_, told.together) == told.left_usd
    assert told.fits == (told.left_usd <= room_usd)
    assert told.over_usd == to_pay_usd - room_usd


def test_a_storyboard_that_cannot_be_planned_says_so() -> None:
    board = film("shots: [{id: a, prompt: A lake, duration: 50}]")
    with pytest.raises(StoryboardError):
        find_savings(board, {}, PROVIDER, (), Decimal(1))


def test_a_long_film_is_searched_in_a_moment() -> None:
    """An hour of film: 360 shots of 10 s, two takes each, halved."""
    shots = [text(f"s{index}", 10, takes=2) for index in range(360)]
    film_ = film_of(*shots)
    told = found(film_, "590.00")  # of 604.80
    assert told.fits
    assert len(told.together) == 18  # as many takes of 0.84 as make up 14.80
