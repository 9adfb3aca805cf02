"""What a clip is as it is coded: its packets' order and times, and what its decoder is told. Nothing is encoded."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Final

from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from tasks.errors import MediaError
from tasks.media.reading import open_video
from tasks.sequence.lossless.avcc import ParameterSets, nal_units, read_avcc
from tasks.sequence.lossless.cutting import shown_order
from tasks.sequence.lossless.x264 import settings_said

__all__ = ["H264", "Coded", "Colours", "read_coded"]

H264: Final = "h264"
_IDR: Final = 5
_SETS: Final = (7, 8)


@dataclass(frozen=True, slots=True)
class Colours:
    """What colours mean, by libav's numbers: 2 is untagged for all but the range, where it is full and 0 untagged."""

    range: int
    matrix: int
    primaries: int
    transfer: int


@dataclass(frozen=True)
class Coded:
    """A clip's pictures before they are decoded.

    `pts` are in ticks of `tick_s` seconds, in the order of decoding, of the packets that have a time; `packets` are
    all there are and `declared` the container's own count, `None` where it keeps none; `pixel_aspect` is `None`
    where it is not told. `hidden` packets are decoded
    and not shown. `extradata` is what decoders are told first. `begins_whole` says whether the first packet is one
    from which decoding can begin with nothing before it (an IDR), `retold` whether packets hold parameter sets that
    the beginning does not have. `said` are the settings of the x264 that made it, `None` where it is not known.
    """

    path: Path
    codec: str
    profile: str
    width: int
    height: int
    pix_fmt: str
    pixel_aspect: Fraction | None
    rotation: int
    interlaced: bool
    colours: Colours
    rate: Fraction
    tick_s: Fraction
    pts: tuple[int, ...]
    packets: int
    declared: int | None
    hidden: int
    extradata: bytes
    begins_whole: bool
    retold: bool
    said: dict[str, str] | None

    @cached_property
    def shown(self) -> tuple[int, ...]:
        """For each packet, which frame of the clip it is."""
        return shown_order(self.pts)

    @cached_property
    def sets(self) -> ParameterSets | None:
        """The parameter sets, if they are kept as MP4 keeps them."""
        return read_avcc(self.extradata)


def read_coded(path: Path) -> Coded:
    """Read all packets of a clip and decode its first frame. Blocks, for some hundredths of a second.

    What was read is remembered, for a film asks more than once, and the last time while somebody waits for it.

    Raises:
        MediaError: It cannot be read, or its first frame cannot be decoded.
    """
    path = path.absolute()
    try:
        status = path.stat()
    except FileNotFoundError as cause:
        raise MediaError("there is no such file", file=str(path)) from cause
    return _read(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=512)
def _read(path: Path, _size_bytes: int, _changed_ns: int) -> Coded:
    with open_video(path) as (container, stream):
        context = stream.codec_context
        context.thread_count = 1
        extradata = bytes(context.extradata or b"")
        sets = read_avcc(extradata) if context.name == H264 else None
        known = sets.units if sets else ()
        pts: list[int] = []
        packets = hidden = 0
        begins_whole, retold = True, False
        said: dict[str, str] | None = None
        first: VideoFrame | None = None
        for packet in container.demux(stream):
            if not packet.size:
                continue
            if first is None:
                first = next(iter(packet.decode()), None)
            packets += 1
            hidden += packet.is_discard
            if packet.pts is not None:
                pts.append(packet.pts)
            if sets is None:
                continue
            data = bytes(packet)
            units = [(unit[0] & 0x1F, unit) for unit in nal_units(data, sets.length_bytes)]
            retold = retold or any(kind in _SETS and unit not in known for kind, unit in units)
            if packets == 1:
                begins_whole = any(kind == _IDR for kind, _ in units)
                said = settings_said(data)
        first = first or next(iter(context.decode(None)), None)
        if first is None:
            raise MediaError("not one picture of this clip can be decoded", file=str(path))
        return Coded(
            path=path,
            codec=context.name,
            profile=stream.profile or "unknown",
            width=first.width,
            height=first.height,
            pix_fmt=first.format.name,
            pixel_aspect=stream.sample_aspect_ratio or None,
            rotation=first.rotation % 360,
            interlaced=first.interlaced_frame,
            colours=_colours(stream),
            rate=stream.average_rate or stream.guessed_rate or Fraction(0),
            tick_s=stream.time_base or Fraction(0),
            pts=tuple(pts),
            packets=packets,
            declared=stream.frames or None,
            hidden=hidden,
            extradata=extradata,
            begins_whole=begins_whole,
            retold=retold,
            said=said,
        )


def _colours(stream: VideoStream) -> Colours:
    context = stream.codec_context
    return Colours(
        range=int(context.color_range),
        matrix=int(context.colorspace),
        primaries=int(context.color_primaries),
        transfer=int(context.color_trc),
    )
