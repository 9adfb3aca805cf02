"""A slate has the film's layout and exactly the frames of the shot that it stands for, and stands wherever a clip can."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tasks.media.frames import decode_whole, extract_frame
from tasks.media.probe import probe_video
from tasks.sequence.blend import blend
from tasks.sequence.conform import conform
from tasks.sequence.slate import make_slate
from tasks.sequence.timeline import FilmLayout
from tests.media.barclips import bar_clip, frames_of, packets_of
from tests.sequence.conftest import cut_of, names

FILM = FilmLayout(320, 180, Fraction(24))


@pytest.mark.parametrize(
    ("layout", "frames"),
    [(FILM, 1), (FilmLayout(180, 320, Fraction(30_000, 1001)), 37)],
)
async def test_it_is_taken_as_it_is_coded(layout: FilmLayout, frames: int, tmp_path: Path) -> None:
    slate = await make_slate("one", "refused", frames, layout, tmp_path)

    part = await conform(cut_of(slate, frames), layout, tmp_path)

    facts = probe_video(part.picture)
    assert (facts.width, facts.height, facts.rate) == (layout.width, layout.height, layout.rate)
    assert packets_of(part.picture) == packets_of(slate)
    assert len(frames_of(part.picture)) == part.body == frames


async def test_it_dissolves_and_fades(tmp_path: Path) -> None:
    slate = await make_slate("one", "refused", 12, FILM, tmp_path)
    clip = bar_clip(tmp_path / "clip.mp4", frames=12)

    gone = await conform(cut_of(slate, 12, fade_in=2, tail=5), FILM, tmp_path)
    window = await blend(cut_of(slate, 12, fade_in=2, tail=5), cut_of(clip, 12, lead=5), FILM, tmp_path)

    assert (gone.body, window.frames) == (7, 5)
    shown = frames_of(gone.picture)
    assert shown[0][:180].max() <= 17
    assert shown[2][:180].max() > 180
    drawn, bars = frames_of(slate)[0].astype(float), frames_of(clip)
    for number, frame in enumerate(frames_of(window.picture)):
        weight = (number + 1) / 6
        expected = drawn * (1 - weight) + bars[number] * weight
        assert np.abs(frame - expected).mean() < 1.5


@pytest.mark.parametrize("words", ["", "x" * 400, "refused by the provider's moderation " * 20])
async def test_words_of_any_length_fit_or_are_cut(words: str, tmp_path: Path) -> None:
    slate = await make_slate("s" * 64, words, 2, FILM, tmp_path)
    assert decode_whole(slate).frames == 2
    still = tmp_path / "still.png"
    extract_frame(slate, 0, still)
    pixels = np.asarray(Image.open(still).convert("L"))
    assert pixels.max() > 180, "the shot's name is not to be seen"
    # Nothing is written into the margin at the left, nor over the edge at the bottom.
    assert pixels[:, :12].max() < 70
    assert pixels[-4:].max() < 70


async def test_it_is_named_for_what_it_shows_wherever_it_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "50%d of 'it'"

    made = {
        words: await make_slate("one\n'two' %d", words, 3, FILM, folder)
        for words in ("refused", "timed out", "refused")
    }

    assert len(set(made.values())) == 2
    assert names(folder) == sorted(slate.name for slate in made.values())
