"""What a storyboard says of transitions, sound and words is in the film, and stands in its manifest."""

from __future__ import annotations

import asyncio
import hashlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from flows.render import render
from tasks.emulator.server import EmulatorServer
from tasks.emulator.settings import EmulatorSettings
from tasks.errors import BadInput, Incomplete, MediaError, StorageUnreachable
from tasks.media.ffmpeg import binary
from tasks.progress import Event, Stage, watch
from tests.flows.conftest import Home
from tests.flows.test_render import Refusing, books, decoded_frames, manifest_at
from tests.media.tones import tone_file

pytestmark = [pytest.mark.usefixtures("on_server"), pytest.mark.runs]

EVERYTHING = """
title: Everything
size: 1280x720
music: {source: theme.wav, gain_db: -6, fade_out: 1}
ending: {kind: fade, duration: 0.5}
shots:
  - {id: lake, prompt: A calm lake at dawn, duration: 1, transition: fade, caption: "Dawn & <mist>"}
  - {id: hill, prompt: A green hill, duration: 1, transition: {kind: dissolve, duration: 0.25}, narration: voice.wav}
  - {id: further, prompt: The hill goes on, duration: 1, boundary: continue, caption: "It goes on."}
  - {id: town, prompt: A town, duration: 1, transition: {kind: fade, duration: 0.5}}
"""


def level_at(film: Path, begin_s: float, end_s: float, hertz: float) -> float:
    """How loud a tone is in a stretch of a film's sound."""
    with av.open(str(film)) as container:
        sound = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    part = sound[round(begin_s * 48_000) : round(end_s * 48_000)]
    at_s = np.arange(len(part)) / 48_000
    return float(np.abs(np.mean(part * np.exp(-2j * np.pi * hertz * at_s))))


def brightnesses(film: Path) -> list[float]:
    """How bright each frame is on average, in code values above black."""
    with av.open(str(film)) as container:
        return [float(frame.to_ndarray(format="gray").mean()) for frame in container.decode(video=0)]


@pytest.mark.parametrize("stage", [Stage.JOINING, Stage.PUBLISHING])
async def test_what_the_system_says_of_a_file_is_told_and_what_is_paid_is_kept(home: Home, stage: Stage) -> None:
    def obstruct(event: Event) -> None:
        if event.stage is stage:
            [scratch] = (path for path in (home.folder / "cache" / "scratch").iterdir() if path.is_dir())
            (scratch / ("captions.srt" if stage is Stage.JOINING else "manifest.json")).mkdir()

    board = home.storyboard("shots: [{id: a, prompt: A calm lake, duration: 1, caption: Dawn}]")
    film = home.folder / "lake.mp4"
    watch(obstruct)
    try:
        with pytest.raises((Incomplete, StorageUnreachable), match=r"a file cannot be used: .*: Is a directory"):
            await render(str(board), str(film), "emulator")
    finally:
        watch(lambda _: None)
    told = await render(str(board), str(film), "emulator")
    assert (told["generated"], told["reused"]) == (0, 1)


@pytest.fixture
def everything(home: Home) -> Path:
    tone_file(home.folder / "theme.wav", 1.5, 330)
    tone_file(home.folder / "voice.wav", 0.5, 990)
    return home.storyboard(EVERYTHING)


@pytest.mark.quick
async def test_a_film_with_everything(home: Home, everything: Path) -> None:
    told = await render(str(everything), str(home.folder / "out"), provider="emulator")

    film, manifest = home.folder / "out" / "film.mp4", manifest_at(told["manifest"])
    # 25, 25, 24 and 25 frames, 6 of them of two shots at once.
    assert told["frames"] == 25 + 25 - 6 + 24 + 25 == decoded_frames(film)
    assert [shot["begin_frame"] for shot in manifest["plan"]["shots"]] == [0, 19, 44, 68]
    assert [shot["film"]["overlap_frames"] for shot in manifest["shots"]] == [0, 6, 0, 0]
    assert [shot["film"]["fade_out_frames"] for shot in manifest["shots"]] == [0, 0, 6, 12]
    assert [brightness > 20 for brightness in brightnesses(film)[-13:]] == [True] * 10 + [False] * 3
    names = [sidecar["file"] for sidecar in manifest["sidecars"]]
    assert sorted(names) == ["captions.srt", "captions.vtt", "contact.jpg", "poster.jpg"]
    assert sorted(path.name for path in film.parent.iterdir()) == sorted([*names, "film.mp4", "manifest.json"])
    assert (film.parent / "captions.srt").read_text().startswith("1\n00:00:00,000 --> 00:00:00,792\nDawn & <mist>\n")
    with av.open(str(film)) as container:
        assert [chapter["metadata"]["title"] for chapter in container.chapters()] == ["lake", "hill", "further", "town"]
        assert len(container.streams.subtitles) == 1
    loudness = manifest["film"]["loudness"]
    assert abs(float(loudness["integrated_lufs"]) + 16) <= 0.5
    assert float(loudness["true_peak_dbtp"]) <= -1.5
    # The voice begins with its shot at 19/24 s; the music is there throughout, longer than it is itself.
    assert level_at(film, 0.9, 1.2, 990) > 20 * level_at(film, 0.2, 0.6, 990)
    assert level_at(film, 1.6, 2.4, 330) > 0.01


async def test_music_goes_down_under_a_voice(home: Home) -> None:
    tone_file(home.folder / "theme.wav", 12, 330)
    tone_file(home.folder / "voice.wav", 1.0, 990)
    board = home.storyboard(
        "music: {source: theme.wav, duck_db: 20, fade_out: 0}\n"
        "shots: [{id: a, prompt: A calm lake, duration: 4}, {id: b, prompt: A hill, narration: voice.wav}]"
    )

    await render(str(board), str(home.folder / "a.mp4"), provider="emulator")

    under, alone = level_at(home.folder / "a.mp4", 4.1, 4.9, 330), level_at(home.folder / "a.mp4", 2, 3, 330)
    assert 20 * np.log10(under / alone) == pytest.approx(-20, abs=1)


async def test_a_film_of_silent_music_says_so(home: Home) -> None:
    tone_file(home.folder / "theme.wav", 1, 0)
    board = home.storyboard("music: theme.wav\nshots: [{id: a, prompt: A calm lake, duration: 1}]")

    told = await render(str(board), str(home.folder / "a.mp4"), provider="emulator")

    assert any("nothing can be heard" in warning for warning in told["warnings"])


async def test_a_dissolve_waits_for_both_of_its_shots_and_for_nothing_else(home: Home, everything: Path) -> None:
    from prefect import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName

    await render.with_options(flow_run_name="dissolves")(str(everything), str(home.folder / "a.mp4"), "emulator")

    wanted = {
        "hill · dissolve": {"lake · take 1", "hill · take 1"},
        "lay sounds": {"plan"},
        "sound": {"lake · conform", "hill · conform", "further · conform", "town · conform", "lay sounds"},
        "join": {
            "lake · conform",
            "hill · conform",
            "further · conform",
            "town · conform",
            "hill · dissolve",
            "sound",
        },
    }
    async with get_client() as client:
        name = FlowRunFilter(name=FlowRunFilterName(any_=["dissolves"]))
        (run,) = await client.read_flow_runs(flow_run_filter=name)
        edges: dict[str, set[str]] = {}
        for _ in range(200):  # the server learns of task runs by events, a moment later
            nodes = (await client._client.get(f"/flow_runs/{run.id}/graph-v2")).json()["nodes"]
            labels = {node[0]: node[1]["label"] for node in nodes}
            edges = {node[1]["label"]: {labels[parent["id"]] for parent in node[1]["parents"]} for node in nodes}
            if all(wanted[label] <= edges.get(label, set()) for label in wanted):
                break
            await asyncio.sleep(0.2)
    assert {label: edges[label] & {*wanted[label], "town · take 1"} for label in wanted} == wanted


async def test_a_silent_film_has_no_sound_whatever_loudness_it_is_to_have(home: Home) -> None:
    board = home.storyboard("loudness: -23\nshots: [{id: a, prompt: A calm lake, duration: 1}]")

    told = await render(str(board), str(home.folder / "film.mp4"), provider="emulator")

    film = manifest_at(told["manifest"])["film"]
    assert (film["has_sound"], film["loudness"]) == (False, None)
    with av.open(str(home.folder / "film.mp4")) as container:
        assert not container.streams.audio
        assert not container.chapters()


async def test_a_slate_dissolves_like_any_shot(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNWARE_API_KEY", "key-of-the-tests")
    board = home.storyboard(
        """
        shots:
          - {id: lake, prompt: A calm lake, duration: 1}
          - {id: hill, prompt: Refuse me, transition: dissolve}
          - {id: town, prompt: A town, duration: 1, transition: dissolve}
        """
    )
    with EmulatorServer(EmulatorSettings(latency_s=0.0)) as server:
        refusing = Refusing(server.base_url, "Refuse me")
        with refusing, pytest.raises(Incomplete, match="the film shows slates") as caught:
            await render(str(board), str(home.folder / "film.mp4"), base_url=refusing.base_url, placeholder=True)

    assert caught.value.summary["frames"] == 25 + 121 + 25 - 24 == decoded_frames(home.folder / "film.mp4")


@pytest.fixture
def runware(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatorServer]:
    monkeypatch.setenv("RUNWARE_API_KEY", "key-of-the-tests")
    with EmulatorServer(EmulatorSettings(instant=True, latency_s=0.0)) as server:
        yield server


def spoil(sound: Path, output: Path) -> None:
    """A sound whose beginning is right, which is all that planning looks at."""
    options = ["-movflags", "+faststart"]
    subprocess.run([binary(), "-v", "error", "-i", str(sound), *options, str(output)], check=True)
    whole = output.read_bytes()
    output.write_bytes(whole[: len(whole) // 4] + bytes(len(whole) * 3 // 4))


async def test_sound_that_cannot_be_decoded_is_told_before_anything_is_paid(
    home: Home, runware: EmulatorServer
) -> None:
    tone_file(home.folder / "theme.wav", 3, 330)
    film = home.folder / "film.mp4"
    board = home.storyboard("music: theme.wav\nshots: [{id: a, prompt: A calm lake, duration: 1}]")
    told = await render(str(board), str(film), base_url=runware.base_url)
    spoil(home.folder / "theme.wav", home.folder / "theme.m4a")
    board.write_text("music: theme.m4a\nshots: [{id: a, prompt: Another lake, duration: 1}]")

    with pytest.raises(MediaError):
        await render(str(board), str(film), base_url=runware.base_url)
    assert (told["cost_usd"], books(runware)["total_usd"]) == ("0.42", "0.42")


async def test_a_film_goes_over_by_a_wipe(home: Home) -> None:
    board = home.storyboard(
        """
        defaults: {prompt: A lake, duration: 1}
        shots: [{id: a}, {id: b, transition: {kind: wipeup, duration: 0.25}}, {id: c, transition: fadeblack}]
        """
    )

    told = await render(str(board), str(home.folder / "film.mp4"), provider="emulator")

    assert told["frames"] == 25 + 25 - 6 + 25 - 12 == decoded_frames(home.folder / "film.mp4")
    assert [shot["film"]["overlap_frames"] for shot in manifest_at(told["manifest"])["shots"]] == [0, 6, 12]


async def test_a_clip_that_comes_a_frame_short_still_dissolves(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNWARE_API_KEY", "key-of-the-tests")
    # The longest transitions that are accepted: 118 of 121 frames.
    board = home.storyboard(
        """
        defaults: {prompt: A lake, transition: {kind: dissolve, duration: 2.4583}}
        shots: [{id: a}, {id: b}, {id: c}]
        """
    )
    with EmulatorServer(EmulatorSettings(instant=True, latency_s=0.0, extra_frame=False)) as server:
        told = await render(str(board), str(home.folder / "film.mp4"), base_url=server.base_url)

    assert told["frames"] == 3 * 120 - 2 * 59 == decoded_frames(home.folder / "film.mp4")


async def test_captions_of_a_film_before_go_even_if_a_run_between_failed(home: Home, runware: EmulatorServer) -> None:
    film, board = home.folder / "film.mp4", home.storyboard("shots: [{id: a, prompt: A lake, caption: Old words}]")
    await render(str(board), str(film), base_url=runware.base_url)
    assert (home.folder / "film.srt").is_file()

    board.write_text("shots: [{id: a, prompt: A lake}, {id: b, prompt: Refuse me}]")
    refusing = Refusing(runware.base_url, "Refuse me")
    with refusing, pytest.raises(Incomplete):
        await render(str(board), str(film), base_url=refusing.base_url)
    board.write_text("shots: [{id: a, prompt: A lake}]")
    await render(str(board), str(film), base_url=runware.base_url)

    assert not (home.folder / "film.srt").exists()


class TestSeams:
    """How clips are joined is chosen for the whole film."""

    CHAIN = """
        shots:
          - {id: lake, prompt: A calm lake at dawn}
          - {id: further, prompt: The lake ripples, boundary: continue}
        """

    async def test_lossless(self, home: Home) -> None:
        board = home.storyboard(self.CHAIN)

        told = await render(str(board), str(home.folder / "film.mp4"), provider="emulator", seam="lossless")

        film = manifest_at(told["manifest"])["film"]
        assert (film["seam"], told["frames"]) == ("lossless", 241)
        assert film["copied_frames"] / 241 >= 0.98
        assert decoded_frames(home.folder / "film.mp4") == 241

    async def test_auto_conforms_where_copying_is_not_safe_and_says_why(self, home: Home) -> None:
        board = home.storyboard("shots: [{id: a, prompt: A calm lake, duration: 1, transition: fade}]")

        told = await render(str(board), str(home.folder / "film.mp4"), provider="emulator", seam="auto")

        assert manifest_at(told["manifest"])["film"]["seam"] == "conform"
        assert any("fade" in warning for warning in told["warnings"])

    async def test_lossless_that_cannot_be_keeps_the_clips_and_says_why(self, home: Home) -> None:
        # Clips of other containers are no reason; of another codec they are, and only the clips tell.
        board = home.storyboard("shots: [{id: a, prompt: A calm lake, duration: 1, output_format: WEBM}]")

        with pytest.raises(Incomplete, match="every shot is made and kept; the film is not") as caught:
            await render(str(board), str(home.folder / "film.mp4"), provider="emulator", seam="lossless")
        (failure,) = caught.value.failures
        assert "cannot be joined without encoding them again" in failure.message
        assert (caught.value.exit_code, caught.value.summary["cost_usd"]) == (5, "0.42")
        assert manifest_at(caught.value.summary["manifest"])["film"] is None
        told = await render(str(board), str(home.folder / "film.mp4"), provider="emulator")
        assert (told["reused"], told["cost_usd"]) == (1, "0.00")

    @pytest.mark.parametrize(
        ("keys", "wanted", "reason"),
        [
            ("transition: fade}]", {}, "shot 'a' begins with a fade"),
            ("}]\nending: fade", {}, "the film ends with a fade"),
            ("}]", {"placeholder": True}, "a slate in place of a missing shot is no clip"),
        ],
    )
    async def test_lossless_that_cannot_be_by_the_storyboard_is_told_before_anything_is_paid(
        self, home: Home, runware: EmulatorServer, keys: str, wanted: dict[str, Any], reason: str
    ) -> None:
        board = home.storyboard(f"shots: [{{id: a, prompt: A calm lake, {keys}")

        with pytest.raises(BadInput, match=reason):
            await render(str(board), "f.mp4", base_url=runware.base_url, seam="lossless", **wanted)
        assert books(runware)["counts"]["posts"] == 0


class TestBurnedCaptions:
    async def test_they_are_in_the_picture(self, home: Home) -> None:
        board = home.storyboard("shots: [{id: a, prompt: A lake, duration: 1, caption: WORDS ON IT}]")
        plain, burned = home.folder / "plain.mp4", home.folder / "burned.mp4"

        await render(str(board), str(plain), provider="emulator")
        told = await render(str(board), str(burned), provider="emulator", burn_captions=True)

        assert manifest_at(told["manifest"])["finish"]["burn_captions"] is True
        one, other = (self.last_frame(film) for film in (plain, burned))
        changed = np.abs(one.astype(int) - other).max(axis=2) > 60
        rows = np.nonzero(changed.any(axis=1))[0]
        assert rows.min() > 720 * 0.8
        assert changed.sum() > 500

    async def test_letters_that_cannot_be_drawn_are_told_before_anything_is_paid(
        self, home: Home, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("RUNWARE_API_KEY", "key-of-the-tests")
        board = home.storyboard("shots: [{id: a, prompt: A lake, caption: 夜明け}]")
        with EmulatorServer(EmulatorSettings()) as server:
            with pytest.raises(BadInput, match="the built-in font has no '夜明け'") as caught:
                await render(str(board), str(home.folder / "film.mp4"), base_url=server.base_url, burn_captions=True)
            assert books(server)["counts"]["posts"] == 0
        assert caught.value.shot == "a"

    @staticmethod
    def last_frame(film: Path) -> Any:
        with av.open(str(film)) as container:
            return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)][-1]


async def test_timelines_open_where_the_folder_is_downloaded_to(home: Home, everything: Path) -> None:
    import opentimelineio as otio

    told = await render(str(everything), str(home.folder / "out"), provider="emulator", timeline=True)
    named = await render(str(everything), str(home.folder / "heron.mp4"), provider="emulator", timeline=True)

    moved = (home.folder / "out").rename(home.folder / "somewhere else")
    manifest = manifest_at(str(moved / "manifest.json"))
    timelines = {"timeline.otio", "timeline.xml", "timeline.fcpxml", "timeline.edl"}
    assert timelines <= {sidecar["file"] for sidecar in manifest["sidecars"]}
    for file in (*manifest["media"], *manifest["sidecars"]):
        assert hashlib.sha256((moved / file["file"]).read_bytes()).hexdigest() == file["sha256"]
    timeline = otio.adapters.read_from_file(str(moved / "timeline.otio"))
    assert timeline.duration().to_frames() == told["frames"]
    for clip in timeline.find_clips():
        for reference in clip.media_references().values():
            assert (moved / reference.target_url).is_file()
    assert {file["file"] for file in manifest["media"]} >= {"clips/lake-take1.mp4", "clips/hill-narration.wav"}
    # Films with names share a folder.
    assert {path.name for path in (home.folder / "heron-clips").iterdir()} >= {"lake-take1.mp4", "music.wav"}
    assert (home.folder / "heron.otio").is_file()
    assert named["frames"] == told["frames"]
