"""Captions come back from the files as they were given: their words, and their times to the millisecond."""

from __future__ import annotations

import html
import re
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import BadInput
from tasks.sequence.captions import Caption, columns_of, lines_of, srt, vtt

FILM = Fraction(24)
NTSC = Fraction(24000, 1001)
RATES = [FILM, NTSC, Fraction(25), Fraction(30000, 1001), Fraction(60), Fraction(2997, 125), Fraction(2400)]
Cue = tuple[int, int, str]
CLOCK = r"(\d\d+):([0-5]\d):([0-5]\d)[,.](\d{3})"

# One a line of what has broken subtitle files: their own syntax, other alphabets, what only looks like times.
AWKWARD = [
    "- Who's there?\n- It's me.",
    "2024",
    "5\n00:00:09,000",
    "A --> B",
    "1 <b>bold</b> & &lt; &amp;amp; a < b > c",
    "NOTE this is no comment",
    "STYLE\n::cue { color: red }",
    "WEBVTT",
    "{\\an8}top {y:i}",
    "Ωμέγα, Юникод, 日本語、한국어 ไทย",
    "שלום, עולם! (1-2)",
    "مرحبا بالعالم",
    "😀👩‍👩‍👧‍👦 🇩🇪 👍🏽",
    "e\u0301 \u00e9 · 10\u00a0€",
    "\\N \\n %s $1 \\1 'quoted' \"twice\"",
]


def read_srt(text: str) -> list[Cue]:
    """SubRip as it is commonly described: blocks between blank lines, of a number, times, and lines of text."""
    found = []
    for number, block in enumerate(re.split(r"\n\n+", text.strip("\n")) if text else [], 1):
        head, times, *lines = block.split("\n")
        assert head == str(number)
        match = re.fullmatch(f"{CLOCK} --> {CLOCK}", times)
        assert match, times
        found.append((*both(match), "\n".join(lines)))
    return found


def read_vtt(text: str) -> list[Cue]:
    """WebVTT without identifiers and settings, which these files do not have."""
    assert text.startswith("WEBVTT\n")
    found = []
    for block in re.split(r"\n\n+", text.strip("\n"))[1:]:
        times, *lines = block.split("\n")
        match = re.fullmatch(f"{CLOCK} --> {CLOCK}", times)
        assert match, times
        for line in lines:
            assert "-->" not in line
            assert not re.search(r"[<>]|&(?!amp;|lt;|gt;)", line)
        found.append((*both(match), html.unescape("\n".join(lines))))
    return found


def both(match: re.Match[str]) -> tuple[int, int]:
    hours, minutes, seconds, rest_ms, *end = map(int, match.groups())
    begin_ms = ((hours * 60 + minutes) * 60 + seconds) * 1000 + rest_ms
    return begin_ms, ((end[0] * 60 + end[1]) * 60 + end[2]) * 1000 + end[3]


def read_by_libav(path: Path, text: str) -> list[Cue]:
    path.write_text(text, encoding="utf-8", newline="")
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(container.streams[0]) if packet.size]
        return [
            (packet.pts, packet.pts + packet.duration, bytes(packet).decode())
            for packet in packets
            if packet.pts is not None and packet.duration is not None
        ]


@pytest.mark.parametrize("text", AWKWARD)
def test_words_come_back(tmp_path: Path, text: str) -> None:
    captions = [Caption(0, 48, text), Caption(48, 72, "between"), Caption(72, 96, text)]
    told = [(0, 2000, text), (2000, 3000, "between"), (3000, 4000, text)]

    assert read_srt(srt(captions, FILM)) == told
    assert read_vtt(vtt(captions, FILM)) == told
    assert read_by_libav(tmp_path / "c.srt", srt(captions, FILM)) == told
    as_vtt = read_by_libav(tmp_path / "c.vtt", vtt(captions, FILM))
    assert [(begin, end, html.unescape(words)) for begin, end, words in as_vtt] == told


def test_the_files_to_the_letter() -> None:
    captions = [Caption(24, 61, "Tom & Jerry"), Caption(3_600 * 24 * 100, 3_600 * 24 * 100 + 1, "Late")]

    assert srt(captions, FILM) == (
        "1\n00:00:01,000 --> 00:00:02,542\nTom & Jerry\n\n2\n100:00:00,000 --> 100:00:00,042\nLate\n"
    )
    assert vtt(captions, FILM) == (
        "WEBVTT\n\n00:00:01.000 --> 00:00:02.542\nTom &amp; Jerry\n\n100:00:00.000 --> 100:00:00.042\nLate\n"
    )


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("one\n\n\ntwo", "one\ntwo"),
        ("one\r\ntwo\rthree\u2028four", "one\ntwo\nthree\nfour"),
        ("  one \t two  \n \t \n\u00a0\n\u200b\nthree ", "one two\nthree"),
        ("bell\x07 and null\x00", "bell and null"),
        ("half \ud83d", "half \N{REPLACEMENT CHARACTER}"),
    ],
)
def test_what_would_end_a_cue_early_is_dropped(tmp_path: Path, text: str, read: str) -> None:
    captions = [Caption(0, 24, text), Caption(24, 48, "next")]

    for told in (
        read_srt(srt(captions, FILM)),
        read_vtt(vtt(captions, FILM)),
        read_by_libav(tmp_path / "c.srt", srt(captions, FILM)),
        read_by_libav(tmp_path / "c.vtt", vtt(captions, FILM)),
    ):
        assert told == [(0, 1000, read), (1000, 2000, "next")]


def test_text_that_looks_like_the_times_of_a_cue_is_no_cue(tmp_path: Path) -> None:
    text = "7\n00:00:01,000 --> 00:00:02,000\nnot a cue"
    captions = [Caption(0, 24, text), Caption(24, 48, "next")]

    shown = text.replace("-->", "→")
    assert read_by_libav(tmp_path / "c.srt", srt(captions, FILM)) == [(0, 1000, shown), (1000, 2000, "next")]
    assert read_vtt(vtt(captions, FILM))[0] == (0, 1000, text)


@given(
    st.lists(st.tuples(st.integers(0, 500), st.integers(1, 200)), min_size=1, max_size=20),
    st.sampled_from(RATES),
)
def test_times_are_the_nearest_and_captions_neither_overlap_nor_vanish(
    lengths: list[tuple[int, int]], rate: Fraction
) -> None:
    captions, at = [], 0
    for gap, length in lengths:
        captions.append(Caption(at + gap, at + gap + length, "word"))
        at += gap + length

    cues = read_srt(srt(captions, rate))

    assert read_vtt(vtt(captions, rate)) == cues
    assert len(cues) == len(captions)
    assert all(begin < end for begin, end, _ in cues)
    assert all(earlier[1] <= later[0] for earlier, later in pairwise(cues))
    if rate < 1000:
        for (begin, end, _), caption in zip(cues, captions, strict=True):
            assert abs(begin - caption.begin * 1000 / rate) <= Fraction(1, 2)
            assert abs(end - caption.end * 1000 / rate) <= Fraction(1, 2)


def test_over_a_dissolve_the_earlier_caption_ends_with_the_later() -> None:
    captions = [Caption(36, 72, "later"), Caption(0, 48, "earlier")]

    assert read_srt(srt(captions, FILM)) == [(0, 1500, "earlier"), (1500, 3000, "later")]


def test_a_caption_without_a_word_is_none() -> None:
    captions = [Caption(0, 48, "word"), Caption(24, 30, " \n\u200b")]

    assert read_srt(srt(captions, FILM)) == [(0, 2000, "word")]
    assert srt([], FILM) == ""
    assert read_vtt(vtt(captions[1:], FILM)) == []


def test_what_no_film_can_show_is_refused() -> None:
    for begin, end in [(-1, 5), (5, 5), (6, 5)]:
        with pytest.raises(BadInput, match="caption"):
            Caption(begin, end, "word")
    with pytest.raises(BadInput, match="frame 3"):
        vtt([Caption(3, 5, "one"), Caption(3, 6, "two")], FILM)


# -- lines -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("Short enough to stand in one line.", 1),
        ("The tram climbs out of the canyon, and the harbour lies below.", 2),
        ("- The tram climbs.\n- The harbour lies below, far away, in the evening light.", 3),
        ("東京の夜景を見ながら、二人は静かに話していた。", 2),
        ("港が見える。", 1),
    ],
)
def test_two_lines_are_about_equally_long(text: str, lines: int) -> None:
    found = lines_of(text)

    assert len(found) == lines
    assert max(map(columns_of, found)) <= 42
    if lines == 2:
        assert abs(columns_of(found[0]) - columns_of(found[1])) <= 12


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("", 0),
        ("ab c", 4),
        ("Häfen", 5),
        ("e\u0301", 1),
        ("東京", 4),
        ("한국", 4),
        ("ｶﾀ", 2),
        ("👩‍👩‍👧", 2),
        ("\u200ba\u2060", 1),
    ],
)
def test_a_character_of_double_width_counts_twice(text: str, columns: int) -> None:
    assert columns_of(text) == columns


def test_punctuation_stays_with_its_word() -> None:
    found = lines_of("「" + "港町、" * 30 + "」")

    assert all(not line.startswith(("、", "」")) and not line.endswith("「") for line in found)
    assert "".join(found) == "「" + "港町、" * 30 + "」"


def test_a_zero_width_space_is_where_a_line_may_end() -> None:
    assert len(lines_of("ภาษาไทย\u200b" * 12)) == 2
    assert len(lines_of("ภาษาไทย" * 12)) == 1


def test_a_no_break_space_holds_its_words_together() -> None:
    words = ["seven\u00a0words\u00a0long", "and", "ten\u00a0euros\u00a0dear"] * 4

    assert " ".join(lines_of(" ".join(words))).split(" ") == words


WORDS = st.lists(st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=60), max_size=30)


@given(WORDS)
def test_no_line_is_too_long_but_for_one_word_and_nothing_is_lost(words: list[str]) -> None:
    text = " ".join(words)
    lines = lines_of(text)

    assert "".join("".join(lines).split(" ")) == "".join(words)
    for line in lines:
        assert columns_of(line) <= 42 or " " not in line


@given(st.text(max_size=400), st.integers(2, 60))
def test_where_words_may_be_cut_no_line_is_too_long(text: str, most: int) -> None:
    assert all(0 < columns_of(line) <= most for line in lines_of(text, most, cut_words=True))


@given(st.text(max_size=300), st.text(max_size=100))
def test_any_text_comes_back_as_its_lines(first: str, second: str) -> None:
    captions = [Caption(0, 24, first), Caption(24, 48, second)]
    wanted = ["\n".join(lines) for caption in captions if (lines := lines_of(caption.text))]

    assert [words for _, _, words in read_vtt(vtt(captions, NTSC))] == wanted
    read = [words for _, _, words in read_srt(srt(captions, NTSC))]
    assert [words.replace("-->", "→") for words in read] == [words.replace("-->", "→") for words in wanted]


def test_lines_of_lines_are_the_same() -> None:
    for text in AWKWARD:
        lines = lines_of(text * 3)
        assert lines_of("\n".join(lines)) == lines
