"""Finished films that deliverables are made of, and what can be read from these without asking our own check."""

from __future__ import annotations

import asyncio
import subprocess
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from PIL import Image

from tasks.media.colour import rgb_of
from tasks.media.ffmpeg import binary
from tasks.sequence.captions import Caption, vtt
from tasks.sequence.chapters import Chapter
from tasks.sequence.conform import conform
from tasks.sequence.timeline import FilmLayout
from tasks.sequence.verify import FilmFacts
from tests.media.barclips import BITS, bar_clip, soft_picture, still_clip
from tests.sequence.conftest import cut_of
from tests.sequence.rows import film_of

LAYOUT = FilmLayout(160, 90, Fraction(24))
FRAMES = 37
CLICKS_S = (0.25, 1.25)
WORDS = "Dawn & <mist>"
# Numbers stand in bars in the middle, where they are seen even where both sides are cut off.
STEP = 32


@dataclass(frozen=True)
class AFilm:
    path: Path
    facts: FilmFacts
    captions: Path | None


def numbered_film(folder: Path) -> AFilm:
    """A film whose frames say which they are, with clicks, captions and chapters."""
    times: dict[str, Any] = {"sound_s": Fraction(FRAMES, 24), "clicks_s": CLICKS_S, "sound_codec": "pcm_s16le"}
    clip = bar_clip(folder / "bars.mov", frames=FRAMES, step=STEP, width=160, height=90, **times)
    captions = [Caption(0, 20, WORDS), Caption(22, 30, "Noon")]
    (folder / "film.vtt").write_text(vtt(captions, LAYOUT.rate), encoding="utf-8")
    beside: dict[str, Any] = {
        "captions": captions,
        "chapters": [Chapter(0, "lake"), Chapter(20, "hill")],
        "tags": {"title": "Ti=t'le; é"},
    }
    return AFilm(folder / "film.mp4", _film(clip, FRAMES, LAYOUT, folder, **beside), folder / "film.vtt")


def coloured_film(folder: Path) -> AFilm:
    """A film of one soft picture of every colour, without sound."""
    soft_picture(folder / "soft.png")
    clip = still_clip(folder / "soft.png", folder / "soft.mp4", frames=4)
    facts = _film(clip, 4, FilmLayout(320, 180, Fraction(24)), folder)
    return AFilm(folder / "film.mp4", facts, None)


def flat_film(folder: Path, rgb: tuple[int, int, int]) -> AFilm:
    """A film of one colour, without sound."""
    clip = bar_clip(folder / "flat.mp4", frames=4, width=160, height=90, rgb=rgb)
    return AFilm(folder / "film.mp4", _film(clip, 4, LAYOUT, folder), None)


def _film(clip: Path, frames: int, layout: FilmLayout, folder: Path, **beside: Any) -> FilmFacts:
    async def make() -> FilmFacts:
        part = await conform(cut_of(clip, frames), layout, folder / "parts")
        return await film_of([part], layout, folder / "film.mp4", **beside)

    return asyncio.run(make())


def numbers_of(path: Path, box: tuple[float, float]) -> list[int]:
    """The number of each frame; `box` is where in the middle row the film's picture begins and how wide it is.

    It may begin before the frame and end behind it. Bars that are cut off are not read.
    """
    return [_number(row, box) for row in _middle_rows(path)]


def _number(row: npt.NDArray[np.uint8], box: tuple[float, float]) -> int:
    begin, width = box
    # Bits 5 to 10 are what counts up.
    places = {bit: begin + (bit + 0.5) * width / BITS for bit in range(5, 11)}
    assert all(0 <= at < len(row) for at in places.values())
    return sum(1 << (bit - 5) for bit, at in places.items() if row[int(at)] > 126)


def _middle_rows(path: Path) -> list[npt.NDArray[np.uint8]]:
    if path.suffix in {".gif", ".webp"}:
        return [np.asarray(picture.convert("L"))[picture.height // 2] for picture in pictures_of(path)]
    with av.open(str(path)) as container:
        frames = container.decode(container.streams.video[0])
        return [np.asarray(frame.to_ndarray(format="gray"))[frame.height // 2] for frame in frames]


def captions_of(path: Path) -> str:
    """A file's track of captions as SubRip, as ffmpeg's binary reads it."""
    command = [binary(), "-v", "error", "-i", str(path), "-map", "0:s", "-f", "srt", "-"]
    return subprocess.run(command, check=True, capture_output=True).stdout.decode()


def pictures_of(path: Path) -> list[Image.Image]:
    """Every picture of a GIF or a WebP, in RGB."""
    with Image.open(path) as image:
        pictures = []
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            pictures.append(image.convert("RGB"))
        return pictures


def first_rgb(path: Path) -> npt.NDArray[np.int64]:
    """A file's first picture as RGB, by the matrix and range that it declares itself."""
    if path.suffix in {".gif", ".webp"}:
        return np.asarray(pictures_of(path)[0]).astype(np.int64)
    with av.open(str(path)) as container:
        frame = next(iter(container.decode(container.streams.video[0])))
        return rgb_of(frame).to_ndarray().astype(np.int64)
