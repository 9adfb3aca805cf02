"""How a film goes over from shot to shot, counted in its frames before anything is made."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tasks.errors import StoryboardError
from tasks.plan.model import PlannedSound
from tasks.plan.transitions import PlannedTransition
from tasks.storyboard.model import Fit, MediaFile, Transition, TransitionKind
from tasks.storyboard.read import read_storyboard
from tests.plan.boards import SITE, changed, film, keys, plan, problem, sha256_of

DISSOLVE, FADE = TransitionKind.DISSOLVE, TransitionKind.FADE

TWO = """
shots:
  - {{id: one, prompt: The sea}}
  - {{id: two, prompt: The dunes, {transition}}}
"""


def two(transition: str) -> str:
    return TWO.format(transition=transition)


def test_a_dissolve_shows_frames_of_both_shots_at_once() -> None:
    planned = plan(two("transition: dissolve"))

    # Half a second at 24 frames a second.
    assert planned.shot("two").transition == PlannedTransition(DISSOLVE, 12, overlap=12)
    assert planned.begins == {"one": 0, "two": 109}
    assert planned.frames == 121 + 121 - 12
    assert planned.duration_s == Decimal("9.583")


@pytest.mark.parametrize("kind", [kind for kind in TransitionKind if kind.overlaps])
def test_all_but_a_fade_take_frames_as_a_dissolve_does(kind: TransitionKind) -> None:
    planned = plan(two(f"transition: {kind}"))

    assert planned.shot("two").transition == PlannedTransition(kind, 12, overlap=12)
    assert planned.frames == 121 + 121 - 12
    assert keys(planned) == keys(plan(two("duration: 5")))


def test_a_named_transition_is_refused_where_there_can_be_none() -> None:
    first = problem("shots: [{id: one, prompt: The sea, transition: wipeleft}]")
    shared = problem(two("transition: circleopen, boundary: continue"))

    assert first.message == "the first shot cannot begin with wipeleft: there is no shot before it"
    assert shared.message.endswith("goes on from it, and cannot begin with circleopen")


def test_a_fade_goes_into_black_and_comes_out_of_it() -> None:
    planned = plan(two("transition: {kind: fade, duration: 1.04}"))

    assert planned.shot("two").transition == PlannedTransition(FADE, 25, ends=12, begins=13)
    assert (planned.begins["two"], planned.frames) == (121, 242)


def test_a_film_fades_in() -> None:
    planned = plan("shots: [{id: one, prompt: The sea, transition: {kind: fade, duration: 2}}]")

    assert planned.shot("one").transition == PlannedTransition(FADE, 48, begins=48)


@pytest.mark.parametrize(
    ("ending", "frames"), [("fade", 24), ("{kind: fade}", 24), ("{kind: fade, duration: 0.5}", 12), ("cut", None)]
)
@pytest.mark.parametrize("card", ["", "end_card: {text: End, duration: 2}\n"])
def test_a_film_may_end_in_black(ending: str, frames: int | None, card: str) -> None:
    one = "shots: [{id: one, prompt: The sea}]"
    planned, plain = plan(f"{card}ending: {ending}\n{one}"), plan(card + one)

    assert planned.ending == (None if frames is None else PlannedTransition(FADE, frames, ends=frames))
    assert planned.out_of(planned.scenes[-1].id) == planned.ending
    assert planned.as_dict()["ending"] == (None if planned.ending is None else planned.ending.as_dict())
    assert (planned.frames, planned.begins, keys(planned)) == (plain.frames, plain.begins, keys(plain))


def test_an_ending_longer_than_the_last_shot_is_told_at_its_own_line() -> None:
    said = problem(
        """
        shots: [{id: one, prompt: The sea, duration: 1, transition: fade}]
        ending: {kind: fade, duration: 2}
        """
    )
    assert (said.shot, said.key) == (None, "ending")
    assert said.line is not None
    assert said.message == "the transitions of 'one' take 60 frames, and it has 25"


def test_the_arithmetic_stands_in_the_plan() -> None:
    told = plan(two("transition: dissolve")).as_dict()

    assert [shot["begin_frame"] for shot in told["shots"]] == [0, 109]
    assert told["shots"][0]["transition"] is None
    assert told["shots"][1]["transition"] == {
        "kind": "dissolve",
        "frames": 12,
        "overlap_frames": 12,
        "fade_out_frames": 0,
        "fade_in_frames": 0,
    }


def test_frames_are_counted_at_the_film_rate() -> None:
    planned = plan("fps: 29.97\n" + two("transition: {kind: dissolve, duration: 1}"))

    assert planned.shot("two").overlap == 30


def test_however_short_a_transition_it_has_a_frame() -> None:
    assert plan(two("transition: {kind: dissolve, duration: 0.001}")).shot("two").overlap == 1


@pytest.mark.parametrize("kind", ["dissolve", "fade"])
def test_shots_that_share_a_frame_have_no_transition(kind: str) -> None:
    said = problem(two(f"transition: {kind}, boundary: continue"))

    assert (said.key, said.shot) == ("transition", "two")
    assert said.message == f"a shot that shares a frame with the one before goes on from it, and cannot {kind}"


def test_the_first_shot_cannot_dissolve() -> None:
    said = problem("shots: [{id: one, prompt: The sea, transition: dissolve}]")

    assert (said.message, said.accepted) == (
        "the first shot cannot dissolve: there is no shot before it",
        "cut, fade",
    )


def test_a_default_counts_where_there_can_be_a_transition() -> None:
    planned = plan(
        """
        defaults: {transition: dissolve, prompt: The sea}
        shots:
          - {id: one}
          - {id: two}
          - {id: three, boundary: continue}
          - {id: four, transition: null}
          - {id: five, transition: fade}
        """
    )

    kinds = [shot.transition.kind if shot.transition else None for shot in planned.shots]
    assert kinds == [None, DISSOLVE, None, None, FADE]


def test_a_shot_keeps_a_frame_of_its_own() -> None:
    said = problem(
        """
        shots:
          - {id: one, prompt: The sea}
          - {id: two, prompt: The dunes, duration: 1, transition: {kind: dissolve, duration: 0.5}}
          - {id: three, prompt: The sea, transition: {kind: dissolve, duration: 0.56}}
        """
    )

    # 25 frames: 12 with the shot before, 13 with the one behind.
    assert (said.shot, said.key) == ("three", "transition")
    assert said.message == "the transitions of 'two' take 25 frames, and it has 25"
    assert said.accepted == "transitions of 'two' that together take at most 0.92 s of it, or a longer shot"


def test_a_transition_longer_than_its_own_shot_is_told_there() -> None:
    said = problem(
        """
        shots:
          - {id: one, prompt: The sea}
          - {id: two, prompt: The dunes, duration: 1, transition: {kind: dissolve, duration: 2}}
          - {id: three, prompt: The sea}
        """
    )

    assert said.shot == "two"


def test_what_a_film_shows_and_sounds_like_makes_no_clip_new() -> None:
    before = plan(two("duration: 5"))
    after = plan(
        f"loudness: -20\nmusic: {SITE}theme.mp3\n"
        + two(f"duration: 5, transition: fade, fit: blur, gain_db: -3, narration: '{SITE}n.wav', caption: Sand")
    )

    assert changed(before, after) == set()
    assert keys(before) == keys(after)
    two_after = after.shot("two")
    assert (two_after.fit, two_after.gain_db, two_after.caption) == (Fit.BLUR, Decimal(-3), "Sand")
    assert two_after.narration == PlannedSound(MediaFile(f"{SITE}n.wav"), sha256_of(f"{SITE}n.wav"), Decimal(0))
    assert after.music == PlannedSound(
        MediaFile(f"{SITE}theme.mp3"), sha256_of(f"{SITE}theme.mp3"), Decimal(0), Decimal(2)
    )
    assert (before.loudness_lufs, after.loudness_lufs) == (Decimal(-16), Decimal(-20))


def test_sound_that_cannot_be_read_is_told_before_anything_is_paid() -> None:
    text = f"assets: {{theme: {SITE}theme.mp3}}\nmusic: theme\nshots: [{{id: a, prompt: xy, narration: theme}}]\n"

    planned = plan(read_storyboard("film.yaml", text=text), theme=None)

    assert [(item.shot, item.reason) for item in planned.unpinned] == [
        (None, "the server does not answer"),
        ("a", "the server does not answer"),
    ]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([None, DISSOLVE, FADE]),
            st.decimals(Decimal("0.01"), Decimal(3), places=2),
            st.sampled_from([5, 10]),
        ),
        min_size=1,
        max_size=8,
    ),
    st.sampled_from(["24", "23.976", "25", "60"]),
)
def test_every_frame_of_the_film_is_counted_once(
    shots: list[tuple[TransitionKind | None, Decimal, int]], fps: str
) -> None:
    text = f"fps: {fps}\nshots:\n" + "".join(
        f"  - {{id: s{number}, prompt: The sea, duration: {duration_s}}}\n"
        for number, (_, _, duration_s) in enumerate(shots)
    )
    board = film(text)
    board = replace(
        board,
        shots=tuple(
            replace(shot, transition=Transition(kind, duration_s, is_default=True) if kind else None)
            for shot, (kind, duration_s, _) in zip(board.shots, shots, strict=True)
        ),
    )
    try:
        planned = plan(board)
    except StoryboardError:
        assume(False)
        raise

    begins = planned.begins
    shown = [0] * planned.frames
    for shot in planned.shots:
        for frame in range(begins[shot.id], begins[shot.id] + shot.frames):
            shown[frame] += 1
    assert set(shown) <= {1, 2}
    assert shown.count(2) == sum(shot.overlap for shot in planned.shots)
