"""A deliverable that is not what it was to be is refused, whatever its encoder said."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from tasks.deliver.check import check_deliverable
from tasks.deliver.deliver import deliver
from tasks.deliver.encode import FilmSource, read_film
from tasks.deliver.outline import Outline, outline_of
from tasks.deliver.preset_file import read_presets
from tasks.deliver.presets import Preset
from tasks.errors import MediaError
from tasks.media.ffmpeg import binary
from tasks.media.thread import Stop
from tasks.sequence.timeline import FilmLayout
from tests.deliver.films import AFilm

PRESETS = read_presets()


async def made(film: AFilm, name: str, kept: Path) -> tuple[Path, FilmSource, Preset, Outline]:
    delivered = await deliver(film.path, film.facts, PRESETS[name], film.captions, kept)
    source = read_film(film.path, film.captions)
    return delivered.path, source, PRESETS[name], outline_of(film.facts, PRESETS[name])


@pytest.mark.parametrize(
    ("name", "changed", "reason"),
    [
        ("h264", lambda it: replace(it, frames=it.frames + 1), "it has 37 frames, not 38"),
        ("webm-vp9", lambda it: replace(it, frames=it.frames - 1), "it has 37 frames, not 36"),
        ("gif", lambda it: replace(it, frames=it.frames + 1), "it is gif of 19 frames, not gif of 20"),
        ("webp", lambda it: replace(it, layout=FilmLayout(90, 160, it.layout.rate)), "frame 0 has 160x90 pixels"),
        ("gif", lambda it: replace(it, layout=FilmLayout(160, 90, Fraction(25))), "its frames are shown for 1.520 s"),
        ("prores", lambda it: replace(it, layout=FilmLayout(90, 160, it.layout.rate)), "frame 0 has 160x90 pixels"),
        ("h264", lambda it: replace(it, layout=FilmLayout(160, 90, Fraction(25))), "frame 1 is shown at 0.041667 s"),
        ("prores", lambda it: replace(it, samples=it.samples + 1100), "its sound lasts 74000 samples, not 75100"),
    ],
)
async def test_one_that_differs(
    film: AFilm, kept: Path, name: str, changed: Callable[[Outline], Outline], reason: str
) -> None:
    path, source, preset, outline = await made(film, name, kept)

    check_deliverable(Stop(), path, source, preset, outline)
    with pytest.raises(MediaError, match=reason):
        check_deliverable(Stop(), path, source, preset, changed(outline))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["-an"], "of sound it has none, not aac"),
        (["-sn"], "of captions it has none, not mov_text"),
        (["-map_chapters", "-1"], "it has 0 chapters, not 2"),
        (["-bsf:v", "h264_metadata=matrix_coefficients=6"], "its colours are declared as"),
        (["-bsf:v", "h264_metadata=video_full_range_flag=1"], "pixels of yuvj420p"),
        (["-c:v", "mpeg4"], "its pictures are mpeg4"),
        (["-af", "adelay=50:all=1", "-c:a", "aac"], "its sound lasts"),
        (["-movflags", "0"], "its index is behind its pictures"),
    ],
)
async def test_what_another_encoder_would_leave(
    film: AFilm, kept: Path, tmp_path: Path, options: list[str], reason: str
) -> None:
    path, source, preset, outline = await made(film, "h264", kept)
    other = tmp_path / "other.mp4"
    copied = ["-map", "0:v", "-map", "0:a", "-map", "0:s", "-c", "copy", "-movflags", "+faststart"]
    recode(path, other, [*copied, *options])

    with pytest.raises(MediaError, match=reason):
        check_deliverable(Stop(), other, source, preset, outline)


@pytest.mark.parametrize("name", ["h264", "webm-vp9", "prores", "gif", "webp"])
async def test_one_that_is_cut_off(film: AFilm, kept: Path, tmp_path: Path, name: str) -> None:
    path, source, preset, outline = await made(film, name, kept)
    short = tmp_path / path.name
    whole = path.read_bytes()
    short.write_bytes(whole[: len(whole) * 2 // 3])

    with pytest.raises(MediaError):
        check_deliverable(Stop(), short, source, preset, outline)


def recode(source: Path, output: Path, options: list[str]) -> None:
    command = [binary(), "-v", "error", "-i", str(source), *options, str(output)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
