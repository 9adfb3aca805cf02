"""Clips that look unlike the model's: each variant is in the file, and everything else stays."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange

from tasks.emulator.encode import write_clip
from tasks.emulator.fates import Look
from tasks.emulator.picture import Frame

WIDTH, HEIGHT, COUNT, RATE = 128, 96, 25, Fraction(24)
TICK = Fraction(1, 12288)


def frames() -> list[Frame]:
    """Frames that can be told apart by their luma, 20 to 220."""
    made = []
    for index in range(COUNT):
        frame = np.full(WIDTH * HEIGHT * 3 // 2, 128, np.uint8)
        frame[: WIDTH * HEIGHT] = 20 + index * 200 // (COUNT - 1)
        made.append(frame)
    return made


class Written:
    """A clip, read back."""

    def __init__(self, path: Path) -> None:
        with av.open(path) as container:
            stream = container.streams.video[0]
            self.container = container.format.name
            self.codec = stream.codec_context.name.removeprefix("lib")
            self.color_primaries = stream.codec_context.color_primaries
            self.time_base = stream.time_base or Fraction(0)
            self.packets = stream.frames
            decoded = list(container.decode(stream))
        self.range = decoded[0].color_range
        self.luma = [int(np.median(frame.to_ndarray()[:HEIGHT])) for frame in decoded]
        self.times_s = [Fraction(frame.pts or 0) * self.time_base for frame in decoded]
        self.sound_s = Fraction(0)
        with av.open(path) as container:
            if container.streams.audio:
                self.sound_s = Fraction(sum(frame.samples for frame in container.decode(audio=0)), 48000)


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def written(look: Look | None = None, suffix: str = ".mp4", sound_from: Path | None = None) -> Written:
        path = tmp_path / f"clip{suffix}"
        write_clip(
            path,
            frames(),
            width=WIDTH,
            height=HEIGHT,
            rate=RATE,
            frame_count=COUNT,
            output_quality=95,
            sound_from=sound_from,
            look=look,
        )
        return Written(path)

    return written


def test_the_models_own_look(write: Any) -> None:
    clip = write()

    assert (clip.codec, clip.color_primaries, clip.range, clip.packets) == ("h264", 1, ColorRange.MPEG, COUNT)
    assert clip.times_s == [index / RATE for index in range(COUNT)]
    assert (clip.luma[0], clip.luma[-1], clip.sound_s) == (20, 220, 0)


@pytest.mark.parametrize("codec", ["hevc", "vp9"])
def test_another_codec_in_an_mp4(write: Any, codec: Any) -> None:
    clip = write(Look(codec=codec))

    assert codec in clip.codec
    assert "mp4" in clip.container
    assert len(clip.luma) == COUNT
    assert clip.luma[-1] == pytest.approx(220, abs=2)


def test_a_webm_has_vp9_whatever_was_wished(write: Any) -> None:
    clip = write(Look(codec="hevc", hidden_frames=3, timescale=90000), ".webm")

    assert "vp9" in clip.codec
    assert "webm" in clip.container
    assert len(clip.luma) == COUNT


def test_without_a_word_about_colour(write: Any) -> None:
    clip = write(Look(untagged=True))

    assert (clip.color_primaries, clip.range) == (2, ColorRange.UNSPECIFIED)
    assert (clip.luma[0], clip.luma[-1]) == (20, 220)


def test_full_range_is_tagged_and_true(write: Any) -> None:
    clip = write(Look(full_range=True))

    assert clip.range == ColorRange.JPEG
    assert (clip.luma[0], clip.luma[-1]) == (round(4 * 255 / 219), round(204 * 255 / 219))


@pytest.mark.parametrize(("rate", "count"), [("30", 31), ("12", 13), ("24000/1001", 25), ("25", 26)])
def test_another_rate_keeps_the_length(write: Any, rate: str, count: int) -> None:
    clip = write(Look(rate=rate))

    assert len(clip.luma) == count
    assert float(clip.times_s[-1]) == pytest.approx((count - 1) / Fraction(rate), abs=0.001)
    assert (clip.luma[0], clip.luma[-1]) == (20, 220)
    assert clip.luma == sorted(clip.luma)


@pytest.mark.parametrize("count", [1, 2, 20, 24, 26, 60])
def test_another_number_of_frames(write: Any, count: int) -> None:
    clip = write(Look(frames=count))

    assert len(clip.luma) == count
    assert clip.luma[0] == 20
    assert clip.luma[-1] == (220 if count > 1 else 20)


def test_a_rate_that_varies(write: Any) -> None:
    clip = write(Look(variable_rate=True))

    steps = {later - earlier for earlier, later in zip(clip.times_s, clip.times_s[1:], strict=False)}
    assert {round(float(step * RATE), 2) for step in steps} == {1.4, 0.6}
    assert len(clip.luma) == COUNT


def test_an_edit_list_hides_the_beginning(write: Any) -> None:
    clip = write(Look(hidden_frames=4))

    assert clip.packets == COUNT + 4
    assert clip.luma == [frame[0] for frame in frames()]
    assert clip.times_s[0] == 0


def test_another_timescale(write: Any) -> None:
    clip = write(Look(timescale=90000))

    assert clip.time_base == Fraction(1, 90000)
    assert clip.times_s == [index / RATE for index in range(COUNT)]


@pytest.mark.parametrize("longer_s", [0.5, -0.5, 0])
@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_sound_that_ends_elsewhere(write: Any, longer_s: float, suffix: str) -> None:
    clip = write(Look(sound_longer_s=longer_s), suffix)

    assert float(clip.sound_s) == pytest.approx(COUNT / RATE + longer_s, abs=0.05)


def test_a_source_that_is_too_short_is_followed_by_silence(write: Any, tmp_path: Path, pictures: Any) -> None:
    source = pictures.video(tmp_path / "source.mp4", frames=12, sound=True)

    assert float(write(sound_from=source).sound_s) == pytest.approx(0.5, abs=0.05)
    longer = write(Look(sound_longer_s=0.2), sound_from=source)
    assert float(longer.sound_s) == pytest.approx(COUNT / RATE + Fraction(1, 5), abs=0.05)
