"""A part of a film takes its name when it was found right, and is told from one that was damaged since."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import ffmpeg
import pytest

from tasks.errors import MediaError
from tasks.sequence.encoding import encoded
from tasks.sequence.parts import check_part, is_sealed, made_part, seal
from tasks.sequence.timeline import FilmLayout
from tests.media.barclips import bar_clip, codes_of
from tests.sequence.conftest import names

FILM = FilmLayout(320, 180, Fraction(24))


def graph(clip: Path, frames: int, layout: FilmLayout = FILM) -> Any:
    stream = ffmpeg.input(str(clip))["v:0"].filter("trim", end_frame=frames)
    return lambda output: encoded(stream, layout, output)


async def test_what_came_out_otherwise_takes_no_name(tmp_path: Path) -> None:
    clip = bar_clip(tmp_path / "clip.mp4", frames=12)

    with pytest.raises(MediaError, match="did not draw a row as it should have: there are 11 frames, not 12"):
        await made_part(tmp_path / "kept" / "a.mp4", graph(clip, 11), FILM, 12, what="draw a row")
    assert names(tmp_path / "kept") == []

    await made_part(tmp_path / "kept" / "a.mp4", graph(clip, 12), FILM, 12, what="draw a row")
    assert names(tmp_path / "kept") == ["a.mp4"]
    assert codes_of(tmp_path / "kept" / "a.mp4") == list(range(12))


async def test_every_difference_is_named(tmp_path: Path) -> None:
    clip = bar_clip(tmp_path / "clip.mp4", frames=12)
    part, uneven = tmp_path / "part.mp4", bar_clip(tmp_path / "uneven.mp4", frames=4, times=[0, 1, 3, 4])
    await made_part(part, graph(clip, 12), FILM, 12, what="cut")

    check_part(part, FILM, 12, "cut")
    for layout, frames, difference in (
        (FILM, 13, "12 frames, not 13"),
        (FilmLayout(64, 36, FILM.rate), 12, "frame 0 .* 320x180 pixels"),
        (FilmLayout(320, 180, Fraction(25)), 12, r"frame 1 is shown at 0.041667 s"),
    ):
        with pytest.raises(MediaError, match=difference):
            check_part(part, layout, frames, "cut")
    with pytest.raises(MediaError, match=r"frame 2 is shown at 0\.125"):
        check_part(uneven, FILM, 4, "cut")


async def test_a_part_is_made_once_and_again_when_it_was_damaged(tmp_path: Path) -> None:
    clip, part = bar_clip(tmp_path / "clip.mp4", frames=12), tmp_path / "part.mp4"
    made: list[Path] = []

    def counted(output: Path) -> Any:
        made.append(output)
        return graph(clip, 12)(output)

    await made_part(part, counted, FILM, 12, what="cut")
    await made_part(part, counted, FILM, 12, what="cut")
    assert len(made) == 1

    whole = part.read_bytes()
    part.write_bytes(whole[:1000] + bytes([whole[1000] ^ 128]) + whole[1001:])
    await made_part(part, counted, FILM, 12, what="cut")
    assert len(made) == 2
    assert part.read_bytes() == whole


def test_a_seal_holds_as_long_as_every_byte_does(tmp_path: Path) -> None:
    part = tmp_path / "part.mp4"
    assert not is_sealed(part)
    for size in (0, 1, 55, 56, 57, 1 << 20, (1 << 20) + 1, (1 << 21) - 56):
        part.write_bytes(bytes(size))
        assert not is_sealed(part)
        seal(part)
        assert is_sealed(part)
        sealed = part.read_bytes()
        for changed in (b"\x01" + sealed[1:], sealed[:-1], sealed + b"\x00", sealed[:-1] + bytes([sealed[-1] ^ 1])):
            part.write_bytes(changed)
            assert not is_sealed(part)


def test_what_is_not_there_is_not_sealed_into_being(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        seal(tmp_path / "part.mp4")

    assert names(tmp_path) == []
