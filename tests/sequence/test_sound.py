from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tasks.sequence.sound import BYTES_PER_SAMPLE, read_sound, write_sound
from tests.media.barclips import bar_clip, peak_s, sound_of

MILLISECOND = 0.001


def test_a_clip_without_a_sound_track_has_none(tmp_path: Path) -> None:
    clip = bar_clip(tmp_path / "clip.mp4", frames=10)

    assert read_sound(clip, Fraction(0), 100) is None
    assert not write_sound(clip, Fraction(0), 100, tmp_path / "sound.f32")
    assert not (tmp_path / "sound.f32").exists()


@pytest.mark.parametrize(
    ("suffix", "codec", "rate"),
    [("mov", "pcm_s16le", 48000), ("mov", "pcm_s16le", 44100), ("mp4", "aac", 48000), ("mp4", "aac", 44100)],
)
def test_a_click_is_where_the_clip_has_it(tmp_path: Path, suffix: str, codec: str, rate: int) -> None:
    clip = bar_clip(
        tmp_path / f"clip.{suffix}", frames=48, sound_s=2, clicks_s=[0.5, 1.5], sound_codec=codec, sound_rate=rate
    )
    laid = read_sound(clip, Fraction(0), 96_000)

    assert laid is not None
    assert laid.shape == (96_000, 2)
    for click_s in (0.5, 1.5):
        assert abs(peak_s(laid, click_s) - click_s) < MILLISECOND


def test_sound_of_dropped_frames_is_skipped(tmp_path: Path) -> None:
    clip = bar_clip(tmp_path / "c.mov", frames=48, sound_s=2, clicks_s=[1.0], sound_codec="pcm_s16le")
    laid = read_sound(clip, Fraction(1, 24), 48_000)

    assert laid is not None
    assert abs(peak_s(laid, 1 - 1 / 24) - (1 - 1 / 24)) < MILLISECOND


def test_before_a_late_start_and_after_an_early_end_is_silence(tmp_path: Path) -> None:
    clip = bar_clip(
        tmp_path / "c.mov", frames=48, sound_s=0.5, sound_from_s=0.75, clicks_s=[0.8, 1.2], sound_codec="pcm_s16le"
    )
    laid = read_sound(clip, Fraction(0), 96_000)

    assert laid is not None
    assert not laid[:36_000].any()
    assert not laid[60_100:].any()
    assert abs(peak_s(laid, 0.8) - 0.8) < MILLISECOND
    assert abs(peak_s(laid, 1.2) - 1.2) < MILLISECOND


def test_sound_is_cut_to_what_is_wanted(tmp_path: Path) -> None:
    clip = bar_clip(tmp_path / "c.mp4", frames=24, sound_s=3, clicks_s=[0.5, 2.5])

    assert write_sound(clip, Fraction(0), 48_000, tmp_path / "sound.f32")

    assert (tmp_path / "sound.f32").stat().st_size == 48_000 * BYTES_PER_SAMPLE


def test_edges_are_faded(tmp_path: Path) -> None:
    clip = bar_clip(
        tmp_path / "c.mov",
        frames=24,
        sound_s=1,
        clicks_s=[at / 4000 for at in range(4000)],
        sound_codec="pcm_s16le",
    )
    laid = read_sound(clip, Fraction(0), 48_000)

    assert laid is not None
    assert np.abs(laid[240:-240]).min() > 0.7
    assert np.abs(laid[0]).max() == np.abs(laid[-1]).max() == 0
    assert (np.diff(np.abs(laid[:240, 0])) > 0).all()
    assert (np.diff(np.abs(laid[-240:, 0])) < 0).all()


def test_without_a_seam_nothing_is_lost(tmp_path: Path) -> None:
    clip = bar_clip(tmp_path / "c.mp4", frames=48, sound_s=2, clicks_s=[0.3, 0.31, 1.7])
    laid = read_sound(clip, Fraction(0), 90_000)

    assert laid is not None
    np.testing.assert_allclose(laid[240:-240], sound_of(clip)[240 : 90_000 - 240], atol=1e-6)


def test_times_in_whole_milliseconds_leave_no_holes(tmp_path: Path) -> None:
    # Matroska rounds times; frames of AAC last 21 1/3 ms, and a hole or an overlap at each would crackle.
    clicks_s = [at / 500 for at in range(1000)]
    clip = bar_clip(tmp_path / "clip.mkv", frames=48, sound_s=2, clicks_s=clicks_s)
    laid, decoded = read_sound(clip, Fraction(0), 90_000), sound_of(clip)

    assert laid is not None
    with av.open(str(clip)) as container:
        begins_s = next(iter(container.decode(audio=0))).time or 0
    middle = slice(10_000, 80_000)
    early = round(begins_s * 48_000)
    np.testing.assert_allclose(laid[middle], decoded[middle.start - early : middle.stop - early], atol=1e-6)
