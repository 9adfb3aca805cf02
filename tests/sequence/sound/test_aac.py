from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from tasks.media.thread import Stop
from tasks.sequence.sound.aac import Coded, agreed, code, read_aac, write_aac
from tasks.sequence.sound.spans import Cores, Span, spans_of
from tests.media.barclips import remuxed
from tests.sequence.sound.sounds import (
    SECOND,
    Sound,
    bursts,
    clicks,
    decoded,
    heard_at,
    music,
    pink,
    reader,
    tone,
    white,
)


def coded(sound: Sound, folder: Path) -> list[Coded]:
    """All spans of a sound, coded side by side."""

    def work(span: Span) -> Coded:
        return code(reader(sound), span, len(sound), folder / f"{span.begin}.aac")

    return Cores(Stop()).each(work, spans_of(len(sound)))


def left(spans: Sequence[Coded]) -> list[int]:
    found = [agreed(earlier, later) for earlier, later in pairwise(spans)]
    assert None not in found
    return [frame for frame in found if frame is not None]


def written(spans: Sequence[Coded], path: Path) -> Path:
    write_aac(spans, left(spans), path)
    return path


def as_film(sound: Sound, folder: Path) -> Path:
    return written(coded(sound, folder), folder / "film.m4a")


def in_one_go(sound: Sound, folder: Path) -> Path:
    whole = code(reader(sound), Span(0, len(sound)), len(sound), folder / "whole.aac")
    return written([whole], folder / "whole.m4a")


def rms(sound: Sound) -> float:
    return float(np.sqrt(np.mean(sound.astype(float) ** 2)))


def bend(sound: Sound) -> float:
    return float(np.abs(np.diff(sound, n=2, axis=0)).max())


@pytest.mark.thorough
@pytest.mark.parametrize("samples", [2000, 5 * SECOND + 333, 26 * SECOND])
def test_the_file_is_stereo_aac_at_48_khz_that_begins_at_nought(tmp_path: Path, samples: int) -> None:
    path = as_film(white(samples, 0.1), tmp_path)

    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        packets = [(packet.pts, packet.duration) for packet in container.demux(stream) if packet.size]
        assert (stream.codec_context.name, stream.rate, stream.channels) == ("aac", 48_000, 2)
        assert stream.profile == "LC"
        assert (stream.start_time, stream.duration) == (0, samples)
        if samples > SECOND:
            assert stream.bit_rate == pytest.approx(192_000, rel=0.08)
    frames = -(-samples // 1024)
    # One frame before all sound, which decoders leave out, then each 1024 samples after the one before.
    assert [pts for pts, _ in packets] == [1024 * number for number in range(-1, frames)]
    assert packets[-1][1] == samples - 1024 * (frames - 1)
    assert len(decoded(path)) == samples


@pytest.mark.thorough
@pytest.mark.parametrize("seconds", [3, 26])
def test_a_click_stays_in_its_place(tmp_path: Path, seconds: int) -> None:
    samples = seconds * SECOND
    places = (700, *range(SECOND, samples - SECOND, 77_777), samples - 700)
    sound = decoded(as_film(clicks(samples, places), tmp_path))

    for place in places:
        assert abs(heard_at(sound, place) - place) <= 2


def test_a_copy_beside_pictures_keeps_it_there(tmp_path: Path) -> None:
    path = as_film(clicks(20 * SECOND, (5000, 19 * SECOND)), tmp_path)
    copied = remuxed(path, tmp_path / "copied.mp4", "-movflags", "+faststart")

    np.testing.assert_array_equal(decoded(copied)[: 20 * SECOND], decoded(path)[: 20 * SECOND])


SAMPLES = 13 * SECOND
"""As long as it takes to be coded in two spans."""

SOUNDS: dict[str, Callable[[], Sound]] = {
    "tone": lambda: tone(SAMPLES, 440),
    "rain": lambda: pink(SAMPLES),
    "voice": lambda: bursts(SAMPLES),
    "music": lambda: music(SAMPLES),
    "silence": lambda: np.zeros((SAMPLES, 2), dtype="<f4"),
    "left alone": lambda: music(SAMPLES) * np.array([1, 0], dtype="<f4"),
    "clicks": lambda: clicks(SAMPLES, tuple(range(1000, SAMPLES - 1000, 4321))),
}


@pytest.mark.thorough
@pytest.mark.parametrize("name", SOUNDS)
def test_where_spans_meet_is_no_worse_than_the_rest(tmp_path: Path, name: str) -> None:
    sound = SOUNDS[name]()
    spans, whole = decoded(as_film(sound, tmp_path)) - sound, decoded(in_one_go(sound, tmp_path)) - sound

    assert len(spans_of(len(sound))) == 2
    # Spans are left for the next within some frames behind the place where they meet.
    seam = spans[spans_of(len(sound))[1].begin - 2048 :][: 18 * 1024]
    stretches = [whole[at : at + len(seam)] for at in range(0, len(whole) - len(seam), 4096)]
    assert rms(seam) <= 1.1 * max(rms(stretch) for stretch in stretches) + 1e-5
    assert bend(seam) <= 1.1 * bend(whole) + 1e-5
    assert rms(spans) <= 1.05 * rms(whole) + 1e-6


def test_a_span_depends_on_nothing_but_its_sound(tmp_path: Path) -> None:
    sound = SOUNDS["music"]()
    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()
    one_by_one = [
        code(reader(sound), span, len(sound), tmp_path / "1" / str(span.begin)) for span in spans_of(len(sound))
    ]
    written(one_by_one, tmp_path / "1.m4a")

    assert as_film(sound, tmp_path / "2").read_bytes() == (tmp_path / "1.m4a").read_bytes()


def test_spans_that_do_not_agree_are_not_joined(tmp_path: Path) -> None:
    # Silence, then clicks in every frame: the one is faded long, the other short.
    silent, loud = SOUNDS["silence"](), clicks(SAMPLES, tuple(range(1000, SAMPLES - 1000, 512)))
    spans = spans_of(len(silent))
    parts = [
        code(reader(sound), span, len(silent), tmp_path / str(span.begin))
        for sound, span in zip((silent, loud), spans, strict=True)
    ]

    assert agreed(*parts) is None


def test_any_stretch_of_it_can_be_read(tmp_path: Path) -> None:
    spans = coded(SOUNDS["voice"](), tmp_path)
    whole = decoded(written(spans, tmp_path / "film.m4a"))

    for first, last in [(0, 10), (0, 5000), (1023, 1025), (4000, 90_000), (400_001, 477_777), (623_000, 624_000)]:
        read = np.concatenate(list(read_aac(spans, left(spans))(first, last)))

        # Noise that a decoder makes up itself is another one after a jump.
        np.testing.assert_allclose(read, whole[first:last], atol=0.002)


def test_a_span_is_heard_without_those_before_the_last(tmp_path: Path) -> None:
    spans = coded(bursts(26 * SECOND), tmp_path)
    whole = decoded(written(spans, tmp_path / "film.m4a"))
    begin, end = spans_of(26 * SECOND)[2]

    read = np.concatenate(list(read_aac(spans[1:3], left(spans[1:3]))(begin - SECOND, end + 12)))

    np.testing.assert_allclose(read, whole[begin - SECOND : end + 12], atol=0.002)
