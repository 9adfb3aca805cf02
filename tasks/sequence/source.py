"""What a cut's pictures are in its clip, and the one stream of film frames from which everything of it is taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import ffmpeg
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from tasks.errors import MediaError
from tasks.media.colour import is_full_range, matrix_name
from tasks.media.reading import open_video
from tasks.sequence.encoding import Picture, numbered, rate_of
from tasks.sequence.timeline import Cut, FilmLayout

__all__ = ["Source", "inspect", "on_film_grid"]

# A frame that comes at most this much of a frame early or late is that frame of the film.
_ON_THE_GRID: Final = Fraction(1, 4)
_BT709_LIMITED: Final = (1, 1, 1, 1)
# Kinds of H.264 units: a picture that needs no other, and what an `avcC` holds for all pictures.
_IDR, _SPS, _PPS = 5, 7, 8
_KIND_BITS: Final = 0x1F


@dataclass(frozen=True, slots=True)
class Source:
    """What the conversion has to know of a cut's clip.

    Attributes:
        stream_index: Which of the file's streams is the picture.
        picture: What its frames are; the size is as displayed, turned and with square pixels.
        has_sound: Whether there is a sound track.
        start_s: When the cut's first frame is shown, on the clip's own clock.
        step_s: The time from a frame of the cut to the next; `None` where it varies, and for a single frame.
        frame_for_frame: Whether each frame of the cut is one frame of the film.
        parameter_sets: The `avcC` of a clip that has the film's layout already and is shown whole, so that its coded
            pictures can be the film's if these are those of the other parts; `None` for any other.
    """

    stream_index: int
    picture: Picture
    has_sound: bool
    start_s: Fraction
    step_s: Fraction | None
    frame_for_frame: bool
    parameter_sets: bytes | None


def inspect(cut: Cut, layout: FilmLayout) -> Source:
    """Read all times of a clip and decode its first picture. Blocks for some milliseconds.

    Raises:
        MediaError: The clip has too few frames, its frames have no times, or none can be decoded.
    """
    first: VideoFrame | None = None
    shown: list[int | None] = []
    with open_video(cut.clip) as (container, stream):
        tick_s = stream.time_base or Fraction(0)
        is_ready = _has_layout(stream, layout)
        for packet in container.demux(stream):
            if first is None:
                first = next(iter(packet.decode()), None)
            is_ready = is_ready and not packet.is_discard and _is_plain(packet, is_first=not shown)
            if packet.size and not packet.is_discard:
                shown.append(packet.pts)
        if first is None:
            raise MediaError("not one picture of this clip can be decoded", file=str(cut.clip), shot=cut.shot)
        times = sorted(pts for pts in shown if pts is not None)
        if len(times) < len(shown) or not tick_s:
            raise MediaError("the pictures of this clip have no times", file=str(cut.clip), shot=cut.shot)
        if len(times) < cut.stop:
            raise MediaError(f"this clip has {len(times)} frames, not {cut.stop}", file=str(cut.clip), shot=cut.shot)
        width, height = round(first.width * (stream.sample_aspect_ratio or 1)), first.height
        if first.rotation % 180:
            width, height = height, width
        matrix = "auto" if first.format.is_rgb else matrix_name(first)
        taken = times[cut.start : cut.stop]
        is_whole = cut.start == 0 and cut.stop == len(times) == cut.frames
        is_ready = is_ready and is_whole and not first.rotation and times == _times(cut.frames, layout)
        return Source(
            stream_index=stream.index,
            picture=Picture(width, height, matrix, is_full_range(first)),
            has_sound=bool(container.streams.audio),
            start_s=taken[0] * tick_s,
            step_s=_step_s(taken, tick_s),
            frame_for_frame=cut.frames == len(taken) and _on_the_grid(taken, tick_s * layout.rate),
            parameter_sets=bytes(stream.codec_context.extradata or b"") if is_ready else None,
        )


def on_film_grid(cut: Cut, layout: FilmLayout, source: Source, *, again: bool = False) -> Any:
    """The cut as exactly `cut.frames` frames of the film, numbered, in the clip's own size and colours.

    Where frames fall on the film's they are taken one for one. Else each stands from the frame of the film that is
    nearest to it, of several the nearest one, until the next does; the last is held if they run short.

    Args:
        cut: Which frames.
        layout: The film's rate.
        source: What `inspect` said.
        again: The graph holds a stream already that may be of the same cut; ffmpeg-python would take two for one.
    """
    # Should size or colours change on the way, the filters go on: begun anew, they would count frames from 0 again.
    stream = ffmpeg.input(str(cut.clip.absolute()), reinit_filter=0)[str(source.stream_index)]
    if again:
        stream = stream.filter("null")
    stream = stream.filter("trim", start_frame=cut.start, end_frame=cut.stop)
    if not source.frame_for_frame:
        # Of the frames that round to one frame of the film, `fps` takes the last. Frames that are closer together than
        # the film's are moved so far towards later that the last to round to it is the nearest.
        later_s = max(Fraction(0), 1 / layout.rate - source.step_s) / 2 if source.step_s else Fraction(0)
        stream = (
            stream.filter("setpts", f"PTS-STARTPTS+{float(later_s):.9f}/TB")
            # By default a last frame of less than half a frame's length is left out.
            .filter("fps", fps=rate_of(layout), round="near", eof_action="pass")
            .filter("tpad", stop=-1, stop_mode="clone")
            .filter("trim", end_frame=cut.frames)
        )
    return numbered(stream, layout)


def _on_the_grid(times: Sequence[int], frames_per_tick: Fraction) -> bool:
    return all(abs((at - times[0]) * frames_per_tick - index) <= _ON_THE_GRID for index, at in enumerate(times))


def _step_s(times: Sequence[int], tick_s: Fraction) -> Fraction | None:
    if len(times) < 2 or times[0] == times[-1]:
        return None
    step = Fraction(times[-1] - times[0], len(times) - 1)
    return step * tick_s if _on_the_grid(times, 1 / step) else None


def _times(frames: int, layout: FilmLayout) -> list[int]:
    return [number * layout.frame_ticks for number in range(frames)]


def _has_layout(stream: VideoStream, layout: FilmLayout) -> bool:
    context = stream.codec_context
    tags = (context.color_range, context.colorspace, context.color_primaries, context.color_trc)
    return (
        (context.name, context.pix_fmt) == ("h264", "yuv420p")
        and (context.width, context.height) == (layout.width, layout.height)
        and (stream.sample_aspect_ratio or 1) == 1
        and tuple(int(tag) for tag in tags) == _BT709_LIMITED
        and stream.time_base == Fraction(1, layout.timescale)
    )


def _is_plain(packet: Packet[VideoStream], *, is_first: bool) -> bool:
    """Whether a coded picture (H.264 in an MP4) brings no parameters of its own, and needs no other if it is first."""
    kinds, units, at = set(), bytes(packet), 0
    # Each unit has its length before it.
    while at + 4 < len(units):
        kinds.add(units[at + 4] & _KIND_BITS)
        at += 4 + int.from_bytes(units[at : at + 4])
    return not kinds & {_SPS, _PPS} and (_IDR in kinds or not is_first)
