"""Clips as generators make them, whose frames say which they are: bars across the middle, grain that moves elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from tasks.sequence.timeline import Cut, FilmLayout
from tests.media.barclips import Plane, bar_planes

FILM = FilmLayout(160, 96, Fraction(24))
USUAL = {"preset": "veryfast", "crf": "20"}
"""B-frames in pyramids where x264 thinks fit, and, with so few frames, one keyframe."""

PYRAMIDS = {**USUAL, "x264-params": "b-adapt=0:bframes=3:b-pyramid=normal:scenecut=0"}
"""B-frames wherever they may be, three in a row: the most that x264's usual settings take."""

_TEXTURE = np.random.default_rng(7).integers(30, 220, (48, 400), dtype=np.uint8)


def grainy_planes(number: int, width: int, height: int) -> Plane:
    """One I420 frame, `(height * 3 / 2, width)`: a texture that passes by with grain in it, bars across its middle."""
    grain = np.random.default_rng(number).normal(0, 4, (height, width))
    texture = np.tile(np.roll(_TEXTURE, -2 * number, axis=1), (-(-height // 48), -(-width // 400)))
    planes = bar_planes(width, height, number, full_range=False)
    bars = planes[height // 3 : 2 * height // 3].copy()
    planes[:height] = np.clip(texture[:height, :width] + grain, 16, 235)
    planes[height // 3 : 2 * height // 3] = bars
    return planes


def write_clip(
    path: Path,
    *,
    first: int = 0,
    frames: int = 121,
    layout: FilmLayout = FILM,
    settings: Mapping[str, str] | None = None,
    times: Sequence[int] | None = None,
    codec: str = "libx264",
    tags: Mapping[str, int] | None = None,
    aspect: Fraction | None = None,
) -> Path:
    """Encode frames `first` … `first + frames - 1`; `tags` are colour tags by PyAV's names, bt709 unless named.

    `settings` are the encoder's options, `times` the frames' times in frame lengths where they are not even.
    """
    with av.open(str(path), "w") as container:
        stream = cast("VideoStream", container.add_stream(codec, rate=layout.rate, options=dict(settings or USUAL)))
        stream.width, stream.height, stream.pix_fmt = layout.width, layout.height, "yuv420p"
        stream.time_base = 1 / layout.rate
        context = stream.codec_context
        context.thread_count = 1
        wanted = {"color_range": 1, "colorspace": 1, "color_primaries": 1, "color_trc": 1, **(tags or {})}
        for name, value in wanted.items():
            setattr(context, name, value)
        if aspect is not None:
            context.sample_aspect_ratio = aspect
        for number in range(frames):
            planes = grainy_planes(first + number, layout.width, layout.height)
            frame = VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts, frame.time_base = (times[number] if times else number), 1 / layout.rate
            frame.colorspace, frame.color_range = wanted["colorspace"], wanted["color_range"]
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def cut_of(clip: Path, *, start: int = 0, stop: int = 121, shot: str | None = None) -> Cut:
    """Frames `start` … `stop - 1` of a clip, as long as they are."""
    content = sha256(clip.read_bytes()).hexdigest()
    return Cut(shot=shot or clip.stem, clip=clip, clip_id=content, start=start, stop=stop, frames=stop - start)


def write_row(folder: Path, clips: int, *, frames: int = 121, **options: Any) -> list[Cut]:
    """Clips of which each begins with the last frame of the one before, as the house cuts them."""
    made = [
        write_clip(folder / f"{number:03}.mp4", first=number * (frames - 1), frames=frames, **options)
        for number in range(clips)
    ]
    return [cut_of(clip, start=1 if number else 0, stop=frames) for number, clip in enumerate(made)]


def hashes_of(path: Path) -> list[str]:
    """A hash of each decoded frame, in the order shown."""
    with av.open(str(path)) as container:
        return [
            sha256(frame.to_ndarray().tobytes()).hexdigest() for frame in container.decode(container.streams.video[0])
        ]


@pytest.fixture(scope="session")
def row(tmp_path_factory: pytest.TempPathFactory) -> list[Cut]:
    """Five clips of 121 frames, chained: frames 0 to 600."""
    return write_row(tmp_path_factory.mktemp("row"), 5)


@pytest.fixture(scope="session")
def pyramids(tmp_path_factory: pytest.TempPathFactory) -> list[Cut]:
    """Five more, where three B-frames before each last frame lean on it."""
    return write_row(tmp_path_factory.mktemp("pyramids"), 5, settings=PYRAMIDS)
