"""A fade darkens frame by frame by an exact weight, down to the black that films have."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from tasks.sequence.conform import conform
from tasks.sequence.encoding import parameter_sets
from tasks.sequence.timeline import FilmLayout
from tasks.storyboard.model import Fit
from tests.media.barclips import bar_clip, codes_of, frames_of, parameter_sets_of
from tests.sequence.conftest import cut_of

FILM = FilmLayout(64, 64, Fraction(24))
ORANGE = (230, 120, 30)
BLACK = np.array([16, 128, 128])


def means_of(picture: Path) -> list[npt.NDArray[np.float64]]:
    """The mean luma, Cb and Cr of every frame of 64x64."""
    return [np.array([frame[:64].mean(), frame[64:80].mean(), frame[80:].mean()]) for frame in frames_of(picture)]


@pytest.mark.parametrize(
    ("fade_in", "fade_out"), [(1, 0), (0, 1), (2, 3), (12, 0), (0, 12), (6, 7), (24, 23), (0, 47), (47, 0)]
)
async def test_every_frame_has_its_weight(tmp_path: Path, fade_in: int, fade_out: int) -> None:
    clip = bar_clip(tmp_path / "clip.mp4", frames=48, width=64, height=64, rgb=ORANGE)
    full = means_of(clip)[0]

    part = await conform(cut_of(clip, 48, fade_in=fade_in, fade_out=fade_out), FILM, tmp_path)

    seen = means_of(part.picture)
    assert len(seen) == 48
    for number, mean in enumerate(seen):
        left = 47 - number
        coming = number / fade_in if number < fade_in else 1
        going = left / fade_out if left < fade_out else 1
        expected = BLACK + (full - BLACK) * coming * going
        # The filter's rounding and the encoder's.
        assert np.abs(mean - expected).max() < 1.1, (number, mean, expected)
    for black in ([seen[0]] if fade_in else []) + ([seen[-1]] if fade_out else []):
        assert np.abs(black - BLACK).max() <= 0.5


async def test_a_fade_loses_and_moves_no_frame(tmp_path: Path) -> None:
    clip = bar_clip(tmp_path / "clip.mp4", frames=30)
    layout = FilmLayout(320, 180, Fraction(24))

    part = await conform(cut_of(clip, 30, start=1, frames=29, fade_in=8, fade_out=8), layout, tmp_path)

    # White bars are told from black ones from the middle of the fade on.
    assert codes_of(part.picture)[5:-5] == list(range(6, 25))
    assert part.body == len(frames_of(part.picture)) == 29
    assert parameter_sets_of(part.picture) == await parameter_sets(layout)


@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("fit", list(Fit))
async def test_bars_and_all_fade_whatever_the_clip_is_coded_in(tmp_path: Path, full_range: bool, fit: Fit) -> None:
    clip = bar_clip(tmp_path / "clip.mp4", frames=12, width=64, height=32, rgb=ORANGE, full_range=full_range)

    part = await conform(cut_of(clip, 12, fade_in=4, fade_out=4, fit=fit), FILM, tmp_path)

    frames = frames_of(part.picture)
    for black in (frames[0], frames[-1]):
        assert np.abs(black[:64].astype(int) - 16).max() <= 1
        assert np.abs(black[64:].astype(int) - 128).max() <= 1
    lumas = [float(frame[32].mean()) for frame in frames]
    assert lumas[:5] == sorted(lumas[:5])
    assert lumas[-5:] == sorted(lumas[-5:], reverse=True)
    assert lumas[4] > 100


async def test_a_caption_fades_with_its_picture(tmp_path: Path) -> None:
    clip = bar_clip(tmp_path / "clip.mp4", frames=12, width=64, height=64, rgb=(0, 0, 0))
    Image.new("RGBA", (64, 64), (255, 255, 255, 255)).save(tmp_path / "white.png")

    part = await conform(cut_of(clip, 12, fade_in=4), FILM, tmp_path, overlay=tmp_path / "white.png")

    lumas = [mean[0] for mean in means_of(part.picture)]
    assert np.abs(np.array(lumas[:5]) - [16, 70.75, 125.5, 180.25, 235]).max() < 1.1
