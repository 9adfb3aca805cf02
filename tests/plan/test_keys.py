"""Same in, same key: what makes another clip changes the key, of that shot and of those that take its frames, alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.plan.build import build_plan
from tasks.plan.keys import identity_of, request_key, take_key
from tasks.plan.model import usd
from tasks.storyboard.inputs import inspect_inputs
from tasks.storyboard.read import read_storyboard
from tests.plan.boards import ASSETS, FIRST_LINE, PRO, SITE, changed, film, keys, plan, sha256_of

Change = Callable[[str], str]

# opening ─► follow ─► last      (continue, continue)
# opening ─► inset               (a reference to its first frame)
# follow  ─► edited              (an edit of its clip)
# alone
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
  - id: inset
    prompt: The tram from afar
    reference_images: [{shot: opening, frame: first}]
  - id: edited
    prompt: The same in winter
    video: {shot: follow}
"""
ALL = {"opening", "follow", "last", "alone", "inset", "edited"}
FROM_OPENING = ALL - {"alone"}
BEFORE = plan(FILM)
PAID = {
    "canopy": "0fb151434ffc0a5a",
    "canyon": "2621a120dc9f7767",
    "canyon-wide": "af1778e3c3745f48",
    "canyon-dusk": "2324cb8d1f6dac42",
    "harbor": "979a90a593cd654d",
    "canal": "4b1182ee45de784a",
    "library": "11d18728bcaa43e7",
    "diver": "8383727aac6dced5",
    "greenhouse": "1af5cb5e5af172a9",
    "drift": "a016241a1a1a79ff",
    "planetarium": "56107d1dfa8dd406",
}
ROOT = Path(__file__).parents[2]


def replaced(old: str, new: str) -> str:
    assert FILM.count(old) == 1, f"{FILM.count(old)} times: {old}"
    return FILM.replace(old, new)


def test_a_key_is_a_sha256() -> None:
    for key in keys(BEFORE).values():
        assert len(key) == 64
        assert int(key, 16) >= 0


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("title: Trams", "title: Trains"),
        ("title: Trams", "title: Trams\nretries: 7"),
        ("title: Trams", "title: Trams\nfps: 30"),
        ("prompt: A hall", "prompt: A hall\n    ttl: 90"),
        ("prompt: A hall", "prompt: A hall\n    duration: 5"),
        ("prompt: A hall", "prompt: A hall\n    takes: 3"),
        ("prompt: A hall", "prompt: A hall\n    output_format: mp4"),
        ("prompt: A hall", "prompt: A hall\n    output_quality: 95"),
        ("prompt: A hall", "prompt: A hall\n    safety: {check_content: false}"),
        ("prompt: A hall", "prompt: A hall\n    safety: {mode: none}"),
        ("prompt: A hall", "prompt: A hall\n    keep_original_sound: false"),
        (
            "prompt: It goes on\n    boundary: continue",
            "prompt: It goes on\n    first_frame: {shot: opening, frame: last}",
        ),
    ],
)
def test_what_makes_the_same_clip_keeps_every_key(old: str, new: str) -> None:
    assert changed(BEFORE, plan(replaced(old, new))) == set()


def test_ids_are_not_in_a_key() -> None:
    renamed = plan(FILM.replace("opening", "start").replace("follow", "further"))

    assert list(keys(renamed).values()) == list(keys(BEFORE).values())


def test_the_order_of_shots_is_not_in_a_key() -> None:
    head, alone, rest = FILM.partition("  - id: alone")
    body, inset, end = rest.partition("  - id: inset")
    moved = plan(head + inset + end + alone + body)

    assert [shot.id for shot in moved.shots] == ["opening", "follow", "last", "inset", "edited", "alone"]
    assert changed(BEFORE, moved) == set()


def test_an_input_counts_by_its_bytes() -> None:
    elsewhere = ASSETS.replace(f"{SITE}b.jpg", "s3://bucket/other.png").replace("  b:", "  bee:")
    board = read_storyboard("film.yaml", text=elsewhere + replaced("[b, c]", "[bee, c]"))

    assert changed(BEFORE, plan(board, bee={"sha256": sha256_of(f"{SITE}b.jpg")})) == set()
    assert changed(BEFORE, plan(board)) == {"alone"}
    assert changed(BEFORE, plan(FILM, b={"sha256": "0" * 64})) == {"alone"}
    assert changed(BEFORE, plan(FILM, a={"sha256": "0" * 64})) == FROM_OPENING


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("style: At dusk", "style: At dawn", ALL),
        ("style: At dusk", "style: At dusk\nsize: 960x960", {"alone", "inset"}),
        ("prompt: A hall", "prompt: A halls", {"alone"}),
        ("prompt: A hall", "prompt: A hall\n    duration: 6", {"alone"}),
        ("prompt: A hall", "prompt: A hall\n    output_format: MOV", {"alone"}),
        ("prompt: A hall", "prompt: A hall\n    output_quality: 94", {"alone"}),
        ("prompt: A hall", "prompt: A hall\n    safety: {check_content: true}", {"alone"}),
        ("prompt: A hall", "prompt: A hall\n    safety: {mode: full}", {"alone"}),
        ("prompt: The same in winter", "prompt: The same in winter\n    keep_original_sound: true", {"edited"}),
        ("[b, c]", "[c, b]", {"alone"}),
        ("[b, c]", "[b]", {"alone"}),
        ("[b, c]", "[b, c, c]", {"alone"}),
        ("[b, c]", "[b, d]", {"alone"}),
        ("prompt: A hall\n    reference_images: [b, c]", "prompt: A hall\n    first_frame: b", {"alone"}),
        ("prompt: A tram climbs", "prompt: A tram falls", FROM_OPENING),
        ("duration: 5", "duration: 10", FROM_OPENING),
        ("first_frame: a", "first_frame: a\n    last_frame: b", FROM_OPENING),
        ("prompt: It goes on", "prompt: It stops", {"follow", "last", "edited"}),
        ("prompt: And on", "prompt: And stops", {"last"}),
        ("{shot: opening, frame: first}", "{shot: opening, frame: last}", {"inset"}),
        ("{shot: opening, frame: first}", "{shot: follow, frame: first}", {"inset"}),
        ("video: {shot: follow}", "reference_videos: [{shot: follow}]", {"edited"}),
    ],
)
def test_a_change_invalidates_the_shot_and_what_takes_its_frames_and_nothing_else(
    old: str, new: str, what: set[str]
) -> None:
    assert changed(BEFORE, plan(replaced(old, new))) == what


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("duration: 4", "duration: 3", {"last"}),
        ("duration: 4", "duration: 5", {"last"}),
        ("duration: 4", "duration: 4.01", set()),  # the same last frame
        ("duration: 5\n    takes: 2", "duration: 4.5\n    takes: 2", {"follow", "last", "edited"}),
    ],
)
def test_a_trim_keeps_the_shots_own_clip_and_changes_what_continues_it(old: str, new: str, what: set[str]) -> None:
    assert changed(BEFORE, plan(replaced(old, new))) == what


def test_an_edit_counts_by_its_source_not_by_how_long_that_is_said_to_be() -> None:
    text = "shots: [{id: one, prompt: In winter, video: v}]"

    assert changed(plan(text), plan(text, v={"duration_s": Decimal("6.001")})) == set()


def test_another_selected_take_changes_the_shots_that_depend_on_it() -> None:
    after = plan(replaced("takes: 2", "takes: 2\n    select: 2"))

    assert after.shot("opening").takes == BEFORE.shot("opening").takes
    assert changed(BEFORE, after) == FROM_OPENING


def test_takes_are_different_clips() -> None:
    one, two = BEFORE.shot("opening").takes

    assert (one.number, two.number) == (1, 2)
    assert one.content_key != two.content_key


def test_the_provider_and_the_model_are_in_every_key() -> None:
    assert changed(BEFORE, plan(FILM, provider="runware")) == ALL
    larger = f"model: {PRO}\nsize: 1920x1080\n{FILM}"
    assert changed(BEFORE, plan(larger)) == ALL


def test_shots_that_ask_for_the_same_are_the_same_clip() -> None:
    planned = plan("shots: [{id: one, prompt: A tram}, {id: two, prompt: A tram, ttl: 60, duration: 4}]")

    assert planned.shot("one").selected.content_key == planned.shot("two").selected.content_key


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("{check_content: true}", "{mode: fast}"),
        ("{check_content: true}", "{check_content: true, mode: fast}"),
        ("{mode: full}", "{check_content: true, mode: full}"),
        ("{check_content: false}", "{mode: none}"),
    ],
)
def test_safety_counts_by_what_it_means(one: str, other: str) -> None:
    text = "shots: [{id: one, prompt: A tram, safety: SAFETY}]"

    assert keys(plan(text.replace("SAFETY", one))) == keys(plan(text.replace("SAFETY", other)))


def content_key(**parts: Any) -> str:
    return request_key(identity_of(**parts))


WHOLE: dict[str, Any] = {
    "provider": "emulator",
    "model": "m",
    "prompt": "A tram",
    "width": 1280,
    "height": 720,
    "generate_s": "5",
    "inputs": [("first_frame", "file", "aa"), ("reference_image", "frame", "bb", "-1")],
    "keep_original_sound": False,
    "output_format": "MP4",
    "output_quality": 95,
    "safety": {"checkContent": False, "mode": "none"},
}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("provider", "runware"),
        ("model", "n"),
        ("prompt", "A tram "),
        ("width", 720),
        ("width", None),
        ("height", 1280),
        ("generate_s", "10"),
        ("generate_s", "source"),
        ("inputs", []),
        ("inputs", WHOLE["inputs"][::-1]),
        ("inputs", [("first_frame", "file", "aa"), ("reference_image", "frame", "bb", "0")]),
        ("inputs", [("last_frame", "file", "aa"), ("reference_image", "frame", "bb", "-1")]),
        ("inputs", [("first_frame", "clip", "aa"), ("reference_image", "frame", "bb", "-1")]),
        ("inputs", [("first_frame", "file", "aa", "reference_image", "frame", "bb", "-1")]),
        ("keep_original_sound", True),
        ("output_format", "MOV"),
        ("output_quality", 94),
        ("safety", {"checkContent": True, "mode": "fast"}),
    ],
)
def test_everything_that_decides_a_clip_is_in_its_key(field: str, value: Any) -> None:
    assert content_key(**WHOLE) == content_key(**dict(reversed(WHOLE.items())))
    assert content_key(**{**WHOLE, field: value}) != content_key(**WHOLE)


async def test_keys_stay_what_they_are_from_one_version_to_the_next(tmp_path: Path) -> None:
    """Whoever paid for a clip with an older shotchain does not pay for it again."""
    board = read_storyboard(ROOT / "configs" / "storyboards" / "demo.yaml")
    planned = build_plan(board, await inspect_inputs(board, tmp_path), "runware")

    assert {shot: key[:16] for shot, key in keys(planned).items()} == PAID


def test_a_plan_remembers_what_its_keys_are_made_of() -> None:
    remembered = json.loads(json.dumps(BEFORE.memory()))

    assert [shot["id"] for shot in remembered["shots"]] == [shot.id for shot in BEFORE.shots]
    for shot, planned in zip(remembered["shots"], BEFORE.shots, strict=True):
        assert (shot["select"], shot["price_usd"]) == (planned.select, usd(planned.price_usd))
        assert shot["takes"] == [
            {"number": take.number, "content_key": take_key(request_key(shot["identity"]), take.number)}
            for take in planned.takes
        ]


@given(st.lists(st.tuples(st.text(), st.integers(1, 4)), min_size=2, max_size=8, unique=True))
def test_keys_of_different_takes_and_prompts_never_meet(pairs: list[tuple[str, int]]) -> None:
    made = {take_key(content_key(**{**WHOLE, "prompt": prompt}), take) for prompt, take in pairs}

    assert len(made) == len(pairs)


@st.composite
def chained_films(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Shots that cut, continue, or refer to any earlier shot."""
    shots: list[dict[str, Any]] = []
    for index in range(draw(st.integers(2, 7))):
        shot: dict[str, Any] = {"id": f"s{index}", "prompt": f"Shot number {index}"}
        how = draw(st.sampled_from(["cut", "continue", "frame", "clip"])) if index else "cut"
        other = f"s{draw(st.integers(0, index - 1))}" if index else ""
        if how == "continue":
            shot["boundary"] = "continue"
        elif how == "frame":
            shot["reference_images"] = [{"shot": other, "frame": draw(st.sampled_from(["first", "last"]))}]
        elif how == "clip":
            shot["reference_videos"] = [{"shot": other}]
        shots.append(shot)
    return shots


@given(chained_films(), st.data())
def test_in_any_film_a_changed_prompt_changes_just_the_shot_and_all_that_depend_on_it(
    shots: list[dict[str, Any]], data: st.DataObject
) -> None:
    before = plan(film(json.dumps({"shots": shots})[1:-1].replace('"shots":', "shots:", 1)))
    which = data.draw(st.integers(0, len(shots) - 1))
    edited = [{**shot, "prompt": "Another"} if at == which else shot for at, shot in enumerate(shots)]
    after = plan(film(json.dumps({"shots": edited})[1:-1].replace('"shots":', "shots:", 1)))

    expected = {f"s{which}"}
    for shot in before.shots:  # in the order of the film, which here is an order of need
        if expected & set(shot.depends_on):
            expected.add(shot.id)
    assert changed(before, after) == expected


def test_lines_of_the_film_are_where_the_helpers_say() -> None:
    assert film(FILM).lines["title"] == FIRST_LINE
