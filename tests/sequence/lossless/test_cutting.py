from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.sequence.lossless.cutting import copyable, frames_ahead, kept_frames, shown_order
from tasks.sequence.timeline import Cut


def a_cut(start: int, stop: int) -> Cut:
    return Cut(shot="a", clip=Path("a.mp4"), clip_id="a", start=start, stop=stop, frames=stop - start)


@pytest.mark.parametrize(
    ("shown", "kept", "copied"),
    [
        ([0, 1, 2, 3], 3, 3),  # no B-frames: the last can go
        ([0, 1, 2, 3], 4, 4),
        ([0, 2, 1, 3], 3, 3),  # the B-frame leans on frame 2, which stays
        ([0, 1, 3, 2], 3, 2),  # the B-frame leans on the one that goes
        ([0, 4, 2, 1, 3], 4, 1),  # a pyramid: all of it does
        ([0, 4, 2, 1, 3], 5, 5),
        ([0, 4, 2, 1, 3, 8, 6, 5, 7], 8, 5),
        ([0, 4, 2, 1, 3, 8, 6, 5, 7], 6, 5),
        ([1, 0], 1, 0),  # decoding does not begin with the first frame
    ],
)
def test_what_can_be_copied(shown: list[int], kept: int, copied: int) -> None:
    assert copyable(shown, kept) == copied


@given(st.permutations(range(12)), st.integers(0, 12))
def test_copied_packets_are_just_the_first_frames(shown: list[int], kept: int) -> None:
    copied = copyable(shown, kept)

    assert copied <= kept
    assert sorted(shown[:copied]) == list(range(copied))
    # And no longer row of packets is.
    assert all(sorted(shown[:more]) != list(range(more)) for more in range(copied + 1, kept + 1))


@given(st.permutations(range(9)), st.integers(1, 1000), st.integers(-500, 500))
def test_the_order_shown_is_that_of_the_times(shown: list[int], ticks: int, begin: int) -> None:
    assert list(shown_order([begin + rank * ticks for rank in shown])) == shown


@given(st.permutations(range(9)))
def test_every_frame_is_decoded_before_it_is_shown(shown: list[int]) -> None:
    ahead = frames_ahead(shown)

    assert all(place - ahead <= rank for place, rank in enumerate(shown))
    assert ahead == 0 or any(place - ahead == rank for place, rank in enumerate(shown))


def test_a_shared_frame_is_left_out_where_the_earlier_clip_ends() -> None:
    assert kept_frames(a_cut(0, 121), a_cut(1, 121)) == 120
    assert kept_frames(a_cut(0, 121), a_cut(0, 121)) == 121
    assert kept_frames(a_cut(1, 121), None) == 121
    assert kept_frames(a_cut(1, 60), a_cut(1, 121)) == 59


@given(st.lists(st.integers(2, 200), min_size=1, max_size=8), st.lists(st.booleans(), min_size=8, max_size=8))
def test_the_film_is_as_long_as_the_house_cuts_it(stops: list[int], shared: list[bool]) -> None:
    cuts = [a_cut(1 if number and shared[number] else 0, stop) for number, stop in enumerate(stops)]

    kept = [kept_frames(cut, later) for cut, later in zip(cuts, [*cuts[1:], None], strict=True)]

    assert sum(kept) == sum(cut.frames for cut in cuts)
