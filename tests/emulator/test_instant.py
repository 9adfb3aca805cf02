"""Instant clips: the right shape, at once, from few files; edits are like their sources."""

from __future__ import annotations

import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import pytest

from tasks.emulator import EmulatorServer, EmulatorSettings
from tasks.emulator.instant import VARIANTS

if TYPE_CHECKING:
    from tests.emulator.conftest import Api, Faulty, Pictures


@pytest.fixture(scope="module")
def quick(api: Api, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    settings = EmulatorSettings(instant=True, frames_per_second=3, state_dir=tmp_path_factory.mktemp("state"))
    with EmulatorServer(settings) as server:
        client = type(api)(server)
        yield client
        client.http.close()


def state_of(api: Api) -> Path:
    assert api.server.settings.state_dir is not None
    return api.server.settings.state_dir


@pytest.mark.parametrize("size", [(1280, 720), (720, 1280)])
def test_a_clip_has_the_size_length_and_rate_that_were_asked_for(
    quick: Api, tmp_path: Path, size: tuple[int, int]
) -> None:
    width, height = size
    path = quick.download(quick.make(quick.text_task(width=width, height=height)), tmp_path)

    with av.open(path) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        assert (stream.width, stream.height, stream.average_rate) == (width, height, Fraction(3))
        assert len(frames) == 16
    assert path.stat().st_size < 200_000


def test_many_results_share_few_files_and_each_has_its_own_name(quick: Api) -> None:
    results = [quick.make(quick.text_task(positivePrompt=f"Shot {number}")) for number in range(30)]

    assert len({result["videoUUID"] for result in results}) == len({result["seed"] for result in results}) == 30
    contents = {quick.http.get(result["videoURL"]).content for result in results}
    assert 1 < len(contents) <= VARIANTS
    videos = [state_of(quick) / "videos" / f"{result['videoUUID']}.mp4" for result in results]
    assert len({video.stat().st_ino for video in videos}) <= VARIANTS


def test_once_it_is_made_a_result_is_there_with_the_first_question(quick: Api) -> None:
    for number in range(20):
        quick.make(quick.text_task(positivePrompt=f"Warm {number}"))

    task_uuid = quick.submit(quick.text_task())
    assert quick.poll(task_uuid)["data"][0]["status"] == "success"


def test_the_usual_latency_is_none_and_one_that_is_given_counts() -> None:
    assert EmulatorSettings(instant=True).result_after_s == 0
    assert EmulatorSettings().result_after_s == 2
    assert EmulatorSettings(instant=True, latency_s=0.5).result_after_s == 0.5


def test_an_edit_has_its_sources_size_length_and_sound(quick: Api, pictures: type[Pictures], tmp_path: Path) -> None:
    source = pictures.video(tmp_path / "source.mp4", frames=30, rate=10, sound=True)
    media = quick.upload(source.read_bytes())["mediaUUID"]
    keep = {"providerSettings": {"klingai": {"keepOriginalSound": True}}}
    for fields, sounds in ((keep, 1), ({}, 0)):
        path = quick.download(quick.make(quick.media_task({"video": media}, **fields)), tmp_path)
        with av.open(path) as container:
            frames = list(container.decode(video=0))
            assert (len(frames), frames[0].width, frames[0].height) == (30, 640, 360)
            assert len(container.streams.audio) == sounds


def test_a_variant_is_made_once_too(faulty: Faulty, tmp_path: Path) -> None:
    faulty.set({"fault": "media", "codec": "hevc", "frames": 4})
    for _ in range(5):
        path = faulty.download(faulty.make(faulty.text_task()), tmp_path)
        with av.open(path) as container:
            assert container.streams.video[0].codec_context.name == "hevc"
            assert container.streams.video[0].frames == 4

    faulty.set({"fault": "media", "container": "webm"})
    path = faulty.download(faulty.make(faulty.text_task()), tmp_path)
    assert path.suffix == ".mp4"
    assert path.read_bytes()[:4] == b"\x1aE\xdf\xa3"


def test_a_take_costs_milliseconds(quick: Api) -> None:
    for number in range(20):
        quick.make(quick.text_task(positivePrompt=f"Warm {number}"))

    started = time.perf_counter()
    for _ in range(40):
        quick.http.get(quick.make(quick.text_task())["videoURL"])
    # About 8 ms a take on a quiet machine; far more would mean that something is rendered, or waits.
    assert (time.perf_counter() - started) / 40 < 0.05
