"""Whatever breaks one rule of the model's page is refused twice: by the planner, before anything is paid, and by the
provider's own rules, for the same field. So is a picture or a video that the model does not take.

A shot that both accept is drawn; then one rule is broken in the storyboard, and the same one in the request that the
shot would have sent. `SHOTCHAIN_EXAMPLES` sets how many shots are tried in all.
"""

from __future__ import annotations

import copy
import io
import json
import re
import shutil
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tasks.emulator.errors import WireError
from tasks.emulator.rules import read_order
from tasks.errors import StoryboardError
from tasks.plan.build import build_plan
from tasks.plan.catalog import input_formats
from tasks.plan.model import Plan
from tasks.storyboard.inputs import inspect_inputs
from tasks.storyboard.read import read_storyboard
from tests.plan.boards import PRO, PROVIDER, SITE, STANDARD
from tests.plan.desks import ORIGIN, open_desk, tiny_clip
from tests.plan.test_emulator_agrees import EXAMPLES, SIZES, pictures, planned, shot, videos

Keys = dict[str, Any]
Fits = Callable[[Keys], bool]

PARAMETERS = {
    "model": "model",
    "size": "width height",
    "prompt": "positivePrompt",
    "duration": "duration",
    "first_frame": "inputs.frameImages",
    "first_frame.frame": "inputs.frameImages.frame",
    "last_frame": "inputs.frameImages",
    "reference_images": "inputs.referenceImages",
    "reference_videos": "inputs.referenceVideos",
    "video": "inputs.video",
    "keep_original_sound": "providerSettings.klingai.keepOriginalSound",
    "takes": "numberResults",
    "output_format": "outputFormat",
    "output_quality": "outputQuality",
    "ttl": "ttl",
    "safety": "safety.mode",
    "safety.check_content": "safety.checkContent",
    "seed": "seed",
    "cfg_scale": "cfg_scale",
}
"""What the provider calls each key of a storyboard."""


def put(keys: Keys, name: str, value: Any) -> None:
    """Write under a dotted name; `...` takes away what is there."""
    *outer, last = name.split(".")
    for part in outer:
        keys = keys.setdefault(part, {})
    if value is ...:
        del keys[last]
    else:
        keys[last] = value


@dataclass(frozen=True)
class Break:
    """One way to break one rule.

    Attributes:
        key: The key that the refusal names.
        values: What breaks it.
        fits: Which shots can be broken so.
        write: Writes such a value into the shot; without it, under the key.
        send: Writes it into the request; without it, under the provider's name of the key.
        of_film: Whether the key is one of the film's.
        of_two: Whether two inputs exclude each other, so that the refusal names both.
    """

    key: str
    values: st.SearchStrategy[Any]
    fits: Fits = lambda _: True
    write: Callable[[Keys, Any], None] | None = None
    send: Callable[[Keys, Any], None] | None = None
    of_film: bool = False
    of_two: bool = False

    def film(self, film: Keys, value: Any) -> Keys:
        """The film of one shot, with that shot, or itself, broken."""
        broken = copy.deepcopy(film)
        keys = broken if self.of_film else broken["shots"][0]
        self.write(keys, value) if self.write else put(keys, self.key, value)
        return broken

    def request(self, request: Keys, value: Any) -> Keys:
        """The request, broken."""
        broken = copy.deepcopy(request)
        self.send(broken, value) if self.send else put(broken, PARAMETERS[self.key], value)
        return broken


def mode_key(made: Keys) -> str:
    """The key that decides a shot's mode."""
    return next((key for key in ("first_frame", "video", "reference_videos", "reference_images") if made.get(key)), "")


def with_inputs(*keys: str) -> Fits:
    return lambda made: mode_key(made) in keys


def from_last_alone(made: Keys, _: Any) -> None:
    made["last_frame"] = made.pop("first_frame")
    # A length that both frames do not allow would be a second mistake.
    made.pop("duration", None)


def last_alone_sent(request: Keys, _: Any) -> None:
    request["inputs"]["frameImages"] = [{**request["inputs"]["frameImages"][0], "frame": "last"}]


def one_size(made: Keys, size: tuple[int, int]) -> None:
    made["size"] = f"{size[0]}x{size[1]}"


def two_numbers(request: Keys, size: tuple[int, int]) -> None:
    request["width"], request["height"] = size


def some_pictures(least: int) -> st.SearchStrategy[list[str]]:
    return st.lists(pictures, min_size=least, max_size=least + 6)


SIZED = with_inputs("", "reference_images", "reference_videos")
FRAMES = with_inputs("first_frame")
EDIT = with_inputs("video")
not_made = st.tuples(st.integers(1, 9999), st.integers(1, 9999)).filter(
    lambda size: all(f"{size[0]}x{size[1]}" not in sizes for sizes in SIZES.values())
)
some_videos = st.lists(videos, min_size=1, max_size=3)
no_number = st.sampled_from(["high", "70", True, [70], {"of": 70}])
no_flag = st.sampled_from(["yes", "true", 1, 0, [True]])
too_long = st.tuples(st.text("xé字🎬", min_size=1, max_size=9), st.integers(2501, 2600)).map(
    lambda drawn: (drawn[0] * drawn[1])[: drawn[1]]
)

BREAKS = {
    "no such model": Break("model", st.sampled_from(["klingai:kling@o2", "o1", STANDARD.upper()]), of_film=True),
    "a size that is not made": Break("size", not_made, SIZED, one_size, two_numbers, of_film=True),
    "a width without a height": Break(
        "size",
        st.sampled_from(["1280", "1280x", 1280]),
        SIZED,
        send=lambda request, _: put(request, "height", ...),
        of_film=True,
    ),
    "a height without a width": Break(
        "size",
        st.sampled_from(["x720", "x 720"]),
        SIZED,
        send=lambda request, _: put(request, "width", ...),
        of_film=True,
    ),
    "a frame that is neither first nor last": Break(
        "first_frame.frame",
        st.sampled_from(["middle", "second", "1", 1, -2, 1.5, True]),
        FRAMES,
        write=lambda made, value: put(made, "first_frame", {"shot": made["id"], "frame": value}),
        send=lambda request, value: put(request["inputs"]["frameImages"][0], "frame", value),
    ),
    "no prompt": Break("prompt", st.just(...)),
    "an empty prompt": Break("prompt", st.just("")),
    "a prompt of one character": Break("prompt", st.characters(categories=["L", "N", "P", "So"])),
    "a prompt that is too long": Break("prompt", too_long),
    "longer than any clip": Break("duration", st.integers(11, 3600), lambda made: not EDIT(made)),
    "no length at all": Break("duration", st.integers(-10, 0), lambda made: not EDIT(made)),
    "a length in words": Break("duration", no_number, lambda made: not EDIT(made)),
    "both frames, and neither 5 nor 10 s": Break(
        "duration", st.sampled_from([1, 2, 3, 4, 6, 7, 8, 9]), lambda made: "last_frame" in made
    ),
    "a last frame without a first": Break("last_frame", st.none(), FRAMES, from_last_alone, last_alone_sent),
    "more than 7 reference images": Break(
        "reference_images", some_pictures(8), with_inputs("reference_images", "reference_videos")
    ),
    "more than 4 reference images in an edit": Break("reference_images", some_pictures(5), EDIT),
    "frames with reference images": Break("reference_images", some_pictures(1), FRAMES, of_two=True),
    "frames with reference videos": Break("reference_videos", some_videos, FRAMES, of_two=True),
    "frames with a video to edit": Break("video", videos, FRAMES, of_two=True),
    "a video to edit with reference videos": Break(
        "video",
        some_videos,
        EDIT,
        write=lambda made, value: put(made, "reference_videos", value),
        send=lambda request, value: put(request, "inputs.referenceVideos", value),
        of_two=True,
    ),
    "original sound, in words": Break("keep_original_sound", no_flag, with_inputs("video", "reference_videos")),
    "too many takes, or none": Break("takes", st.one_of(st.integers(5, 100), st.integers(-4, 0))),
    "another format": Break("output_format", st.sampled_from(["AVI", "mkv", "MP5", "M4V", "GIF", "mp4a", 4])),
    "a quality out of range": Break("output_quality", st.one_of(st.integers(-100, 19), st.integers(100, 1000))),
    "a quality in words": Break("output_quality", no_number),
    "a lifetime that is too short": Break("ttl", st.integers(-60, 59)),
    "a lifetime in words": Break("ttl", no_number),
    "another way to check": Break(
        "safety",
        st.sampled_from(["slow", "FULL", "on", "keyframes"]),
        write=lambda made, word: put(made, "safety", {"mode": word}),
    ),
    "checks, in words": Break(
        "safety.check_content", no_flag, write=lambda made, word: put(made, "safety", {"check_content": word})
    ),
    "the unknown key seed": Break("seed", st.integers(0, 99)),
    "the unknown key cfg_scale": Break("cfg_scale", st.integers(0, 99)),
}


@st.composite
def films(draw: st.DrawFn, fits: Fits) -> Keys:
    """A film of one shot that a rule can be broken in."""
    made = draw(shot(None, 0, careful=True).filter(fits))
    made["prompt"] = f"A {made['prompt']}."
    model = draw(st.sampled_from([STANDARD, PRO]))
    return {"model": model, "size": draw(st.sampled_from(SIZES[model])), "shots": [made]}


@pytest.mark.thorough
@pytest.mark.parametrize("name", BREAKS)
@settings(
    max_examples=max(1, -(-EXAMPLES // len(BREAKS))),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(data=st.data())
def test_one_broken_rule_is_one_refusal_on_both_sides(name: str, data: st.DataObject) -> None:
    rule = BREAKS[name]
    film = data.draw(films(rule.fits))
    value = data.draw(rule.values)
    (one,) = planned(film, Decimal(6))[0].shots
    request = {**one.request, "taskUUID": str(uuid.uuid4())}
    read_order(request)

    with pytest.raises(StoryboardError) as refused:
        planned(rule.film(film, value), Decimal(6))
    with pytest.raises(WireError) as refused_there:
        read_order(rule.request(request, value))

    (problem,) = refused.value.problems
    assert problem.key == rule.key
    assert problem.line is not None
    assert problem.accepted
    named = re.findall(r"'(\w+)'", problem.message) if rule.of_two else [rule.key]
    assert rule.key in named
    told = refused_there.value.parameter
    assert told is not None
    assert {name for key in named for name in PARAMETERS[key].split()} == {*([told] if isinstance(told, str) else told)}
    assert refused_there.value.http_status == 400


def test_every_key_that_a_shot_sends_is_broken_somehow() -> None:
    assert {rule.key for rule in BREAKS.values()} | {"first_frame"} == set(PARAMETERS)


# Pictures and videos: real files, looked at by both sides

Write = Callable[[Path], object]


def still(width: int, height: int, kind: str = "PNG", *, size_bytes: int = 0, cut_bytes: int = 0) -> Write:
    """A picture; with bytes behind it up to `size_bytes`, or some missing at its end."""

    def write(path: Path) -> None:
        content = io.BytesIO()
        Image.linear_gradient("L").resize((width, height)).convert("RGB").save(content, kind)
        data = content.getvalue()
        path.write_bytes(data[: len(data) - cut_bytes] + bytes(max(0, size_bytes - len(data))))

    return write


def footage(frames: int, suffix: str = "mp4", **written: Any) -> Write:
    """A video of 24 frames a second, whatever the name of its file."""
    return lambda path: tiny_clip(path.with_name(f"written.{suffix}"), frames, **written).rename(path)


def text(path: Path) -> None:
    path.write_text("neither a picture nor a video")


PICTURE_USES = ["first_frame", "reference_images"]
VIDEO_USES = ["video", "reference_videos"]
REFUSED: dict[str, tuple[list[str], Write]] = {
    "a WebP": (PICTURE_USES, still(400, 400, "WEBP")),
    "a GIF": (PICTURE_USES, still(400, 400, "GIF")),
    "a BMP": (PICTURE_USES, still(400, 400, "BMP")),
    "299 pixels wide": (PICTURE_USES, still(299, 400)),
    "299 pixels high": (PICTURE_USES, still(400, 299, "JPEG")),
    "too high": (PICTURE_USES, still(300, 751)),
    "too wide": (PICTURE_USES, still(751, 300)),
    "a byte more than 10 MB": (PICTURE_USES, still(400, 400, size_bytes=10_000_001)),
    "cut short": (PICTURE_USES, still(400, 400, cut_bytes=300)),
    "no picture": (PICTURE_USES, text),
    "shorter than 3 s": (VIDEO_USES, footage(70)),
    "longer than 10 s and a frame": (VIDEO_USES, footage(101, rate=10)),
    "a WebM": (VIDEO_USES, footage(80, "webm", codec="libvpx")),
    "a Matroska": (VIDEO_USES, footage(80, "mkv")),
    "an AVI": (VIDEO_USES, footage(80, "avi", codec="mpeg4")),
    "no video": (VIDEO_USES, text),
}
TAKEN: dict[str, tuple[list[str], Write]] = {
    "the smallest": (PICTURE_USES, still(300, 300, "JPEG")),
    "the highest": (PICTURE_USES, still(300, 750)),
    "the widest": (PICTURE_USES, still(750, 300)),
    "just 10 MB": (PICTURE_USES, still(400, 400, size_bytes=10_000_000)),
    "the shortest": (VIDEO_USES, footage(72)),
    "the longest": (VIDEO_USES, footage(241)),
    "a MOV": (VIDEO_USES, footage(80, "mov")),
}


def uses(of: dict[str, tuple[list[str], Write]]) -> pytest.MarkDecorator:
    cases = [pytest.param(key, write, id=f"{name}-{key}") for name, (keys, write) in of.items() for key in keys]
    return pytest.mark.parametrize(("key", "write"), cases)


async def planned_with_file(folder: Path, key: str) -> Plan:
    """The plan of one shot whose input is the file `given`, which tells nothing by its name."""
    value: object = ["./given"] if key.startswith("reference") else "./given"
    text = json.dumps({"shots": [{"id": "a", "prompt": "A tram", key: value}]})
    board = read_storyboard(folder / "film.json", text=text)
    return build_plan(board, await inspect_inputs(board, folder / "cache", formats=input_formats()), PROVIDER)


def answered_with_file(folder: Path, key: str) -> dict[str, Any]:
    """What the provider answers to that shot when the same file is what a URL shows."""
    sized = {} if key in {"first_frame", "video"} else {"width": 1280, "height": 720}
    value: object = f"{SITE}given" if key == "video" else [f"{SITE}given"]
    name = PARAMETERS[key].removeprefix("inputs.")
    task = {"taskType": "videoInference", "taskUUID": str(uuid.uuid4()), "model": STANDARD, "positivePrompt": "A tram"}
    state = folder / "state"
    with open_desk(state, folder) as desk:
        shutil.copy(folder / "given", state / "given")
        (state / "remote.json").write_text(json.dumps({f"{SITE}given": {"file": "given"}}))
        return desk.answer([{**task, **sized, "inputs": {name: value}}], ORIGIN).body


@uses(REFUSED)
async def test_a_file_that_the_model_does_not_take_is_refused_on_both_sides(
    tmp_path: Path, key: str, write: Write
) -> None:
    write(tmp_path / "given")

    with pytest.raises(StoryboardError) as refused:
        await planned_with_file(tmp_path, key)
    (error,) = answered_with_file(tmp_path, key)["errors"]

    (problem,) = refused.value.problems
    assert problem.key is not None
    assert problem.key.partition("[")[0] == key
    assert problem.accepted
    assert error["parameter"] == PARAMETERS[key]
    assert str(tmp_path) not in json.dumps(error)
    assert "object at" not in error["message"]


async def test_a_damaged_file_and_another_format_get_the_same_advice(tmp_path: Path) -> None:
    told = []
    for write in (still(400, 400, cut_bytes=300), still(400, 400, "WEBP")):
        write(tmp_path / "given")
        with pytest.raises(StoryboardError) as refused:
            await planned_with_file(tmp_path, "first_frame")
        told.append(refused.value.problems[0].accepted)

    assert told == ["a picture that is whole: JPEG or PNG", "JPEG or PNG"]


@uses(TAKEN)
async def test_a_file_that_is_just_within_the_limits_is_taken_on_both_sides(
    tmp_path: Path, key: str, write: Write
) -> None:
    write(tmp_path / "given")

    assert (await planned_with_file(tmp_path, key)).unpinned == ()
    assert "errors" not in answered_with_file(tmp_path, key)
