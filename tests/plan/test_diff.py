"""What a person is told before rendering again: what is reused, what is generated anew, why, and for how much."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.plan.diff import PlanDiff, Reason, diff
from tasks.plan.model import Plan
from tests.plan.boards import plan

FILM = """\
title: Trams
style: At dusk
shots:
  - id: opening
    prompt: A tram climbs
    first_frame: a
    duration: 5
    takes: 2
  - id: follow
    prompt: It goes on
    boundary: continue
    duration: 4
  - id: last
    prompt: And on
    boundary: continue
  - id: alone
    prompt: A hall
    reference_images: [b, c]
  - id: edited
    prompt: The same in winter
    video: {shot: follow}
"""
BEFORE = plan(FILM)
MADE = BEFORE.content_keys


def memory(of: Plan = BEFORE) -> dict[str, Any]:
    """As it comes back from a database."""
    read: dict[str, Any] = json.loads(json.dumps(of.memory()))
    return read


def replaced(old: str, new: str) -> Plan:
    assert FILM.count(old) == 1, f"{FILM.count(old)} times: {old}"
    return plan(FILM.replace(old, new))


def since(now: Plan) -> PlanDiff:
    return diff(now, memory(), MADE)


def why(told: PlanDiff) -> dict[str, str]:
    """Shot and take of what is generated, and why."""
    return {f"{take.shot} {take.number}": take.why for take in told.generated}


def test_an_unchanged_storyboard_generates_nothing() -> None:
    told = since(BEFORE)

    assert told.generated == ()
    assert told.to_pay_usd == 0
    assert {take.reason for take in told.takes} == {Reason.REUSED}
    assert (told.removed, told.compared) == ((), True)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("title: Trams", "title: Trains"),
        ("prompt: A hall", "prompt: A hall\n    ttl: 90"),
        ("prompt: A hall", "prompt: A hall\n    duration: 5"),
        ("duration: 4", "duration: 4.01"),
        ("title: Trams", "title: Trams\nfps: 30"),
    ],
)
def test_what_costs_nothing_is_no_change(old: str, new: str) -> None:
    assert since(replaced(old, new)).generated == ()


def test_without_an_earlier_plan_every_shot_is_new() -> None:
    told = diff(BEFORE, None, set())

    assert not told.compared
    assert {take.reason for take in told.takes} == {Reason.NEW_SHOT}
    assert told.to_pay_usd == BEFORE.cost_usd


@pytest.mark.parametrize(
    ("old", "new", "shot", "says"),
    [
        ("prompt: A hall", "prompt: A large hall", "alone", "prompt: «A hall At dusk» → «A large hall At dusk»"),
        ("prompt: A hall", "prompt: A hall\n    duration: 6", "alone", "duration: 5 s → 6 s"),
        ("prompt: A hall", "prompt: A hall\n    output_format: MOV", "alone", "output_format: MP4 → MOV"),
        ("prompt: A hall", "prompt: A hall\n    output_quality: 80", "alone", "output_quality: 95 → 80"),
        (
            "prompt: A hall",
            "prompt: A hall\n    safety: {mode: full}",
            "alone",
            "safety: check_content false, mode none → check_content true, mode full",
        ),
        (
            "video: {shot: follow}",
            "video: {shot: follow}\n    keep_original_sound: true",
            "edited",
            "keep_original_sound: false → true",
        ),
        ("style: At dusk", "style: At dusk\nsize: 960x960", "alone", "size: 1280x720 → 960x960"),
        ("[b, c]", "[c, b]", "alone", "reference_images: in another order"),
        ("[b, c]", "[b]", "alone", "reference_images[1]: left out"),
        ("[b, c]", "[b, d]", "alone", "reference_images[1]: another picture"),
        ("[b, c]", "[b, c, d]", "alone", "reference_images[2]: added, a picture"),
        (
            "[b, c]",
            "[b, {shot: last, frame: last}]",
            "alone",
            "reference_images[1]: takes the last frame of 'last' now",
        ),
        (
            "reference_images: [b, c]",
            "first_frame: b",
            "alone",
            "first_frame: added, a picture\nreference_images[0]: left out\nreference_images[1]: left out\n"  # noqa: ISC004
            "size: 1280x720 → its input's",
        ),
        ("video: {shot: follow}", "video: v", "edited", "video: a video"),
        (
            "video: {shot: follow}",
            "video: {shot: last}",
            "edited",
            "video: takes the clip of 'last' now",
        ),
    ],
)
def test_each_part_of_a_request_is_told_by_the_name_that_the_storyboard_has_for_it(
    old: str, new: str, shot: str, says: str
) -> None:
    told = since(replaced(old, new))
    own = next(take for take in told.takes if take.shot == shot)

    assert set(says.splitlines()) == set(own.why.splitlines())
    assert own.reason is Reason.CHANGED


def test_a_picture_counts_by_its_bytes_and_one_that_cannot_be_read_is_told() -> None:
    other = plan(FILM, a={"sha256": "f" * 64})
    unread = plan(FILM, a=None)

    assert why(since(other))["opening 1"] == "first_frame: another picture"
    assert why(since(unread))["opening 1"] == "first_frame: another picture, which cannot be read"


def test_a_shot_whose_frame_is_generated_anew_says_so() -> None:
    told = since(replaced("prompt: It goes on", "prompt: It stops"))

    assert why(told) == {
        "follow 1": "prompt: «It goes on At dusk» → «It stops At dusk»",
        "last 1": "first_frame: takes frame 96 of 'follow', which is generated anew",
        "edited 1": "video: takes the clip of 'follow', which is generated anew",
    }


def test_a_trim_upstream_is_told_as_another_frame() -> None:
    told = since(replaced("duration: 4", "duration: 3"))

    assert why(told) == {"last 1": "first_frame: takes frame 72 of 'follow' rather than frame 96"}


def test_another_selected_take_is_told_where_its_frame_is_taken() -> None:
    told = since(replaced("takes: 2", "takes: 2\n    select: 2"))

    assert why(told)["follow 1"] == "first_frame: 'opening' take 2 is selected now"
    assert why(told)["last 1"] == "first_frame: takes frame 96 of 'follow', which is generated anew"
    assert {"alone 1", "opening 1", "opening 2"}.isdisjoint(why(told))


def test_a_shot_that_takes_the_frame_of_a_clip_that_is_there_already_says_so() -> None:
    now = replaced("prompt: It goes on", "prompt: It stops")
    told = diff(now, memory(), {*MADE, now.shot("follow").selected.content_key})

    assert why(told)["last 1"] == "first_frame: takes frame 96 of 'follow', whose clip is another one"


def test_new_shots_new_takes_and_shots_that_are_gone() -> None:
    now = plan(FILM.replace("id: alone", "id: other").replace("A hall", "A harbour").replace("takes: 2", "takes: 3"))
    told = since(now)

    assert why(told) == {"opening 3": "new take", "other 1": "new shot"}
    assert told.removed == ("alone",)


def test_a_renamed_shot_is_reused() -> None:
    told = since(plan(FILM.replace("id: alone", "id: hall")))

    assert told.generated == ()
    assert told.removed == ("alone",)


def test_a_clip_that_was_paid_for_and_is_gone_is_not_called_new() -> None:
    key = BEFORE.shot("alone").selected.content_key
    told = diff(BEFORE, memory(), MADE - {key}, {key})

    assert [(take.shot, take.reason) for take in told.generated] == [("alone", Reason.CLIP_GONE)]
    assert "gone from the store" in told.generated[0].why


def test_what_was_planned_and_never_made_is_not_called_gone() -> None:
    told = diff(BEFORE, memory(), set())

    assert {take.reason for take in told.takes} == {Reason.NOT_MADE}


def test_takes_of_one_clip_are_paid_once() -> None:
    twice = plan("shots: [{id: one, prompt: A tram}, {id: two, prompt: A tram}]")
    told = diff(twice, None, set())

    assert [take.reason for take in told.takes] == [Reason.NEW_SHOT, Reason.SAME_CLIP]
    assert told.takes[1].why == "the same clip as 'one' take 1"
    assert sum((take.cost_usd for take in told.takes), Decimal(0)) == told.to_pay_usd == Decimal("0.42")


def test_another_provider_or_model_is_told() -> None:
    told = diff(plan(FILM, provider="runware"), memory(), set())

    assert "provider: emulator → runware" in why(told)["alone 1"]


def test_long_prompts_are_shown_from_where_they_differ_and_kept_whole_for_programs() -> None:
    long = "The camera drifts over the wide and silent valley while the light fades, "
    one = plan(f"shots: [{{id: one, prompt: '{long}and a lamp is lit'}}]")
    two = plan(f"shots: [{{id: one, prompt: '{long}and a bell is rung'}}]")
    take = diff(two, memory(one), set()).takes[0]

    assert take.why == "prompt: «…light fades, and a lamp is lit» → «…light fades, and a bell is rung»"
    assert take.changes[0].was == f"{long}and a lamp is lit"
    assert json.loads(json.dumps(take.as_dict()))["changes"][0]["now"] == f"{long}and a bell is rung"


CHANGES = [
    ("style: At dusk", "style: At dawn"),
    ("prompt: A tram climbs", "prompt: A tram falls"),
    ("duration: 5", "duration: 10"),
    ("takes: 2", "takes: 3\n    select: 3"),
    ("duration: 4", "duration: 3"),
    ("[b, c]", "[{shot: last, frame: first}, c, d]"),
    ("video: {shot: follow}", "reference_videos: [{shot: follow}, v]"),
    ("id: edited", "id: winter"),
    ("prompt: And on", "prompt: And stops\n    last_frame: e"),
]


@given(st.sets(st.sampled_from(CHANGES)), st.data())
def test_whatever_has_changed_costs_add_up_and_every_generated_take_has_a_reason(
    changes: set[tuple[str, str]], data: st.DataObject
) -> None:
    text = FILM
    for old, new in sorted(changes):
        text = text.replace(old, new)
    now = plan(text)
    made = data.draw(st.sets(st.sampled_from(sorted(MADE | now.content_keys))))
    told = diff(now, memory(), made)

    assert sum((take.cost_usd for take in told.takes), Decimal(0)) == told.to_pay_usd == now.to_pay_usd(made)
    for take in told.takes:
        assert bool(take.why) is (take.reason is not Reason.REUSED)
        if take.reason is Reason.CHANGED:
            assert take.content_key not in MADE
            assert all(change.says.startswith(f"{change.part}: ") for change in take.changes)
    for shot in now.shots:  # what is remembered as it is asked for is never called a change
        if shot.selected.content_key in MADE:
            assert all(take.reason is not Reason.CHANGED for take in told.takes if take.shot == shot.id)
