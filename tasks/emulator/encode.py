"""Writing a clip as the model's look: H.264 (or VP9), one keyframe, BT.709, index first; or in another look."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
from av.video.reformatter import ColorRange, Colorspace

from tasks.emulator.fates import Codec, Look
from tasks.emulator.looks import hidden_first, retimed, to_full_range
from tasks.emulator.picture import Frame
from tasks.emulator.sound import SAMPLE_RATE, write_sound

__all__ = ["write_clip"]

_BT709 = 1
_ENCODERS: dict[Codec, str] = {"h264": "libx264", "hevc": "libx265", "vp9": "libvpx-vp9"}
_TICKS = 100  # a frame, where the rate varies


def _crf_of(output_quality: int) -> int:
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
    look: Look | None = None,
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
        look: How it differs from the model's.

    Returns:
        Frames written, hidden ones among them.
    """
    look = look or Look()
    is_webm = path.suffix == ".webm"
    # A WebM has neither edit lists nor a timescale of its own, and no codec but VP9 here.
    codec: Codec = "vp9" if is_webm else look.codec or "h264"
    hidden = 0 if is_webm else look.hidden_frames
    wanted = look.frames_for(frame_count, rate)
    frames = hidden_first(retimed(frames, frame_count, wanted), hidden)
    rate = look.rate_for(rate)
    length_s = Fraction(wanted) / rate + Fraction(look.sound_longer_s or 0)
    ticks = _TICKS if look.variable_rate else 1
    with av.open(path, "w", container_options=_container_options(look, is_webm=is_webm)) as container:
        stream = cast("av.VideoStream", container.add_stream(_ENCODERS[codec], rate=rate))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {**_codec_options(codec, _crf_of(output_quality))}
        context = stream.codec_context
        if codec == "hevc":
            context.codec_tag = "hvc1"
        # One thread a clip: clips are rendered side by side, and the bytes do not depend on the machine.
        context.thread_count = 1
        context.time_base = 1 / (rate * ticks)
        color_range = ColorRange.JPEG if look.full_range else ColorRange.MPEG
        if not look.untagged:
            context.color_primaries = _BT709
            context.color_trc = _BT709
            context.colorspace = Colorspace.ITU709
            context.color_range = color_range
        sound = None
        if sound_from is not None or look.sound_longer_s is not None:
            sound = container.add_stream("libopus" if is_webm else "aac", rate=SAMPLE_RATE)
            sound.layout = "stereo"
            sound.bit_rate = 160_000
        if sound is not None:
            write_sound(container, sound, sound_from, length_s, fill=look.sound_longer_s is not None)
        written = 0
        for frame in frames:
            samples = to_full_range(frame, width * height) if look.full_range else frame
            picture = av.VideoFrame.from_ndarray(samples.reshape(height * 3 // 2, width), format="yuv420p")
            late = 2 * _TICKS // 5 if look.variable_rate and written % 2 else 0
            picture.pts, picture.time_base = (written - hidden) * ticks + late, 1 / (rate * ticks)
            if not look.untagged:
                picture.colorspace, picture.color_range = Colorspace.ITU709, color_range
            container.mux(stream.encode(picture))
            written += 1
        container.mux(stream.encode())
    return written


def _container_options(look: Look, *, is_webm: bool) -> dict[str, str]:
    if is_webm:
        return {}
    options = {"movflags": "+faststart"}
    if look.hidden_frames:
        # Frames before zero stay there, and the muxer's edit list begins behind them.
        options["avoid_negative_ts"] = "disabled"
    if look.timescale is not None:
        options["video_track_timescale"] = str(look.timescale)
    return options


def _codec_options(codec: Codec, crf: int) -> dict[str, str]:
    if codec == "vp9":
        return _vp9_options(crf)
    return _x264_options(crf) if codec == "h264" else _x265_options(crf)


def _x265_options(crf: int) -> dict[str, str]:
    return {
        "preset": "ultrafast",
        "crf": str(crf),
        "x265-params": "log-level=none:pools=none:frame-threads=1:keyint=-1:scenecut=0",
    }


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
