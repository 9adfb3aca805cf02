"""Each deliverable is decoded and counted: every frame of the film once, in its order, its colours and its sound."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tasks.deliver.deliver import Delivered, deliver
from tasks.deliver.preset_file import read_presets
from tasks.deliver.presets import CODECS, Codec, Container, Preset, Size
from tasks.errors import MediaError
from tasks.storyboard.model import Fit
from tests.children import pids_of_children, told_of
from tests.deliver.films import (
    CLICKS_S,
    FRAMES,
    WORDS,
    AFilm,
    captions_of,
    first_rgb,
    flat_film,
    numbers_of,
    pictures_of,
)
from tests.media.barclips import peak_s
from tests.sequence.conftest import names
from tests.sequence.sound.sounds import decoded, opinion

SHIPPED = read_presets()
VIDEOS = [name for name, preset in SHIPPED.items() if not preset.container.is_preview]
# Where the film's picture, of 16:9, begins in a frame, and how wide it is.
BOXES = {"square-1080": (-420.0, 1920.0), "portrait-4x5": (-660.0, 2400.0)}
MILLISECOND = 0.001


async def made(film: AFilm, preset: Preset, folder: Path) -> Delivered:
    return await deliver(film.path, film.facts, preset, film.captions, folder)


@pytest.mark.thorough
@pytest.mark.parametrize("name", VIDEOS)
async def test_every_frame_of_the_film_is_in_it_once_and_in_order(film: AFilm, kept: Path, name: str) -> None:
    delivered = await made(film, SHIPPED[name], kept)

    with av.open(str(delivered.path)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
    size = SHIPPED[name].size
    width, height = (size.width, size.height) if size else (160, 90)
    assert [(frame.width, frame.height) for frame in frames] == [(width, height)] * FRAMES
    assert numbers_of(delivered.path, BOXES.get(name, (0.0, float(width)))) == list(range(FRAMES))
    times = [float((frame.pts or 0) * (frame.time_base or 0)) for frame in frames]
    assert times == pytest.approx([number / 24 for number in range(FRAMES)], abs=MILLISECOND)
    assert {(int(frame.colorspace), int(frame.color_range)) for frame in frames} == {(1, 1)}
    assert delivered.facts()["frames"] == FRAMES


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["gif", "webp"])
async def test_a_preview_shows_the_film_in_fewer_frames(film: AFilm, kept: Path, name: str) -> None:
    delivered = await made(film, SHIPPED[name], kept)

    pictures = pictures_of(delivered.path)
    assert {picture.size for picture in pictures} == {(160, 90)}  # never larger than the film
    shown = numbers_of(delivered.path, (0.0, 160.0))
    # 37 frames at 24 a second last as long as 19 at 12.5.
    assert len(shown) == delivered.outline.frames == 19
    assert all(abs(number - place * 24 / 12.5) <= 1 for place, number in enumerate(shown))


async def test_pictures_that_are_alike_are_all_there(coloured: AFilm, tmp_path: Path) -> None:
    for container, codec in ((Container.GIF, Codec.GIF), (Container.WEBP, Codec.WEBP)):
        preset = Preset(name="still", container=container, codec=codec, rate=Fraction(25))
        delivered = await made(coloured, preset, tmp_path)
        assert len(pictures_of(delivered.path)) == 4


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["h264", "h265", "prores", "webm-vp9", "webm-av1"])
async def test_sound_stays_with_the_picture_and_as_loud(film: AFilm, kept: Path, name: str) -> None:
    delivered = await made(film, SHIPPED[name], kept)

    heard = decoded(delivered.path)
    for click_s in CLICKS_S:
        assert abs(peak_s(heard, click_s) - click_s) < MILLISECOND
    assert opinion(delivered.path) == pytest.approx(opinion(film.path), abs=0.3)
    assert len(heard) == pytest.approx(FRAMES * 2000, abs=1024)
    if name == "prores":
        assert len(heard) == FRAMES * 2000


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["h264", "prores", "webm-vp9"])
async def test_captions_and_chapters_come_along(film: AFilm, kept: Path, name: str) -> None:
    delivered = await made(film, SHIPPED[name], kept)

    assert captions_of(delivered.path).startswith(f"1\n00:00:00,000 --> 00:00:00,833\n{WORDS}\n")
    with av.open(str(delivered.path)) as container:
        assert [chapter["metadata"]["title"] for chapter in container.chapters()] == ["lake", "hill"]
        assert container.metadata["title"] == "Ti=t'le; é"
        assert "isom" not in container.metadata.get("COMPATIBLE_BRANDS", "")


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["h264", "h265", "av1", "prores", "webm-vp9", "webm-av1", "webp"])
async def test_colours_stay_where_they_are(coloured: AFilm, kept: Path, name: str) -> None:
    best = {Codec.WEBP: 100, Codec.PRORES: None}.get(SHIPPED[name].codec, 8)
    delivered = await made(coloured, replace(SHIPPED[name], quality=best, rate=None, first_s=None), kept)

    off = first_rgb(delivered.path) - first_rgb(coloured.path)
    # By a wrong matrix or in a wrong range it is 5 and more off, on average.
    assert np.abs(off.mean(axis=(0, 1))).max() < 0.7
    assert np.abs(off).mean() < 2


@pytest.mark.thorough
@pytest.mark.parametrize("rgb", [(200, 40, 60), (20, 20, 20), (235, 240, 230)])
async def test_colours_of_a_gif(tmp_path: Path, rgb: tuple[int, int, int]) -> None:
    # All colours of a picture are too many for it; but one is there as it is.
    flat = await asyncio.to_thread(flat_film, tmp_path, rgb)
    delivered = await made(flat, SHIPPED["gif"], tmp_path / "kept")

    off = first_rgb(delivered.path) - np.array(rgb)
    assert np.abs(off).max() <= 3


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("size", "box"),
    [
        (Size(320, 640, Fit.FIT), (0.0, 320.0)),
        (Size(320, 640, Fit.BLUR), (0.0, 320.0)),
        (Size(320, 360, Fit.FILL), (-160.0, 640.0)),
    ],
)
async def test_another_shape_is_fitted_filled_or_blurred(
    film: AFilm, tmp_path: Path, size: Size, box: tuple[float, float]
) -> None:
    preset = Preset(name="other", container=Container.MP4, codec=Codec.H264, quality=12, size=size)
    delivered = await made(film, preset, tmp_path)

    assert numbers_of(delivered.path, box) == list(range(FRAMES))
    with av.open(str(delivered.path)) as container:
        *_, last = container.decode(container.streams.video[0])
    # Above the picture it is black, or something of the picture; number 36 has white bars.
    assert (last.to_ndarray(format="gray")[:90].max() < 20) == (size.fit is Fit.FIT)


async def test_a_rate_and_a_length_of_its_own(film: AFilm, tmp_path: Path) -> None:
    preset = Preset(name="short", container=Container.MP4, codec=Codec.H264, quality=12)
    preset = replace(preset, rate=Fraction(12), first_s=Decimal("0.75"))
    for suffix, codec in ((Container.MP4, Codec.H264), (Container.WEBM, Codec.VP9)):
        delivered = await made(film, replace(preset, container=suffix, codec=codec), tmp_path)

        assert delivered.outline.frames == 9
        shown = numbers_of(delivered.path, (0.0, 160.0))
        assert len(shown) == 9
        assert all(abs(number - 2 * place) <= 1 for place, number in enumerate(shown))
        assert len(decoded(delivered.path)) == pytest.approx(0.75 * 48_000, abs=1100)
        with av.open(str(delivered.path)) as container:
            assert [chapter["metadata"]["title"] for chapter in container.chapters()] == ["lake"]


@pytest.mark.thorough
@pytest.mark.parametrize("first_s", ["0.01", "0.9", "1.2"])
@pytest.mark.parametrize("rate", [Fraction(1), Fraction(30000, 1001), Fraction(50)])
async def test_sound_ends_with_what_is_shown_of_the_film_at_any_rate(
    film: AFilm, tmp_path: Path, rate: Fraction, first_s: str
) -> None:
    short = Preset(name="short", container=Container.MP4, codec=Codec.H264, quality=30, max_width=64)
    for suffix, codec in ((Container.MP4, Codec.H264), (Container.MOV, Codec.H264), (Container.WEBM, Codec.VP9)):
        preset = replace(short, container=suffix, codec=codec, rate=rate, first_s=Decimal(first_s))
        delivered = await made(film, preset, tmp_path)
        assert len(decoded(delivered.path)) == pytest.approx(delivered.outline.samples, abs=1024)


async def test_the_name_of_the_folder_changes_nothing(coloured: AFilm, tmp_path: Path) -> None:
    folder = tmp_path / "100%d 'films' %03d"
    folder.mkdir()
    for container in Container:
        preset = Preset(name="any", container=container, codec=CODECS[container][0], max_width=64)
        assert (await made(coloured, preset, folder)).path.is_file()


async def test_what_is_made_is_not_made_again_and_what_is_damaged_is(film: AFilm, tmp_path: Path) -> None:
    frames: list[int] = []
    first = await deliver(film.path, film.facts, SHIPPED["h264"], film.captions, tmp_path, frames.append)
    content = first.path.read_bytes()
    assert (first.reused, max(frames)) == (False, FRAMES)

    again = await deliver(film.path, film.facts, replace(SHIPPED["h264"], name="other"), film.captions, tmp_path)
    assert (again.reused, again.path) == (True, first.path)

    first.path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    mended = await made(film, SHIPPED["h264"], tmp_path)
    assert (mended.reused, mended.path.stat().st_size) == (False, len(content))

    other_film = replace(film.facts, sha256="0" * 64)
    other = await deliver(film.path, other_film, SHIPPED["h264"], film.captions, tmp_path)
    assert (other.reused, other.path != first.path) == (False, True)


async def test_side_by_side(film: AFilm, tmp_path: Path) -> None:
    made_of = [SHIPPED[name] for name in ("h264", "webm-vp9", "gif", "webp")]
    delivered = await asyncio.gather(*(made(film, preset, tmp_path) for preset in made_of))

    assert [it.preset.name for it in delivered] == ["h264", "webm-vp9", "gif", "webp"]
    assert len(names(tmp_path)) == 8  # each with its proof


async def test_a_film_that_cannot_be_decoded_leaves_nothing(film: AFilm, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    whole = film.path.read_bytes()
    broken.write_bytes(whole[: len(whole) * 6 // 10] + bytes(len(whole) * 4 // 10))

    with pytest.raises(MediaError, match="could not encode 'h264'"):
        await deliver(broken, film.facts, SHIPPED["h264"], film.captions, tmp_path / "kept")
    assert names(tmp_path / "kept") == []


async def test_cancelling_ends_the_child_and_leaves_nothing(film: AFilm, tmp_path: Path) -> None:
    begun = asyncio.Event()
    slow = Preset(name="slow", container=Container.WEBM, codec=Codec.VP9, size=Size(4096, 2304))
    making = asyncio.ensure_future(deliver(film.path, film.facts, slow, None, tmp_path / "kept", lambda _: begun.set()))
    await begun.wait()
    assert children()

    making.cancel()
    with pytest.raises(asyncio.CancelledError):
        await making
    assert children() == []
    assert names(tmp_path / "kept") == []


def children() -> list[str]:
    return [pid for pid in pids_of_children() if "ffmpeg" in told_of(pid, "cmdline")]
