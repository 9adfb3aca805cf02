"""A slate has the film's layout and exactly the frames of the shot that it stands for."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tasks.media.frames import decode_whole, extract_frame
from tasks.sequence.film import make_film
from tasks.sequence.slate import make_slate
from tasks.sequence.timeline import FilmLayout


@pytest.mark.parametrize(
    ("layout", "frames"),
    [(FilmLayout(320, 180, Fraction(24)), 1), (FilmLayout(180, 320, Fraction(30_000, 1001)), 37)],
)
async def test_it_joins_like_any_other_part(layout: FilmLayout, frames: int, tmp_path: Path) -> None:
    parts = [await make_slate(name, "refused", frames, layout, tmp_path) for name in ("one", "two")]
    assert [part.frames for part in parts] == [frames, frames]
    film = await make_film(parts, layout, tmp_path / "film.mp4", metadata={})
    assert (film.frames, film.width, film.height) == (2 * frames, layout.width, layout.height)


@pytest.mark.parametrize("words", ["", "x" * 400, "refused by the provider's moderation " * 20])
async def test_words_of_any_length_fit_or_are_cut(words: str, tmp_path: Path) -> None:
    layout = FilmLayout(320, 180, Fraction(24))
    part = await make_slate("s" * 64, words, 2, layout, tmp_path)
    assert decode_whole(part.picture).frames == 2
    still = tmp_path / "still.png"
    extract_frame(part.picture, 0, still)
    pixels = np.asarray(Image.open(still).convert("L"))
    assert pixels.max() > 180, "the shot's name is not to be seen"
    # Nothing is written into the margin at the left, nor over the edge at the bottom.
    assert pixels[:, :12].max() < 70
    assert pixels[-4:].max() < 70
