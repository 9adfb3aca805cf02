"""One render makes several deliverables of the clips that there are; what becomes of them stands in the manifest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.batch import batch
from flows.render import render
from tasks.emulator.server import EmulatorServer
from tasks.emulator.settings import EmulatorSettings
from tasks.errors import Incomplete, SettingsError
from tasks.media.ffmpeg import binary
from tasks.progress import Event, Stage, watch
from tests.flows.conftest import Home, Shotchain
from tests.flows.test_render import books, decoded_frames, manifest_at

pytestmark = [pytest.mark.usefixtures("on_server"), pytest.mark.runs]

BOARD = "shots: [{id: a, prompt: A calm lake, duration: 1, caption: Dawn}]"
SMALL = """
presets:
  small: {container: mp4, max_width: 160}
  smaller: {container: webm, codec: av1, max_width: 128}
  coded: {container: mp4, codec: h265, max_width: 160}
  moving: {container: gif, max_width: 64, fps: 10}
"""


@pytest.fixture
def presets(home: Home) -> str:
    return str(home.storyboard(SMALL, "presets.yaml"))


@pytest.fixture
def runware(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatorServer]:
    monkeypatch.setenv("RUNWARE_API_KEY", "key-of-the-tests")
    with EmulatorServer(EmulatorSettings(instant=True, latency_s=0.0)) as server:
        yield server


def lacking(home: Home, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Let ffmpeg be a program that does something else first."""
    program = home.folder / "ffmpeg"
    program.write_text(f'#!/bin/sh\n{script}\nexec "{binary()}" "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(program))


@pytest.mark.quick
async def test_several_of_one_render_and_more_of_them_without_generating(
    home: Home, presets: str, runware: EmulatorServer
) -> None:
    board, film = home.storyboard(BOARD), home.folder / "films" / "lake.mp4"

    async def rendered(*deliver: str) -> dict[str, Any]:
        wanted: dict[str, Any] = {"deliver": list(deliver), "deliverables": presets}
        told: dict[str, Any] = await render(str(board), str(film), base_url=runware.base_url, **wanted)
        return told

    told = await rendered("small", "moving", "small")
    assert told["deliverables"] == {
        "small": str(film.with_name("lake.small.mp4")),
        "moving": str(film.with_name("lake.moving.gif")),
    }
    again = await rendered("small", "smaller")

    assert (again["generated"], again["reused"], again["cost_usd"]) == (0, 1, "0.00")
    assert books(runware)["counts"]["videoInference"] == 1
    there = {path.name for path in film.parent.iterdir()}
    assert {"lake.mp4", "lake.small.mp4", "lake.smaller.webm"} <= there
    assert "lake.moving.gif" not in there  # nobody asked for it any more
    small, smaller = manifest_at(again["manifest"])["deliverables"]
    assert (small["file"], small["codec"], small["width"], small["height"]) == ("lake.small.mp4", "h264", 160, 90)
    assert (smaller["file"], smaller["codec"], smaller["captions_codec"]) == ("lake.smaller.webm", "av1", "webvtt")
    for facts in (small, smaller):
        path = film.with_name(facts["file"])
        assert hashlib.sha256(path.read_bytes()).hexdigest() == facts["sha256"]
        assert path.stat().st_size == facts["size_bytes"]
        assert decoded_frames(path) == facts["frames"] == again["frames"] == 25
    assert (small["marked"], small["signed"]) == (True, False)


async def test_in_a_folder_of_its_own_they_are_called_after_the_film(home: Home, presets: str) -> None:
    told = await render(
        str(home.storyboard(BOARD)), str(home.folder / "out"), "emulator", deliver=["moving"], deliverables=presets
    )

    assert told["deliverables"] == {"moving": str(home.folder / "out" / "film.moving.gif")}


async def test_one_that_fails_takes_along_neither_the_film_nor_the_others(
    home: Home, presets: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking(home, monkeypatch, 'case "$*" in *libx265*) echo "no such luck" >&2; exit 1;; esac')
    board, film = home.storyboard(BOARD), home.folder / "lake.mp4"
    wanted: dict[str, Any] = {"deliver": ["coded", "small"], "deliverables": presets}

    with pytest.raises(Incomplete, match="every shot is made and kept; the film is whole; without coded") as caught:
        await render(str(board), str(film), "emulator", **wanted)

    assert caught.value.exit_code == 5
    assert "'coded' is not delivered: ffmpeg could not encode 'coded' (exit code 1): no such luck" in str(caught.value)
    assert (decoded_frames(film), decoded_frames(home.folder / "lake.small.mp4")) == (25, 25)
    manifest = manifest_at(caught.value.summary["manifest"])
    assert [it["preset"] for it in manifest["deliverables"]] == ["small"]
    assert any("'coded' is not delivered" in warning for warning in manifest["warnings"])

    monkeypatch.delenv("IMAGEIO_FFMPEG_EXE")
    told = await render(str(board), str(film), "emulator", **wanted)
    assert list(told["deliverables"]) == ["coded", "small"]
    assert told["generated"] == 0


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"deliver": ["squre-1080"]}, r"no deliverable 'squre-1080' \(did you mean 'square-1080'\?\)"),
        ({"deliver": ["small"]}, "no deliverable 'small'"),
        ({"deliver": ["gif"], "deliverables": "none.yaml"}, "the presets cannot be read"),
        ({"deliver": ["webm-vp9"], "sign": "required"}, "'webm-vp9' cannot be signed|certificate"),
    ],
)
@pytest.mark.quick
async def test_what_cannot_be_made_is_told_before_anything_is_paid(
    home: Home, runware: EmulatorServer, wanted: dict[str, Any], said: str
) -> None:
    board, film = home.storyboard(BOARD), home.folder / "lake.mp4"

    with pytest.raises(SettingsError, match=said):
        await render(str(board), str(film), base_url=runware.base_url, **wanted)
    assert books(runware)["counts"]["videoInference"] == 0
    assert not film.exists()


async def test_one_that_cannot_be_published_takes_along_nothing_else(home: Home, presets: str) -> None:
    board, film = home.storyboard(BOARD), home.folder / "lake.mp4"
    in_the_way = home.folder / "lake.moving.gif"
    wanted: dict[str, Any] = {"deliver": ["moving", "small"], "deliverables": presets}

    def obstruct(event: Event) -> None:
        if event.stage is Stage.PUBLISHING:
            in_the_way.mkdir()

    watch(obstruct)
    try:
        with pytest.raises(Incomplete, match="the film is whole; without moving") as caught:
            await render(str(board), str(film), "emulator", **wanted)
    finally:
        watch(lambda _: None)
    assert caught.value.exit_code == 5
    assert caught.value.summary["deliverables"] == {"small": str(home.folder / "lake.small.mp4")}
    manifest = manifest_at(caught.value.summary["manifest"])
    assert manifest["film"]["sha256"] == hashlib.sha256(film.read_bytes()).hexdigest()
    assert [it["preset"] for it in manifest["deliverables"]] == ["small"]
    assert caught.value.summary["warnings"] == manifest["warnings"]
    assert "'moving' is not delivered: " in manifest["warnings"][-1]

    in_the_way.rmdir()
    told = await render(str(board), str(film), "emulator", **wanted)
    assert (list(told["deliverables"]), told["generated"]) == (["moving", "small"], 0)


async def test_a_file_of_ones_own_is_told_of_before_anything_is_paid_and_stays(
    home: Home, presets: str, runware: EmulatorServer
) -> None:
    board, own = home.storyboard(BOARD), home.folder / "lake.small.mp4"
    own.write_text("cut by hand")
    film = str(home.folder / "lake.mp4")

    with pytest.raises(SettingsError, match=r"lake\.small\.mp4 is there, and is no deliverable of this film"):
        await render(str(board), film, base_url=runware.base_url, deliver=["small"], deliverables=presets)
    assert books(runware)["counts"]["videoInference"] == 0
    assert own.read_text() == "cut by hand"


@pytest.mark.parametrize("becomes", [None, "presets: {small: {container: mp5}}"])
async def test_presets_are_those_from_before_the_clips_were_paid_whatever_becomes_of_their_file(
    home: Home, presets: str, becomes: str | None
) -> None:
    def spoil(event: Event) -> None:
        if event.stage is Stage.JOINING:
            path = Path(presets)
            path.unlink() if becomes is None else path.write_text(becomes)

    watch(spoil)
    try:
        told = await render(
            str(home.storyboard(BOARD)), str(home.folder / "a.mp4"), "emulator", deliver=["small"], deliverables=presets
        )
    finally:
        watch(lambda _: None)
    assert told["deliverables"] == {"small": str(home.folder / "a.small.mp4")}
    assert manifest_at(told["manifest"])["deliverables"][0]["settings"]["max_width"] == 160


async def test_an_encoder_that_is_not_there_is_told_before_anything_is_paid(
    home: Home, runware: EmulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing = " ------\\n V..... libx264 words\\n"
    lacking(home, monkeypatch, f"case \"$*\" in *-encoders) printf '{listing}'; exit 0;; esac")
    board = home.storyboard(BOARD)

    with pytest.raises(SettingsError, match=r"'av1' cannot be delivered: .* without libsvtav1"):
        await render(str(board), str(home.folder / "a.mp4"), base_url=runware.base_url, deliver=["h264", "av1"])
    assert books(runware)["counts"]["videoInference"] == 0


async def test_a_batch_knows_which_films_have_their_deliverables(home: Home, presets: str) -> None:
    boards = home.folder / "boards"
    boards.mkdir()
    (boards / "lake.yaml").write_text(BOARD, encoding="utf-8")
    output = str(home.folder / "films")

    async def outcomes(*deliver: str) -> list[str]:
        wanted: dict[str, Any] = {"deliver": list(deliver), "deliverables": presets}
        told = await batch(str(boards), output, "emulator", run_on="here", **wanted)
        return [row["outcome"] for row in told["storyboards"]]

    assert await outcomes("small") == ["published"]
    assert await outcomes("small") == ["unchanged"]
    assert await outcomes("small", "moving") == ["published"]
    home.storyboard(SMALL.replace("max_width: 160}", "max_width: 144}", 1), "presets.yaml")
    assert await outcomes("small", "moving") == ["published"]
    told = json.loads((home.folder / "films" / "lake.manifest.json").read_text())
    assert told["deliverables"][0]["width"] == 144


async def test_a_deliverable_takes_no_other_films_name(home: Home, presets: str) -> None:
    boards = home.folder / "boards"
    boards.mkdir()
    for name in ("lake.yaml", "lake.small.yaml"):
        (boards / name).write_text(BOARD, encoding="utf-8")

    with pytest.raises(Incomplete) as caught:
        await batch(
            str(boards), str(home.folder / "films"), "emulator", deliver=["small"], deliverables=presets, run_on="here"
        )
    rows = {row["name"]: row for row in caught.value.summary["storyboards"]}
    assert rows["lake.small"]["outcome"] == "published"
    assert "'small' would have the name of the film of 'lake.small'" in rows["lake"]["error"]["message"]


def test_on_the_command_line(home: Home, presets: str, shotchain: Shotchain) -> None:
    home.storyboard(BOARD)
    wanted = ["render", "board.yaml", "--provider", "emulator", "--deliver", "small", "--deliver", "moving"]

    ran = shotchain(*wanted, SHOTCHAIN_DELIVERABLES=presets)

    assert ran.code == 0
    assert ran.out.startswith("board.small.mp4\nboard.moving.gif\nboard.mp4: 25 frames")
    assert "film: delivered: small" in ran.err
    refused = shotchain(*wanted)
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.startswith("error: there is no deliverable 'small'\n    Accepted: h264, h265, av1,")
