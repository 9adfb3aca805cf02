from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest

from tasks.errors import FilmWrong
from tasks.media.thread import Stop
from tasks.sequence.lossless.check import Written, check_pictures, digest_of
from tasks.sequence.timeline import FilmLayout
from tests.media.barclips import remuxed
from tests.sequence.lossless.conftest import FILM, PYRAMIDS, USUAL, write_clip


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip is a film, too."""
    return write_clip(tmp_path_factory.mktemp("film") / "film.mp4", frames=25, settings=PYRAMIDS)


def written_of(film: Path) -> tuple[bytes, list[Written]]:
    with av.open(str(film)) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        written = [Written(packet.pts or 0, packet.dts or 0, digest_of(packet)) for packet in packets]
        return bytes(stream.codec_context.extradata or b""), written


def check(film: Path, like: Path, layout: FilmLayout = FILM) -> None:
    check_pictures(Stop(), film, layout, *written_of(like))


def test_a_film_is_what_was_written(tmp_path: Path, film: Path) -> None:
    check(film, film)
    check(remuxed(film, tmp_path / "fast.mp4", "-movflags", "+faststart"), film)


def test_a_changed_bit_is_found(tmp_path: Path, film: Path) -> None:
    changed = bytearray(film.read_bytes())
    with av.open(str(film)) as container:
        packet = [packet for packet in container.demux(video=0) if packet.size][17]
        assert packet.pos is not None
    changed[packet.pos + packet.size - 1] ^= 1
    (tmp_path / "changed.mp4").write_bytes(changed)

    with pytest.raises(FilmWrong, match="packet 17 of the film"):
        check(tmp_path / "changed.mp4", film)


def test_missing_and_additional_packets_are_found(tmp_path: Path, film: Path) -> None:
    shorter = remuxed(film, tmp_path / "shorter.mp4", "-frames:v", "21")

    with pytest.raises(FilmWrong, match="only 21 of 25 frames"):
        check(shorter, film)
    with pytest.raises(FilmWrong, match="more than 21 frames"):
        check(film, shorter)


def test_uneven_times_are_found(tmp_path: Path, film: Path) -> None:
    bumpy = remuxed(film, tmp_path / "bumpy.mp4", "-bsf:v", "setts=pts=PTS:dts='DTS-if(eq(N,9),1,0)'")
    late = remuxed(film, tmp_path / "late.mp4", "-bsf:v", "setts=pts='PTS+if(eq(N,9),1,0)':dts=DTS")

    with pytest.raises(FilmWrong, match="runs of durations, not one"):
        check(bumpy, film)
    with pytest.raises(FilmWrong, match="packet 9 of the film"):
        check(late, film)


def test_what_players_are_told_is_compared(tmp_path: Path, film: Path) -> None:
    other = write_clip(tmp_path / "other.mp4", frames=25, settings={**USUAL, "crf": "30"})

    with pytest.raises(FilmWrong, match="size, ticks or parameter sets"):
        check(other, film)
    with pytest.raises(FilmWrong, match="size, ticks or parameter sets"):
        check(film, film, FilmLayout(160, 96, Fraction(25)))
    with pytest.raises(FilmWrong, match="size, ticks or parameter sets"):
        check(film, film, FilmLayout(96, 160, Fraction(24)))
