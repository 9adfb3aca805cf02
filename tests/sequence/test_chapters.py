"""Chapters and tags come back from a film as they were given, at the frames where they begin."""

from __future__ import annotations

import subprocess
from fractions import Fraction
from pathlib import Path

import av
import pytest

from tasks.errors import BadInput
from tasks.media.boxes import video_time_runs
from tasks.media.ffmpeg import binary
from tasks.sequence.chapters import Chapter, ffmetadata
from tests.media.barclips import bar_clip, codes_of

AWKWARD = [
    "one=two; # three \\ four",
    "\\\\=\\=\\;",
    "[CHAPTER]",
    "[STREAM]\nTIMEBASE=1/2\nSTART=9",
    ";FFMETADATA1",
    "#",
    "several\nlines\n\nhere",
    "ends in a backslash\\",
    "  spaces around  ",
    "a 'quoted' \"title\" 100 % $HOME",
    "Häfen · ночь · 東京 · שלום · 👩‍👩‍👧‍👦",
    "é" * 300,
    "=",
]


def mux(film: Path, text: str) -> Path:
    """The film with what a metadata file tells of it, by copying."""
    told, output = film.with_suffix(".ffmeta"), film.with_name("with chapters.mp4")
    told.write_text(text, encoding="utf-8", newline="")
    inputs = ["-i", str(film), "-f", "ffmetadata", "-i", str(told)]
    options = ["-map", "0", "-map_metadata", "1", "-map_chapters", "1", "-c", "copy", "-movflags", "+faststart"]
    subprocess.run(
        [binary(), "-v", "error", "-y", *inputs, *options, str(output)], check=True, stdin=subprocess.DEVNULL
    )
    return output


def chapters_of(film: Path) -> list[tuple[Fraction, Fraction, str]]:
    """Begin and end in seconds, and the title."""
    with av.open(str(film)) as container:
        return [
            (Fraction(found["start"] * tick_s), Fraction(found["end"] * tick_s), found["metadata"].get("title", ""))
            for found in container.chapters()
            if (tick_s := found["time_base"])
        ]


def tags_of(film: Path) -> dict[str, str]:
    with av.open(str(film)) as container:
        return dict(container.metadata)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return bar_clip(tmp_path / "clip.mp4", frames=30, width=64, height=36, sound_s=1.25)


def test_any_title_comes_back(clip: Path) -> None:
    chapters = [Chapter(number, title) for number, title in enumerate(AWKWARD)]

    found = chapters_of(mux(clip, ffmetadata(chapters, 30, Fraction(24), {})))

    assert [title for _, _, title in found] == AWKWARD


@pytest.mark.parametrize("value", AWKWARD)
def test_any_tag_comes_back(clip: Path, value: str) -> None:
    found = tags_of(mux(clip, ffmetadata([Chapter(0, "one")], 30, Fraction(24), {"title": value, "comment": value})))

    assert (found["title"], found["comment"]) == (value, value)


def test_a_tag_can_have_any_name(tmp_path: Path) -> None:
    told = tmp_path / "told.ffmeta"
    tags = {"[CHAPTER]": "a", "; note": "b\\", "x=y\\": "c"}
    told.write_text(ffmetadata([], 1, Fraction(24), tags), encoding="utf-8", newline="")

    with av.open(str(told), format="ffmetadata") as container:
        assert container.metadata == tags


@pytest.mark.parametrize(
    ("title", "read"),
    [
        ("one\r\ntwo\rthree\u2028four", "one\ntwo\nthree\nfour"),
        ("bell\x07\x00\ttab", "belltab"),
        ("\ud800lone", "lone"),
    ],
)
def test_what_a_film_cannot_hold_is_dropped(clip: Path, title: str, read: str) -> None:
    film = mux(clip, ffmetadata([Chapter(0, title)], 30, Fraction(24), {"title": title}))

    assert (chapters_of(film)[0][2], tags_of(film)["title"]) == (read, read)


@pytest.mark.parametrize("rate", [Fraction(24), Fraction(24000, 1001), Fraction(30000, 1001), Fraction(2997, 125)])
def test_chapters_begin_at_their_frames(tmp_path: Path, rate: Fraction) -> None:
    clip = bar_clip(tmp_path / "clip.mp4", frames=400, width=64, height=36, rate=rate, sound_s=400 / rate)
    begins = [0, 1, 2, 100, 399]
    chapters = [Chapter(begin, str(begin)) for begin in reversed(begins)]

    film = mux(clip, ffmetadata(chapters, 400, rate, {}))

    for (start_s, end_s, title), begin, end in zip(chapters_of(film), begins, [*begins[1:], 400], strict=True):
        assert title == str(begin)
        assert abs(start_s - begin / rate) <= Fraction(1, 2000)
        assert abs(end_s - end / rate) <= Fraction(1, 2000)
    assert codes_of(film) == list(range(400))
    assert video_time_runs(film) == 1


def test_a_thousand_chapters(tmp_path: Path) -> None:
    clip = bar_clip(tmp_path / "clip.mp4", frames=1000, width=64, height=36)

    film = mux(clip, ffmetadata([Chapter(frame, f"shot-{frame}") for frame in range(1000)], 1000, Fraction(24), {}))

    found = chapters_of(film)
    assert [title for _, _, title in found] == [f"shot-{frame}" for frame in range(1000)]
    assert all(abs(start_s - Fraction(frame, 24)) <= Fraction(1, 2000) for frame, (start_s, _, _) in enumerate(found))


def test_the_file_to_the_letter() -> None:
    assert ffmetadata([Chapter(0, "a;b"), Chapter(37, "c")], 121, Fraction(30000, 1001), {"title": "T=1"}) == (
        ";FFMETADATA1\ntitle=T\\=1\n"
        "[CHAPTER]\nTIMEBASE=1001/30000\nSTART=0\nEND=37\ntitle=a\\;b\n"
        "[CHAPTER]\nTIMEBASE=1001/30000\nSTART=37\nEND=121\ntitle=c\n"
    )


@pytest.mark.parametrize("begins", [[3, 3], [-1], [30], [0, 31]])
def test_chapters_that_no_film_can_have(begins: list[int]) -> None:
    with pytest.raises(BadInput, match="chapter"):
        ffmetadata([Chapter(begin, "one") for begin in begins], 30, Fraction(24), {})
