"""Whatever the planner accepts, the provider's own rules accept, and bill exactly what was planned.

The rules and the prices of the emulator are written from the model's page without a look at the planner, so that
the two cannot share a mistake. `SHOTCHAIN_EXAMPLES` sets how many films are tried.
"""

from __future__ import annotations

import json
import os
import tempfile
import uuid
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from tasks.clips.store import Clip, Origin
from tasks.emulator.prices import cost_usd, milliseconds
from tasks.emulator.rules import Order, read_order
from tasks.emulator.settings import EmulatorSettings
from tasks.errors import StoryboardError
from tasks.plan.build import build_plan
from tasks.plan.catalog import Mode
from tasks.plan.model import Plan, PlannedShot, WholeClip
from tasks.sequence.cuts import cut_of, differences
from tasks.storyboard.inputs import InputFacts
from tasks.storyboard.model import MediaFile
from tasks.storyboard.read import read_storyboard
from tests.plan.boards import PRO, PROVIDER, SITE, STANDARD, facts_of
from tests.plan.desks import ORIGIN, open_desk

EXAMPLES = int(os.environ.get("SHOTCHAIN_EXAMPLES", "2000"))
SIZES = {STANDARD: ["1280x720", "960x960", "720x1280"], PRO: ["1920x1080", "1440x1440", "1080x1920"]}
MODES = {
    "text": Mode.TEXT,
    "frames": Mode.FRAMES,
    "referenceImages": Mode.REFERENCE_IMAGES,
    "referenceVideos": Mode.REFERENCE_VIDEOS,
    "edit": Mode.EDIT,
}
ROLES = {
    "first": "first_frame",
    "last": "last_frame",
    "referenceImage": "reference_image",
    "referenceVideo": "reference_video",
    "video": "video",
}

pictures = st.sampled_from([f"{SITE}{name}.jpg" for name in "abcd"])
videos = st.sampled_from([f"{SITE}{name}.mp4" for name in "vw"])
lengths_s = st.one_of(
    st.integers(3, 10).map(str), st.decimals(Decimal("0.5"), Decimal("10.2"), places=2).map(str), st.just("")
)


@st.composite
def shot(draw: st.DrawFn, previous: dict[str, Any] | None, index: int, *, careful: bool) -> dict[str, Any]:
    """One shot of any mode; it may take frames and clips of those before it. Unless `careful`, it may be wrong."""
    before = [f"s{number}" for number in range(index)]
    picture, video = pictures, videos
    if before:
        frame = st.fixed_dictionaries({"shot": st.sampled_from(before), "frame": st.sampled_from(["first", "last"])})
        picture = st.one_of(pictures, pictures, frame)
        video = st.one_of(videos, videos, st.fixed_dictionaries({"shot": st.sampled_from(before)}))
    slip = 0 if careful else 1
    made: dict[str, Any] = {"id": f"s{index}", "prompt": draw(st.text("ab é字🎬", min_size=2, max_size=12))}
    mode = draw(st.sampled_from(list(Mode)))
    if mode is Mode.FRAMES:
        made["first_frame"] = draw(picture)
        if draw(st.booleans()):
            made["last_frame"] = draw(picture)
    elif mode is Mode.REFERENCE_IMAGES:
        made["reference_images"] = draw(st.lists(picture, min_size=1, max_size=7 + slip))
    elif mode is Mode.REFERENCE_VIDEOS:
        made["reference_videos"] = draw(st.lists(video, min_size=1, max_size=3))
    elif mode is Mode.EDIT:
        made["video"] = draw(video)
    if mode in {Mode.REFERENCE_VIDEOS, Mode.EDIT}:
        made["reference_images"] = draw(st.lists(picture, max_size=(4 if mode is Mode.EDIT else 7) + slip))
        made["keep_original_sound"] = draw(st.booleans())
    if previous is not None and mode is Mode.TEXT and draw(st.booleans()):
        made["boundary"] = "continue"
    elif previous is not None and mode is Mode.FRAMES and "last_frame" in previous and draw(st.booleans()):
        made |= {"boundary": "match", "first_frame": previous["last_frame"]}
    elif not careful and index:
        made["boundary"] = draw(st.sampled_from(["cut", "cut", "match", "continue"]))
    if "last_frame" in made:
        length_s = draw(st.sampled_from(["5", "10", "", *(["7"] * slip)]))
    elif mode is Mode.EDIT and careful:
        length_s = draw(st.sampled_from(["", "2.5", "3"]))
    else:
        length_s = draw(lengths_s)
    if length_s:
        made["duration"] = min(Decimal(length_s), Decimal(10 + slip))
    for key, values in {
        "takes": st.integers(1, 4),
        "output_format": st.sampled_from(["MP4", "webm", "MOV"]),
        "output_quality": st.integers(20 - slip, 99),
        "ttl": st.integers(60 - slip, 600),
        "safety": st.sampled_from([{"mode": "full"}, {"check_content": True}, {"checkContent": False, "mode": "fast"}]),
    }.items():
        if draw(st.integers(0, 4)) == 0:
            made[key] = draw(values)
    return made


@st.composite
def films(draw: st.DrawFn) -> dict[str, Any]:
    model = draw(st.sampled_from([STANDARD, PRO]))
    careful = draw(st.integers(0, 3)) > 0
    shots: list[dict[str, Any]] = []
    for index in range(draw(st.integers(1, 4))):
        shots.append(draw(shot(shots[-1] if shots else None, index, careful=careful)))
    board: dict[str, Any] = {
        "model": model,
        "size": draw(st.sampled_from(SIZES[model])),
        "shots": shots,
    }
    if draw(st.booleans()):
        board["style"] = "in winter"
    if draw(st.booleans()):
        board["fps"] = draw(st.sampled_from([24, 25, 30, 60, Decimal("23.976")]))
    return board


def planned(board: dict[str, Any], source_s: Decimal) -> tuple[Plan, dict[str, InputFacts]]:
    text = json.dumps(board, default=float)
    storyboard = read_storyboard("film.json", text=text)
    facts = {
        uri: InputFacts(
            uri, fact.kind, fact.sha256, 1000, fact.media_type, 1280, 720, source_s if fact.duration_s else None
        )
        for uri, fact in facts_of(storyboard).items()
    }
    return build_plan(storyboard, facts, PROVIDER), facts


def billed_usd(order: Order, one: PlannedShot, plan: Plan, lengths_s: dict[str, Decimal], source_s: Decimal) -> Decimal:
    """What the provider takes; `lengths_s` holds the lengths of the clips made so far, and gets this one's."""
    if order.mode == "edit":
        source = next(item.source for item in one.inputs if item.role == "video")
        length_s = lengths_s[source.shot] if isinstance(source, WholeClip) else source_s
        lengths_s[one.id] = milliseconds(Fraction(round(length_s * 24), 24))
        return cost_usd(order.model, length_s, from_video=order.from_video)
    assert order.duration_s is not None
    frames = EmulatorSettings().frame_count(order.duration_s)
    lengths_s[one.id] = milliseconds(Fraction(frames) / plan.clip_rate)
    return cost_usd(order.model, order.duration_s, from_video=order.from_video)


def clip_of(one: PlannedShot, plan: Plan) -> Clip:
    """The clip that the plan expects."""
    origin = Origin(plan.provider, plan.model, "t", "v", one.price_usd, None, nsfw=False)
    return Clip(
        one.selected.content_key,
        Path("a.mp4"),
        "5a",
        1,
        one.clip_frames,
        plan.width,
        plan.height,
        plan.clip_rate,
        False,
        origin,
    )


@pytest.mark.thorough
@settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(films(), st.decimals(3, 10, places=3))
def test_what_is_planned_is_accepted_billed_and_cut_as_planned(board: dict[str, Any], source_s: Decimal) -> None:
    refused: StoryboardError | None = None
    try:
        plan, facts = planned(board, source_s)
    except StoryboardError as error:
        refused = error
    if refused is not None:
        event("refused")
        assert all(problem.accepted and problem.line for problem in refused.problems), str(refused)
        return
    event("accepted")
    lengths_s: dict[str, Decimal] = {}
    prices: dict[str, Decimal] = {}
    for one in plan.shots:
        event(one.mode)
        order = read_order({**one.request, "taskUUID": str(uuid.uuid4())})
        assert MODES[order.mode] is one.mode
        assert (order.width, order.height) == (one.width, one.height)
        assert sorted(ROLES[item.role] for item in order.inputs) == sorted(item.role for item in one.inputs)
        assert order.prompt == one.prompt
        assert order.include_cost
        price_usd = billed_usd(order, one, plan, lengths_s, source_s)
        assert price_usd == one.price_usd
        prices |= {take.content_key: price_usd for take in one.takes}
        cut = cut_of(plan, one, clip_of(one, plan))
        assert cut.frames == one.frames
        assert cut.stop <= one.clip_frames
        assert differences(plan, one, clip_of(one, plan)) == []
    assert plan.cost_usd == sum(prices.values(), Decimal(0))
    assert plan.frames == sum(one.frames for one in plan.shots)
    known = {media for one in plan.shots for item in one.inputs if isinstance(media := item.source, MediaFile)}
    assert {media.uri for media in known} <= facts.keys()
    again, _ = planned(board, source_s)
    assert again == plan
    assert json.dumps(again.as_dict()) == json.dumps(plan.as_dict())


def as_sent(value: Any, urls: dict[str, str]) -> Any:
    """A plan's request with what other shots give: whole clips by their addresses, frames as pictures of the world."""
    if isinstance(value, dict):
        return {key: as_sent(item, urls) for key, item in value.items()}
    if isinstance(value, list):
        return [as_sent(item, urls) for item in value]
    if isinstance(value, str) and value.startswith("shot:"):
        shot, _, frame = value.removeprefix("shot:").partition("/")
        return f"{SITE}{shot}-{frame}.png" if frame else urls[shot]
    return value


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


@settings(
    max_examples=max(1, EXAMPLES // 10),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(board=films(), source_s=st.sampled_from([Decimal(length) for length in ("3", "4.75", "6.125", "10.042")]))
def test_the_books_charge_what_was_planned(clips: Path, board: dict[str, Any], source_s: Decimal) -> None:
    try:
        plan, _ = planned(board, source_s)
    except StoryboardError:
        event("refused")
        return
    urls: dict[str, str] = {}
    sent: dict[str, tuple[str, Decimal]] = {}
    with tempfile.TemporaryDirectory(dir=clips) as state, open_desk(Path(state), clips) as desk:
        remote = {f"{SITE}{name}.mp4": {"duration_s": str(source_s)} for name in "vw"}
        (Path(state) / "remote.json").write_text(json.dumps(remote))
        for one in plan.shots:
            event(one.mode)
            for take in one.takes:
                if take.content_key in sent:
                    continue
                task = {**as_sent(one.request, urls), "taskUUID": str(uuid.uuid4())}
                reply = desk.answer([task], ORIGIN)
                assert reply.status == 200, reply.body
                sent[take.content_key] = (task["taskUUID"], one.price_usd)
            question = {"taskType": "getResponse", "taskUUID": sent[one.selected.content_key][0]}
            (result,) = desk.answer([question], ORIGIN).body["data"]
            assert result["status"] == "success"
            assert Decimal(str(result["cost"])) == one.price_usd
            urls[one.id] = result["videoURL"]
        books = desk.books()
    assert {entry["taskUUID"]: Decimal(entry["charge_usd"]) for entry in books["tasks"]} == dict(sent.values())
    assert Decimal(books["total_usd"]) == plan.cost_usd
