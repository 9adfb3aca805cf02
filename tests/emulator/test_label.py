"""The words on a clip fit their box, and leave its first and last frame alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ImageFont

from tasks.emulator.label import Label, wrap

SIZE = (320, 180)


def grey() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.full(SIZE[0] * SIZE[1] * 3 // 2, 120, np.uint8)


@given(text=st.text(max_size=300))
@settings(max_examples=40, deadline=None)
def test_lines_are_never_wider_than_asked_and_lose_no_word(text: str) -> None:
    font = ImageFont.load_default(12)
    lines = wrap(text, font, 150)

    assert all(font.getlength(line) <= 150 or len(line) == 1 for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


@pytest.mark.parametrize("prompt", ["", "A tram.", "word " * 500, "x" * 2500, "電車が紅葉の森を登る。" * 50])
def test_first_and_last_frame_stay_as_they_are_and_the_middle_is_written_on(prompt: str) -> None:
    label = Label("TEXT", prompt, SIZE, frame_count=25, fade_frames=6)

    assert label.draw(grey(), 0).tolist() == label.draw(grey(), 24).tolist() == grey().tolist()
    middle = label.draw(grey(), 12)
    assert middle.shape == grey().shape
    assert middle[: SIZE[0] * SIZE[1]].min() < 60
    assert middle[: SIZE[0] * SIZE[1]].max() > 190


def test_the_counter_counts() -> None:
    label = Label("TEXT", "A tram.", SIZE, frame_count=25, fade_frames=2)

    assert label.draw(grey(), 11).tolist() != label.draw(grey(), 12).tolist()
    assert label.draw(grey(), 12).tolist() == label.draw(grey(), 12).tolist()
