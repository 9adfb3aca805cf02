"""Clips look like the model's: codec, frames, colours, and the given pictures exactly where they belong."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Collection, Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace, Interpolation
from numpy.typing import NDArray
from PIL import Image

from tasks.emulator import EmulatorServer, EmulatorSettings

if TYPE_CHECKING:
    from tests.emulator.conftest import Api, Pictures

ACCURATE = (
    Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP
)


def decode(path: Path, only: Collection[int] | None = None) -> dict[int, NDArray[np.uint8]]:
    """Frames (all, or only those of these numbers) as RGB, with exact colours."""
    with av.open(path) as container:
        return {
            index: np.asarray(
                frame.reformat(
                    format="rgb24",
                    src_colorspace=Colorspace.ITU709,
                    dst_colorspace=Colorspace.ITU709,
                    src_color_range=ColorRange.MPEG,
                    dst_color_range=ColorRange.JPEG,
                    interpolation=ACCURATE,
                ).to_ndarray(),
                dtype=np.uint8,
            )
            for index, frame in enumerate(container.decode(video=0))
            if only is None or index in only
        }


def uri(pictures: type[Pictures], image: Image.Image) -> str:
    return "data:image/png;base64," + base64.b64encode(pictures.png(image)).decode()


@pytest.fixture(scope="module")
def api(api: Api) -> Iterator[Api]:
    """An emulator that renders, clips of few frames."""
    with EmulatorServer(EmulatorSettings(latency_s=0, frames_per_second=1)) as server:
        client = type(api)(server)
        yield client
        client.http.close()


@pytest.fixture(scope="module")
def real() -> Any:
    """An emulator with the model's own frame rate."""
    with EmulatorServer(EmulatorSettings(latency_s=0)) as server:
        yield server


def test_five_seconds_between_two_pictures(
    api: Api, real: EmulatorServer, pictures: type[Pictures], tmp_path: Path
) -> None:
    first, last = pictures.detailed(1280, 720), pictures.detailed(1280, 720, turn=1.3)
    client = type(api)(real)
    task = client.media_task({"frameImages": [uri(pictures, first), uri(pictures, last)]})
    path = client.download(client.make(task), tmp_path)
    client.http.close()

    with av.open(path) as container:
        assert not container.streams.audio
        stream = container.streams.video[0]
        context = stream.codec_context
        assert (context.name, context.pix_fmt, context.width, context.height) == ("h264", "yuv420p", 1280, 720)
        assert (context.color_primaries, context.color_trc, context.colorspace) == (1, 1, 1)
        assert context.color_range == ColorRange.MPEG
        assert stream.average_rate == Fraction(24)
        assert stream.frames == 121
        assert stream.time_base is not None
        frames = list(container.decode(stream))
        assert [frame.pts for frame in frames] == [n * int(1 / (24 * stream.time_base)) for n in range(121)]
        kinds = Counter(av.video.frame.PictureType(frame.pict_type).name for frame in frames)
        assert kinds["I"] == sum(frame.key_frame for frame in frames) == 1
        assert kinds["B"] > 40
    content = path.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")

    shown = decode(path, {0, 60, 61, 120})
    assert pictures.psnr_db(shown[0], np.asarray(first)) >= 35
    assert pictures.psnr_db(shown[120], np.asarray(last)) >= 35
    # On the way it is neither, and the words are there.
    assert pictures.psnr_db(shown[60], np.asarray(first)) < 30
    assert pictures.psnr_db(shown[60][:400], shown[61][:400]) < 60


def test_the_clip_takes_the_size_nearest_to_its_first_picture(
    api: Api, pictures: type[Pictures], tmp_path: Path
) -> None:
    for size, expected in (((700, 1200), (720, 1280)), ((1000, 900), (960, 960)), ((1600, 800), (1280, 720))):
        picture = pictures.detailed(*size).resize((size[0] * 2 // 3, size[1] * 2 // 3))
        path = api.download(api.make(api.media_task({"frameImages": [uri(pictures, picture)]})), tmp_path)
        first = decode(path)[0]
        assert first.shape == (expected[1], expected[0], 3)
        scale = max(expected[0] / picture.width, expected[1] / picture.height)
        kept = (expected[0] / scale, expected[1] / scale)
        left, top = (picture.width - kept[0]) / 2, (picture.height - kept[1]) / 2
        wanted = picture.resize(expected, Image.Resampling.LANCZOS, box=(left, top, left + kept[0], top + kept[1]))
        assert pictures.psnr_db(first, np.asarray(wanted)) >= 35


def test_with_one_picture_it_drifts_away(api: Api, pictures: type[Pictures], tmp_path: Path) -> None:
    picture = pictures.detailed(960, 960)
    path = api.download(api.make(api.media_task({"frameImages": [uri(pictures, picture)]})), tmp_path)
    shown = decode(path)

    assert pictures.psnr_db(shown[0], np.asarray(picture)) >= 35
    assert pictures.psnr_db(shown[5], np.asarray(picture)) < 25


def test_the_same_content_shows_the_same_pictures_elsewhere(api: Api, pictures: type[Pictures]) -> None:
    upload = pictures.png(pictures.detailed(400, 400))

    def clip(client: Api, **fields: Any) -> bytes:
        picture = client.upload(upload)["mediaURL"]
        result = client.make(client.text_task(inputs={"referenceImages": [picture]}, duration=3, **fields))
        return client.http.get(result["videoURL"]).content

    here = clip(api, ttl=60)
    with EmulatorServer(EmulatorSettings(latency_s=0, frames_per_second=1)) as server:
        elsewhere = type(api)(server)
        assert clip(elsewhere, includeCost=...) == here
        assert clip(elsewhere, positivePrompt="Something else") != here
        elsewhere.http.close()


@pytest.mark.parametrize(("output_format", "codec"), [("MOV", "h264"), ("WEBM", "vp9")])
def test_other_formats(api: Api, pictures: type[Pictures], tmp_path: Path, output_format: str, codec: str) -> None:
    picture = pictures.detailed(1280, 720)
    task = api.media_task({"frameImages": [uri(pictures, picture)]}, outputFormat=output_format)
    path = api.download(api.make(task), tmp_path)

    assert path.suffix == f".{output_format.lower()}"
    with av.open(path) as container:
        assert container.streams.video[0].codec_context.name.removeprefix("lib") in {codec, f"{codec}-vp9", "vpx-vp9"}
    shown = decode(path)
    assert len(shown) == 6
    assert pictures.psnr_db(shown[0], np.asarray(picture)) >= 35


def test_quality_changes_the_size(api: Api) -> None:
    sizes = []
    for quality in (20, 95, 99):
        result = api.make(api.text_task(outputQuality=quality))
        sizes.append(int(api.http.head(result["videoURL"]).headers["content-length"]))
    assert sizes[0] < sizes[1] / 2
    assert sizes[1] < sizes[2]


@pytest.mark.parametrize(("output_format", "codec"), [("MP4", "aac"), ("WEBM", "opus")])
def test_an_edit_keeps_size_rate_length_and_sound(
    api: Api, pictures: type[Pictures], tmp_path: Path, output_format: str, codec: str
) -> None:
    source = pictures.video(tmp_path / "source.mp4", frames=30, rate=10, sound=True)
    media = api.upload(source.read_bytes())["mediaUUID"]
    task = api.media_task(
        {"video": media},
        outputFormat=output_format,
        providerSettings={"klingai": {"keepOriginalSound": True}},
    )
    path = api.download(api.make(task), tmp_path)

    with av.open(path) as container:
        frames = list(container.decode(video=0))
        assert (len(frames), frames[0].width, frames[0].height) == (30, 640, 360)
        assert container.streams.video[0].average_rate == 10
        assert container.streams.audio[0].codec_context.name.removeprefix("lib") == codec
    with av.open(path) as container:
        sound = list(container.decode(audio=0))
    samples = np.concatenate([frame.to_ndarray()[0] for frame in sound])
    assert abs(Fraction(len(samples), 48000) - 3) < Fraction(1, 10)
    assert 0.1 < float(np.abs(samples[10000:-10000]).max()) < 0.6
    # The picture is the source's, in order: its brightness rises as there.
    brightness = [float(frame.to_ndarray()[:100].mean()) for frame in frames[:30]]
    assert brightness == sorted(brightness)


def test_sound_is_left_out_unless_asked_for(api: Api, pictures: type[Pictures], tmp_path: Path) -> None:
    source = pictures.video(tmp_path / "source.mp4", frames=30, rate=10, sound=True)
    media = api.upload(source.read_bytes())["mediaUUID"]
    keep = {"providerSettings": {"klingai": {"keepOriginalSound": True}}}

    def has_sound(task: dict[str, Any]) -> bool:
        with av.open(api.download(api.make(task), tmp_path)) as container:
            return bool(container.streams.audio)

    assert not has_sound(api.media_task({"video": media}))
    reference = {"inputs": {"referenceVideos": [media]}}
    assert not has_sound(api.text_task(**reference))
    assert has_sound(api.text_task(**reference, **keep))
    assert not has_sound(api.text_task(inputs={"referenceVideos": ["https://example.org/v.mp4"]}, **keep))
