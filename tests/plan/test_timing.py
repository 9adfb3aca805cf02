"""How long a plan takes: learnt from clips that were made, laid out as a run lays it out."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.plan.timing import ClipTimes, Sample, Schedule, Span, lay_out, learn
from tasks.storyboard.model import Boundary, Shot
from tests.plan.films import Film, film_of, films

STATED = ClipTimes(stated_s=Decimal(60))
FIVE_AND_TEN = learn([Sample(Decimal(5), Decimal(60)), Sample(Decimal(10), Decimal(100))])


def chain(*durations: int) -> list[Shot]:
    boundaries = [Boundary.CUT] + [Boundary.CONTINUE] * (len(durations) - 1)
    return [
        Shot(id=f"c{at}", prompt=f"Part {at}", duration_s=Decimal(duration), boundary=boundary)
        for at, (duration, boundary) in enumerate(zip(durations, boundaries, strict=True))
    ]


def single(shot_id: str, duration: int = 5, takes: int = 1) -> Shot:
    return Shot(id=shot_id, prompt=f"Alone {shot_id}", duration_s=Decimal(duration), takes=takes)


def laid(film: Film, times: ClipTimes = STATED, max_in_flight: int = 8) -> Schedule:
    schedule = lay_out(film.plan, film.reused, times, max_in_flight)
    assert schedule is not None
    return schedule


class TestLearning:
    def test_the_median_counts_by_generated_length(self) -> None:
        took = [(5, 50), (5, 70), (5, 3600), (10, 120), (10, 121)]
        times = learn(Sample(Decimal(length), Decimal(seconds)) for length, seconds in took)
        assert {int(length): (time.took_s, time.samples) for length, time in times.learnt.items()} == {
            5: (Decimal(70), 3),
            10: (Decimal("120.5"), 2),
        }
        assert times.source == "learnt"

    def test_a_provider_that_has_become_faster_is_learnt_anew(self) -> None:
        slow = [Sample(Decimal(5), Decimal(600))] * 500
        fast = [Sample(Decimal(5), Decimal(40))] * 50
        assert learn([*slow, *fast]).took_s(Decimal(5)) == 40

    @pytest.mark.parametrize(("length", "seconds"), [("3", 60), ("5", 60), ("7.4", 60), ("7.5", 100), ("15", 100)])
    def test_a_length_that_was_never_made_takes_as_long_as_the_nearest(self, length: str, seconds: int) -> None:
        assert FIVE_AND_TEN.took_s(Decimal(length)) == seconds

    def test_what_was_learnt_goes_before_what_is_stated(self) -> None:
        assert learn([Sample(Decimal(5), Decimal(60))], Decimal(1)).took_s(Decimal(10)) == 60
        assert learn([], Decimal(90)).took_s(Decimal(10)) == 90
        assert learn([], Decimal(90)).source == "stated"

    def test_nothing_learnt_and_nothing_stated_is_unknown(self) -> None:
        film = film_of(single("a"))
        assert learn([]).source == "unknown"
        assert lay_out(film.plan, (), learn([]), 8) is None

    def test_what_is_all_reused_takes_no_time_however_little_is_known(self) -> None:
        schedule = laid(film_of(single("a"), reused=(("a", 1),)), learn([]))
        assert schedule == Schedule(Decimal(0), Decimal(0), Decimal(0), (), {"a": Span(Decimal(0), Decimal(0))})


class TestLayingOut:
    def test_shots_that_need_nothing_are_made_side_by_side(self) -> None:
        schedule = laid(film_of(*(single(name) for name in "abcdefgh")))
        assert schedule.wall_s == schedule.critical_s == 60
        assert schedule.serial_s == 480

    def test_no_more_than_there_are_slots(self) -> None:
        schedule = laid(film_of(*(single(name) for name in "abcde")), max_in_flight=2)
        assert schedule.wall_s == 180
        assert [span.begins_s for span in schedule.spans.values()] == [0, 0, 60, 60, 120]

    def test_a_chain_takes_one_after_the_other(self) -> None:
        schedule = laid(film_of(*chain(5, 10, 5)), FIVE_AND_TEN)
        assert schedule.wall_s == schedule.critical_s == schedule.serial_s == 220
        assert schedule.critical_path == ("c0", "c1", "c2")

    def test_the_longest_remaining_path_goes_first(self) -> None:
        """Two slots, three single shots before a chain of three: the chain begins at once all the same."""
        schedule = laid(film_of(single("x"), single("y"), single("z"), *chain(5, 5, 5)), max_in_flight=2)
        assert schedule.spans["c0"].begins_s == 0
        assert schedule.wall_s == schedule.critical_s == 180

    def test_takes_are_made_side_by_side_and_only_the_selected_one_is_waited_for(self) -> None:
        first, second = chain(5, 5)
        film = film_of(Shot(id="c0", prompt=first.prompt, takes=3, select=2), second)
        assert laid(film).wall_s == 120
        alone = laid(film, max_in_flight=1)
        # Take 2 goes second; the shot that continues from it goes when it can, by its priority after the takes.
        assert alone.spans["c1"].ends_s == 240

    def test_what_is_reused_is_there_at_once(self) -> None:
        schedule = laid(film_of(*chain(5, 5, 5), reused=(("c0", 1), ("c1", 1))))
        assert schedule.wall_s == 60
        assert schedule.critical_path == ("c2",)

    def test_shots_that_ask_for_the_same_clip_wait_for_one(self) -> None:
        twins = [Shot(id=name, prompt="The same lake") for name in "ab"]
        schedule = laid(film_of(*twins), max_in_flight=1)
        assert schedule.wall_s == schedule.serial_s == 60
        assert schedule.spans["a"] == schedule.spans["b"]

    def test_a_part_of_a_plan_needs_nothing_of_the_rest(self) -> None:
        film = film_of(*chain(5, 5))
        schedule = lay_out(film.plan.part({"c1"}), (), STATED, 8)
        assert schedule is not None
        assert schedule.wall_s == 60

    @pytest.mark.parametrize("reused", [False, True])
    def test_a_long_chain_is_no_trouble(self, reused: bool) -> None:
        count = 1200
        film = film_of(*chain(*[5] * count), reused=tuple((f"c{at}", 1) for at in range(count) if reused))
        assert laid(film).wall_s == (0 if reused else 60 * count)


seconds = st.decimals(Decimal("0.1"), Decimal(600), places=1)


@given(film=films(), places=st.integers(1, 5), five_s=seconds, ten_s=seconds)
def test_no_slots_make_it_faster_than_its_longest_path_or_slower_than_one_by_one(
    film: Film, places: int, five_s: Decimal, ten_s: Decimal
) -> None:
    times = learn([Sample(Decimal(5), five_s), Sample(Decimal(10), ten_s)])
    schedule = laid(film, times, places)

    assert schedule.critical_s <= schedule.wall_s <= schedule.serial_s
    assert schedule.serial_s <= places * schedule.wall_s
    assert laid(film, times, 1).wall_s == schedule.serial_s
    assert laid(film, times, 1000).wall_s == schedule.critical_s
    for shot in film.plan.shots:
        span = schedule.spans[shot.id]
        assert 0 <= span.begins_s <= span.ends_s <= schedule.wall_s


@given(film=films(), places=st.integers(1, 4))
def test_no_shot_begins_before_what_it_needs_is_there(film: Film, places: int) -> None:
    schedule = laid(film, STATED, places)
    for shot in film.plan.shots:
        for need in map(film.plan.shot, shot.depends_on):
            if len(need.takes) == 1 and need.selected.content_key not in film.reused:
                assert schedule.spans[shot.id].begins_s >= schedule.spans[need.id].ends_s
