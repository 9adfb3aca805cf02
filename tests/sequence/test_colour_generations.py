"""Colours stay where they are, however often a frame becomes a clip and a clip gives a frame."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import ffmpeg
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from tasks.media.colour import rgb_of
from tasks.media.ffmpeg import run
from tasks.sequence.conform import conform
from tasks.sequence.encoding import Picture, encoded, laid_out
from tasks.sequence.timeline import FilmLayout
from tests.media.barclips import recoded, soft_picture
from tests.sequence.conftest import cut_of

FILM = FilmLayout(320, 180, Fraction(24))
GENERATIONS = 10

Pixels = npt.NDArray[np.int64]


async def as_clip(png: Path, clip: Path) -> None:
    """A still as a clip of three frames, as our encoder writes it."""
    stream = ffmpeg.input(str(png), loop=1, framerate=24)["v:0"].filter("trim", end_frame=3)
    drawn = Picture(FILM.width, FILM.height, "auto", full_range=True)
    await run(encoded(laid_out(stream, drawn, FILM), FILM, clip), what="encode a still")


def last_frame(clip: Path) -> Pixels:
    with av.open(str(clip)) as container:
        frames = list(container.decode(container.streams.video[0]))
    return np.asarray(rgb_of(frames[-1]).to_ndarray()).astype(np.int64)


def photo(png: Path) -> Pixels:
    """Soft colours with some edges and grain: what encoders are made for, and a little of what they are not."""
    pixels = soft_picture(png)
    pixels[60:120, 100:220] = 255 - pixels[60:120, 100:220]
    grain = np.random.default_rng(1).normal(0, 3, pixels.shape)
    Image.fromarray((pixels + grain).clip(0, 255).astype(np.uint8)).save(png)
    return np.asarray(Image.open(png)).astype(np.int64)


@pytest.mark.parametrize("draw", [soft_picture, photo])
async def test_ten_generations_of_frame_and_clip_do_not_drift(tmp_path: Path, draw: Callable[[Path], Pixels]) -> None:
    truth = draw(tmp_path / "still.png")
    drifts = []
    for _ in range(GENERATIONS):
        await as_clip(tmp_path / "still.png", tmp_path / "clip.mp4")
        seen = last_frame(tmp_path / "clip.mp4")
        drifts.append((seen - truth).mean(axis=(0, 1)))
        Image.fromarray(seen.astype(np.uint8)).save(tmp_path / "still.png")

    assert np.abs(drifts).max() < 1.5
    # It does not go on in one direction: the second half adds less than half a code value.
    assert np.abs(drifts[-1] - drifts[4]).max() < 0.5


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuvj420p", "yuv422p10le", "yuv444p"])
@pytest.mark.parametrize("matrix", ["bt709", "smpte170m"])
async def test_a_change_of_layout_moves_no_colour(tmp_path: Path, pix_fmt: str, matrix: str) -> None:
    truth = soft_picture(tmp_path / "still.png")
    reach = "pc" if pix_fmt.startswith("yuvj") else "tv"
    scale = f"scale=out_color_matrix={matrix}:out_range={reach}:out_chroma_loc=left:flags=bicubic+accurate_rnd+full_chroma_int"
    tags = [f"-{name}" for name in ("colorspace", "color_primaries", "color_trc")]
    clip = recoded(
        tmp_path / "still.png",
        tmp_path / "clip.mp4",
        *["-vf", f"loop=2:1,{scale},format={pix_fmt.replace('j', '')}", "-c:v", "libx264", "-crf", "4"],
        *[part for tag in tags for part in (tag, matrix)],
        *["-color_range", reach],
    )

    part = await conform(cut_of(clip, 3), FILM, tmp_path)

    before, after = last_frame(clip), last_frame(part.picture)
    assert np.abs((after - before).mean(axis=(0, 1))).max() < 0.6
    assert np.abs((after - truth).mean(axis=(0, 1))).max() < 1.0
