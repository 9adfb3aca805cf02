"""Clips that say of every frame which one it is, as a generator would encode them.

The number of a frame is drawn as sixteen black and white bars, straight into the luma plane, so that it survives
any encoder, any size and any colour matrix. Sound is silence with clicks at known times.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL import Image

from tasks.media.colour import BT709_SCALE, BT709_TAGS
from tasks.media.ffmpeg import binary

BITS = 16
FILM = Fraction(24)
BT709, UNTAGGED, BT601 = 1, 2, 6
WEIGHTS = {BT709: (0.2126, 0.0722), UNTAGGED: (0.2126, 0.0722), BT601: (0.299, 0.114)}

Plane = npt.NDArray[np.uint8]


def bar_clip(
    path: Path,
    *,
    frames: int = 121,
    first: int = 0,
    step: int = 1,
    rate: Fraction = FILM,
    width: int = 320,
    height: int = 180,
    matrix: int = BT709,
    full_range: bool = False,
    rgb: tuple[int, int, int] | None = None,
    times: Sequence[int] | None = None,
    codec: str = "libx264",
    sound_s: Fraction | float | None = None,
    sound_from_s: float = 0,
    sound_codec: str = "aac",
    sound_rate: int = 48_000,
    clicks_s: Sequence[float] = (),
) -> Path:
    """Write a clip of `frames` frames numbered from `first` (or of one flat colour `rgb`), with one keyframe.

    A frame's number is by `step` more than that of the one before. `times` gives the frames' times in frame lengths,
    for a rate that is not constant. `sound_s` is the length of the sound, `None` for no track; it begins
    `sound_from_s` after the pictures, and clicks are at `clicks_s` on the pictures' clock. `sound_codec` `"pcm_s16le"`
    needs a `.mov`.
    """
    options = {"preset": "veryfast", "crf": "12", "bf": "3", "g": "9999", "sc_threshold": "0"}
    with av.open(str(path), "w") as container:
        video = cast(
            "VideoStream",
            container.add_stream(codec, rate=rate, options=options if codec == "libx264" else {}),
        )
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        video.time_base = 1 / rate
        context = video.codec_context
        context.color_range = 2 if full_range else (0 if matrix == UNTAGGED else 1)
        context.colorspace = context.color_primaries = context.color_trc = matrix
        sound: AudioStream | None = None
        if sound_s is not None:
            sound = cast("AudioStream", container.add_stream(sound_codec, rate=sound_rate, layout="stereo"))
        for number in range(frames):
            planes = (
                flat_planes(width, height, rgb, matrix, full_range)
                if rgb
                else bar_planes(width, height, first + number * step, full_range)
            )
            frame = VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts, frame.time_base = (times[number] if times else number), 1 / rate
            frame.colorspace, frame.color_range = matrix, context.color_range
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if sound is not None and sound_s is not None:
            _mux_sound(container, sound, click_track(sound_s, sound_from_s, clicks_s, sound_rate), sound_from_s)
    return path


def _mux_sound(container: Any, stream: AudioStream, samples: npt.NDArray[np.int16], from_s: float) -> None:
    rate = stream.rate
    for at in range(0, len(samples), 1024):
        block = np.ascontiguousarray(samples[at : at + 1024]).reshape(1, -1)
        frame = AudioFrame.from_ndarray(block, format="s16", layout="stereo")
        frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
        frame.pts = round(from_s * rate) + at
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def click_track(
    sound_s: Fraction | float, from_s: float, clicks_s: Sequence[float], rate: int
) -> npt.NDArray[np.int16]:
    """Silence of `sound_s` seconds, int16 `(samples, 2)`, with a click of a quarter of a millisecond at each time."""
    samples = np.zeros((round(sound_s * rate), 2), dtype=np.int16)
    for click_s in clicks_s:
        at = round((click_s - from_s) * rate)
        samples[at : at + rate // 4000] = 26_000
    return samples


def bar_planes(width: int, height: int, number: int, full_range: bool) -> Plane:
    """One I420 frame, `(height * 3 / 2, width)`."""
    black, white = (0, 255) if full_range else (16, 235)
    bits = [(number >> bit) & 1 for bit in range(BITS)]
    row = np.repeat(np.array([white if bit else black for bit in bits], dtype=np.uint8), -(-width // BITS))
    luma = np.tile(row[:width], (height, 1))
    return np.concatenate([luma, np.full((height // 2, width), 128, dtype=np.uint8)])


def flat_planes(width: int, height: int, rgb: tuple[int, int, int], matrix: int, full_range: bool) -> Plane:
    """One I420 frame of one colour, by the textbook."""
    red_weight, blue_weight = WEIGHTS[matrix]
    red, green, blue = (value / 255 for value in rgb)
    luma = red_weight * red + (1 - red_weight - blue_weight) * green + blue_weight * blue
    cb, cr = (blue - luma) / (2 - 2 * blue_weight), (red - luma) / (2 - 2 * red_weight)
    y = luma * 255 if full_range else 16 + 219 * luma
    u, v = (128 + (255 if full_range else 224) * chroma for chroma in (cb, cr))
    quarter = width * height // 4
    plane = np.concatenate([np.full(width * height, y), np.full(quarter, u), np.full(quarter, v)])
    return np.round(plane).clip(0, 255).astype(np.uint8).reshape(height * 3 // 2, width)


def soft_picture(png: Path, width: int = 320, height: int = 180) -> npt.NDArray[np.int64]:
    """A picture of every colour that has no edges, written as PNG; gives `(height, width, 3)`, 0 to 255."""
    dots = np.random.default_rng(0).integers(0, 256, (9, 16, 3), dtype=np.uint8)
    image = Image.fromarray(dots).resize((width, height), Image.Resampling.BICUBIC)
    image.save(png)
    return np.asarray(image).astype(np.int64)


def still_clip(png: Path, path: Path, *, frames: int = 3, crf: int = 12) -> Path:
    """A picture as a clip, converted rightly, as a careful generator would."""
    command = [binary(), "-v", "error", "-loop", "1", "-i", str(png), "-frames:v", str(frames)]
    scale = ":".join(f"{name}={value}" for name, value in BT709_SCALE.items())
    tags = [part for name, value in BT709_TAGS.items() for part in (f"-{name}", value)]
    command += ["-vf", f"scale={scale},format=yuv420p", *tags, "-crf", str(crf), str(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return path


def remuxed(source: Path, output: Path, *options: str, before: tuple[str, ...] = ()) -> Path:
    """The same coded pictures and sound in another file; options of ffmpeg before and after the input."""
    command = [binary(), "-v", "error", *before, "-i", str(source), "-c", "copy", *options, str(output)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return output


def code_of(frame: VideoFrame, box: tuple[int, int, int, int] | None = None) -> int:
    """The number that a frame bears; `box` is `(x, y, width, height)` of the picture inside black borders."""
    x, y, width, height = box or (0, 0, frame.width, frame.height)
    stride = frame.planes[0].line_size
    row = np.frombuffer(bytes(frame.planes[0]), dtype=np.uint8)[(y + height // 2) * stride :][x : x + width]
    bar = width / BITS
    return sum(1 << bit for bit in range(BITS) if row[int((bit + 0.5) * bar)] > 126)


def codes_of(path: Path, box: tuple[int, int, int, int] | None = None) -> list[int]:
    """The numbers of all frames of a video, in the order in which they are shown."""
    with av.open(str(path)) as container:
        return [code_of(frame, box) for frame in container.decode(container.streams.video[0])]


def sound_of(path: Path) -> npt.NDArray[np.float32]:
    """The decoded sound of a film, float32 `(samples, 2)` at 48 kHz, from its first sample on."""
    with av.open(str(path)) as container:
        blocks = [
            np.asarray(frame.to_ndarray(), dtype=np.float32).T for frame in container.decode(container.streams.audio[0])
        ]
    return np.concatenate(blocks)


def peak_s(samples: npt.NDArray[np.float32], near_s: float, *, rate: int = 48_000) -> float:
    """When the loudest moment within a tenth of a second of `near_s` is, in seconds."""
    begin = max(0, round((near_s - 0.1) * rate))
    window = np.abs(samples[begin : round((near_s + 0.1) * rate)]).max(axis=1)
    loud = np.flatnonzero(window > window.max() / 2)
    return (begin + float(loud.mean())) / rate


def frames_of(path: Path) -> list[Plane]:
    """The decoded frames of a video as I420, `(height * 3 / 2, width)` each, in the order in which they are shown."""
    with av.open(str(path)) as container:
        return [
            np.asarray(frame.to_ndarray(format="yuv420p"), dtype=np.uint8)
            for frame in container.decode(container.streams.video[0])
        ]


def packets_of(path: Path) -> list[bytes]:
    """The coded pictures of a video, in the order in which they are decoded."""
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(container.streams.video[0]) if packet.size]


def parameter_sets_of(path: Path) -> bytes:
    """What an MP4 keeps beside its pictures for the decoder (the content of its `avcC`)."""
    with av.open(str(path)) as container:
        return bytes(container.streams.video[0].codec_context.extradata or b"")


def recoded(source: Path, output: Path, *options: str) -> Path:
    """The same pictures coded by the ffmpeg that comes with the installation, with its options."""
    command = [binary(), "-v", "error", "-i", str(source), "-an", *options, str(output)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return output
