"""Writing a clip as the model's look: H.264 (or VP9), one keyframe, BT.709, index first."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from tasks.emulator.footage import read_sound
from tasks.emulator.picture import Frame

__all__ = ["crf_of", "write_clip"]

_BT709 = 1


def crf_of(output_quality: int) -> int:
    """x264's constant rate factor for the API's quality: 12 at 99, 16 at 95, 40 at 20."""
    if output_quality >= 95:
        return 16 - (output_quality - 95)
    return round(16 + (95 - output_quality) * 24 / 75)


def write_clip(
    path: Path,
    frames: Iterable[Frame],
    *,
    width: int,
    height: int,
    rate: Fraction,
    frame_count: int,
    output_quality: int,
    sound_from: Path | None,
) -> int:
    """Encode frames to `path`, whose suffix (.mp4, .mov, .webm) is the format.

    Args:
        path: File to write.
        frames: yuv420p frames; see `tasks.emulator.picture`.
        width: Pixels, even.
        height: Pixels, even.
        rate: Frames a second.
        frame_count: Frames that are expected; sound is cut there.
        output_quality: 20 to 99.
        sound_from: A file whose sound goes with it.

    Returns:
        Frames written.
    """
    is_webm = path.suffix == ".webm"
    options: dict[str, str] = {} if is_webm else {"movflags": "+faststart"}
    with av.open(path, "w", container_options=options) as container:
        stream = container.add_stream("libvpx-vp9" if is_webm else "libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        crf = crf_of(output_quality)
        stream.options = {**(_vp9_options(crf) if is_webm else _x264_options(crf))}
        context = stream.codec_context
        # One thread a clip: clips are rendered side by side, and the bytes do not depend on the machine.
        context.thread_count = 1
        context.color_primaries = _BT709
        context.color_trc = _BT709
        context.colorspace = Colorspace.ITU709
        context.color_range = ColorRange.MPEG
        sound = None
        if sound_from is not None:
            sound = container.add_stream("libopus" if is_webm else "aac", rate=48000)
            sound.layout = "stereo"
            sound.bit_rate = 160_000
        if sound is not None and sound_from is not None:
            _write_sound(container, sound, sound_from, Fraction(frame_count) / rate)
        written = 0
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(frame.reshape(height * 3 // 2, width), format="yuv420p")
            picture.pts, picture.time_base = written, 1 / rate
            picture.colorspace, picture.color_range = Colorspace.ITU709, ColorRange.MPEG
            container.mux(stream.encode(picture))
            written += 1
        container.mux(stream.encode())
    return written


def _x264_options(crf: int) -> dict[str, str]:
    return {
        # The fastest, with what costs little and keeps files small and shaped as generators shape them.
        "preset": "ultrafast",
        "crf": str(crf),
        "bf": "2",
        "x264-params": "keyint=infinite:scenecut=0:b-adapt=0:cabac=1:8x8dct=1:weightp=1:mbtree=1:rc-lookahead=10",
    }


def _vp9_options(crf: int) -> dict[str, str]:
    return {
        "deadline": "realtime",
        "cpu-used": "8",
        "crf": str(min(63, round(crf * 1.4))),
        "b": "0",
        "g": "9999",
        "lag-in-frames": "0",
    }


def _write_sound(
    container: av.container.OutputContainer, stream: av.AudioStream, source: Path, length_s: Fraction
) -> None:
    left = int(length_s * 48000)
    frame_size = stream.codec_context.frame_size or 960
    position = 0
    for frame in read_sound(source, frame_size):
        if left <= 0:
            break
        piece = frame
        if frame.samples > left:
            samples = np.ascontiguousarray(frame.to_ndarray()[:, :left], dtype=np.float32)
            piece = av.AudioFrame.from_ndarray(samples, format="fltp", layout="stereo")
            piece.sample_rate = 48000
        piece.pts, piece.time_base = position, Fraction(1, 48000)
        container.mux(stream.encode(piece))
        position += piece.samples
        left -= piece.samples
    container.mux(stream.encode())
