"""What the run's page is made of: a sheet that keeps to its size, small pictures, and words."""

from __future__ import annotations

import base64
import io
import logging
import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from flows.page.film import film_of
from flows.page.pictures import data_uri, ends_of, small_jpeg
from flows.page.sheet import MOST_CHARS, layout_for, sheet_of
from flows.page.tables import bill_of, graph_of, plan_of
from flows.page.words import line_of, plain
from tasks.errors import MediaError
from tasks.plan.build import build_plan
from tasks.progress import Event, Stage
from tasks.publish.targets import targets_of
from tasks.storyboard.read import read_storyboard

NOISE = Image.frombytes("RGB", (640, 360), random.Random(7).randbytes(640 * 360 * 3))


def uri_image(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB")


@given(st.integers(1, 5000))
def test_the_sheet_keeps_to_its_size_whatever_the_number_of_shots(count: int) -> None:
    layout = layout_for(count)
    longest = "x" * layout.most_chars
    shots = [f"{'_' * 60}{index}" for index in range(count)]  # every character of these is escaped
    sheet = sheet_of("t" * 5000, shots, dict.fromkeys(shots, (longest,) * layout.pictures), layout)
    assert len(sheet) <= MOST_CHARS
    assert layout.most_chars <= 8_000
    assert sheet.count(longest) == len(layout.shots) * layout.pictures
    assert {0, count - 1} <= layout.shots


@pytest.mark.parametrize(
    ("count", "pictures", "width", "shown"),
    [(1, 2, 160, 1), (12, 2, 160, 12), (40, 2, 160, 40), (60, 2, 112, 60), (85, 2, 80, 85), (170, 1, 80, 170)],
)
def test_more_shots_have_smaller_pictures_then_fewer(count: int, pictures: int, width: int, shown: int) -> None:
    layout = layout_for(count)
    assert (layout.pictures, layout.width, len(layout.shots)) == (pictures, width, shown)


def test_a_sheet_that_leaves_something_out_says_so() -> None:
    shots = [f"s{index}" for index in range(1000)]
    sheet = sheet_of("Long", shots, {}, layout_for(1000))
    assert "of 1000 shots, the first frame of each" in sheet
    assert "The first frame of each shot" in sheet_of("Some", shots[:150], {}, layout_for(150))


def test_a_shot_without_pictures_has_a_dash() -> None:
    sheet = sheet_of("A *film*", ["a", "b"], {"a": ("data:x", "data:y"), "b": ()}, layout_for(2))
    assert sheet.splitlines() == [
        "## A \\*film\\*",
        "",
        "| first frame | last frame |",
        "|---|---|",
        "| ![first frame](data:x) a | ![last frame](data:y) \N{NO-BREAK SPACE} |",
        "| – b | – \N{NO-BREAK SPACE} |",
    ]


@pytest.mark.parametrize("most_chars", [8_000, 3_600, 1_600, 900])
def test_a_picture_is_coarser_then_smaller_until_it_fits(most_chars: int) -> None:
    uri = data_uri(small_jpeg(NOISE, 160, most_chars))
    assert len(uri) <= most_chars
    assert uri_image(uri).width <= 160


def film_with_markers(path: Path, frames: int, *, gop: int) -> None:
    """Red first, blue last, grey between."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24, options={"g": str(gop), "bf": "2"})
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        for index in range(frames):
            colour = (255, 0, 0) if index == 0 else (0, 0, 255) if index == frames - 1 else (128, 128, 128)
            picture = np.full((180, 320, 3), colour, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


@pytest.mark.parametrize(("frames", "gop"), [(1, 48), (2, 48), (49, 48), (121, 48), (121, 1000)])
def test_the_ends_of_a_video_are_its_first_and_its_last_frame(tmp_path: Path, frames: int, gop: int) -> None:
    video = tmp_path / "clip.mp4"
    film_with_markers(video, frames, gop=gop)
    first, last = (uri_image(uri) for uri in ends_of(video, width=160, most_chars=8_000))
    assert first.size == last.size == (160, 90)
    red, blue = (np.asarray(image).reshape(-1, 3).mean(axis=0) for image in (first, last))
    if frames > 1:  # else the one frame is both
        assert red.argmax() == 0
        assert red.max() - red.min() > 150
        assert blue.argmax() == 2
        assert blue.max() - blue.min() > 150
    else:
        assert np.allclose(red, blue)


def test_what_is_no_video_has_no_pictures(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"no video")
    with pytest.raises(MediaError):
        ends_of(tmp_path / "clip.mp4", width=160, most_chars=8_000)


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (Event(Stage.GENERATING, "harbor", 1), "harbor: generating"),
        (Event(Stage.GENERATING, "many", 2), "many · take 2: generating"),
        (Event(Stage.STORED, "harbor", 1, Decimal("0.42")), "harbor: stored, $0.42"),
        (Event(Stage.REUSED, "harbor", 1), "harbor: reused"),
        (Event(Stage.RETRYING, "harbor", 1, message="busy; try 2"), "harbor: retrying: busy; try 2"),
        (Event(Stage.FAILED, "harbor", message="refused\nby moderation"), "harbor: failed: refused by moderation"),
        (Event(Stage.JOINING), "film: joining the shots"),
        (Event(Stage.NOTE, message="the ledger is slow"), "film: the ledger is slow"),
    ],
)
def test_each_step_is_a_line_that_a_producer_understands(event: Event, line: str) -> None:
    said = line_of(event, {"many"})
    assert said is not None
    assert said[1] == line


def test_what_says_nothing_is_no_line() -> None:
    assert line_of(Event(Stage.SUBMITTING, "harbor", 1)) is None
    assert line_of(Event(Stage.DONE)) is None
    assert line_of(Event(Stage.NOTE)) is None


def test_a_line_holds_no_secret_and_no_picture_and_is_not_long() -> None:
    message = f"https://x/?token=abc123456789 data:image/png;base64,{'A' * 500} {'word ' * 500}"
    said = line_of(Event(Stage.RETRYING, "harbor", message=message))
    assert said is not None
    assert said[0] == logging.WARNING
    assert "abc123456789" not in said[1]
    assert "AAAA" not in said[1]
    assert len(said[1]) < 450


def test_what_a_user_calls_things_is_shown_as_it_is() -> None:
    assert plain("a | b\n<img src=x> [link](http://x) `c`") == (
        "a \\| b &lt;img src=x&gt; \\[link\\](http://x) \\`c\\`"
    )


def test_takes_of_one_clip_are_paid_for_once(tmp_path: Path) -> None:
    board = tmp_path / "board.yaml"
    board.write_text("shots: [{id: a, prompt: A lake}, {id: b, prompt: A lake}, {id: c, prompt: A hill, takes: 2}]")
    plan = build_plan(read_storyboard(str(board)), {}, "emulator")
    _, rows = plan_of(plan, {plan.shots[2].takes[0].content_key})
    assert [row["price"] for row in rows] == ["$0.42", "shared", "1 reused, $0.42"]


def test_a_graph_that_could_not_be_drawn_is_said(tmp_path: Path) -> None:
    board = tmp_path / "board.yaml"
    board.write_text("shots: [{id: a, prompt: A lake}]")
    plan = build_plan(read_storyboard(str(board)), {}, "emulator")
    assert graph_of(plan, "flowchart LR\n") == "```mermaid\nflowchart LR\n```\n"
    assert "1 shots are too many" in graph_of(plan, "x" * 60_000)


def test_a_film_is_a_link_only_where_a_browser_can_open_it() -> None:
    facts = {"duration_s": 5, "frames": 121, "width": 1280, "height": 720}
    manifest = {"title": "A film", "cost_usd": "0.42", "film": facts}
    assert film_of(manifest, targets_of("https://films.example/out.mp4")).url == "https://films.example/out.mp4"
    signed = film_of(manifest, targets_of("https://films.example/token=1/out.mp4?signature=abcdefgh"))
    assert "abcdefgh" not in signed.markdown
    local = film_of(manifest, targets_of("/films/out.mp4"))
    assert local.url is None
    assert local.markdown == (
        "**A film**: 5 s, 121 frames, 1280 × 720, $0.42\n\n"
        "Film: `/films/out.mp4`\n\nManifest: `/films/out.manifest.json`\n"
    )


@pytest.mark.parametrize(
    ("provenance", "says"),
    [
        ({"signed": True, "signer": "A Studio", "why": None}, "$0.42; signed by A Studio"),
        ({"signed": False, "signer": None, "why": "signing is off"}, "$0.42; not signed: signing is off"),
        (None, "$0.42"),
    ],
)
def test_it_says_whether_the_film_is_signed(provenance: Any, says: str) -> None:
    film = {"duration_s": 5, "frames": 121, "width": 1280, "height": 720}
    manifest = {"title": "A film", "film": film, "cost_usd": "0.42", "provenance": provenance}

    assert film_of(manifest, targets_of("/films/out.mp4")).figures.endswith(says)


def test_the_bill_names_what_lies_beside_the_film() -> None:
    manifest = {"title": "Harbor", "film": {"frames": 24}, "cost_usd": "0.42", "shots": [], "deliverables": []}
    files = [{"file": "film.square-1080.mp4"}, {"file": "film.gif.gif"}]

    alone, _ = bill_of(manifest, "out/film.mp4")
    both, _ = bill_of({**manifest, "deliverables": files}, "out/film.mp4")

    assert alone == "**Harbor**: paid $0.42 for 24 frames, published to out/film.mp4"
    assert both == f"{alone}, with film.square-1080.mp4, film.gif.gif beside it"
