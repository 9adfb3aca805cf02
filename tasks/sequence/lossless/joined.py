"""A film's pictures out of clips that are copied as they are, and the check of what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, zip_longest
from pathlib import Path
from typing import Final

import av
from av.container import OutputContainer
from av.video.stream import VideoStream

from tasks.errors import MediaError
from tasks.media.files import written_whole
from tasks.media.reading import open_video
from tasks.media.thread import Stop, in_thread
from tasks.sequence.lossless.avcc import with_sets_of
from tasks.sequence.lossless.check import Written, check_pictures, digest_of
from tasks.sequence.lossless.coded import Coded
from tasks.sequence.lossless.cutting import frames_ahead
from tasks.sequence.lossless.packets import CodedPacket, packets_of
from tasks.sequence.lossless.pieces import Piece, prepare
from tasks.sequence.lossless.preflight import read_clips, reasons
from tasks.sequence.timeline import Cut, FilmLayout
from tasks.together import together

__all__ = ["JoinedPictures", "join_lossless"]

_BT709, _LIMITED = 1, 1
_ADVICE: Final = "join them without the lossless mode: then every clip is encoded for the film"


@dataclass(frozen=True, slots=True)
class JoinedPictures:
    """Pictures that were joined and passed their check.

    `copied` of its `frames` are the clips' own, to the bit; `encoded` says for each shot how many are not.
    """

    path: Path
    frames: int
    copied: int
    encoded: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class _Row:
    """The pieces in the film's order, and where each begins.

    `orders` gives for each packet of a piece which of its frames it is; `ahead` is how many frames decoding runs
    before showing, the same for the whole film.
    """

    pieces: Sequence[Piece]
    orders: Sequence[Sequence[int]]
    begins: Sequence[int]
    ahead: int
    extradata: bytes

    @property
    def frames(self) -> int:
        return self.begins[-1]


async def join_lossless(cuts: Sequence[Cut], layout: FilmLayout, output: Path, folder: Path) -> JoinedPictures:
    """Join clips to the pictures of a film without encoding them again, but for the frames just before a seam.

    Where two clips share a frame, the film shows it once. Elsewhere the later clip's first frame goes; a first
    frame cannot be left out by copying, since all others lean on it. So here the earlier clip's last frame goes.
    Both are the same picture, and every frame of the film is the one that it would be elsewhere, so that sound,
    captions and chapters keep their places.

    Each frame is decoded one step after the one before and shown one step after the one before, in ticks of
    `layout.timescale`, from end to end: players stumble over anything else. What the film consists of was decoded
    over every seam when it was prepared; the film is held against that, packet by packet.

    Args:
        cuts: In the film's order.
        layout: The film's size and rate.
        output: An `.mp4` without sound, its index behind the pictures; it appears whole, or not at all.
        folder: Where `prepare` keeps its results; what it has kept is not made again.

    Raises:
        MediaError: There are no cuts, the clips cannot be joined so, or one cannot be decoded.
        FilmWrong: The film does not hold what it was made from.
    """
    if not cuts:
        raise MediaError("a film needs at least one part", file=str(output))
    clips = await in_thread(read_clips, cuts)
    if against := reasons(cuts, clips, layout):
        more = f" (and {len(against) - 1} more)" if len(against) > 1 else ""
        raise MediaError(f"these clips cannot be joined as they are: {against[0]}{more}", advice=_ADVICE)
    pieces = await _prepared(cuts, layout, folder)
    row = _row(pieces, clips)
    with written_whole(output) as temporary:
        written = await in_thread(_copy, row, layout, temporary)
        await in_thread(check_pictures, temporary, layout, row.extradata, written)
    return JoinedPictures(
        path=output,
        frames=row.frames,
        copied=sum(piece.copied for piece in pieces),
        encoded=tuple((piece.shot, piece.encoded) for piece in pieces),
    )


async def _prepared(cuts: Sequence[Cut], layout: FilmLayout, folder: Path) -> list[Piece]:
    pairs = zip_longest(cuts, cuts[1:])
    return await together(prepare(earlier, later, layout, folder) for earlier, later in pairs if earlier is not None)


def _row(pieces: Sequence[Piece], clips: Sequence[Coded]) -> _Row:
    orders = [
        [*clip.shown[: piece.copied], *(piece.copied + rank for rank in piece.shown)]
        for piece, clip in zip(pieces, clips, strict=True)
    ]
    extradata = clips[0].extradata
    for piece in pieces:
        extradata = with_sets_of(extradata, piece.extradata)
    return _Row(
        pieces=pieces,
        orders=orders,
        begins=list(accumulate((piece.frames for piece in pieces), initial=0)),
        ahead=max(frames_ahead(order) for order in orders),
        extradata=extradata,
    )


def _placed(stop: Stop, row: _Row, frame_ticks: int) -> Iterator[tuple[CodedPacket, int, int]]:
    """All packets of the film in their order, each with its times of showing and decoding, in ticks."""
    count = 0
    for piece, order, begin in zip(row.pieces, row.orders, row.begins, strict=False):
        packets = packets_of(stop, piece.clip, piece.copied, piece.tail_packets())
        for packet, rank in zip(packets, order, strict=True):
            yield packet, (begin + rank) * frame_ticks, (count - row.ahead) * frame_ticks
            count += 1


def _copy(stop: Stop, row: _Row, layout: FilmLayout, output: Path) -> list[Written]:
    """Write the film; gives what it is to hold."""
    tick = Fraction(1, layout.timescale)
    options = {"video_track_timescale": str(layout.timescale), "fflags": "+bitexact"}
    written = []
    try:
        with av.open(str(output.absolute()), "w", format="mp4", container_options=options) as film:
            stream = _stream(film, row)
            stream.time_base = tick
            for packet, pts, dts in _placed(stop, row, layout.frame_ticks):
                written.append(Written(pts, dts, digest_of(packet)))
                packet.stream, packet.time_base = stream, tick
                packet.pts, packet.dts, packet.duration = pts, dts, layout.frame_ticks
                film.mux(packet)
    except av.FFmpegError as cause:
        raise MediaError(f"the film cannot be written: {cause.strerror}", file=str(output)) from cause
    return written


def _stream(film: OutputContainer, row: _Row) -> VideoStream:
    """A track like the clips', for which players are told what all pieces need."""
    with open_video(row.pieces[0].clip) as (_, like):
        stream = film.add_stream_from_template(like)
    context = stream.codec_context
    context.extradata = row.extradata
    # Untagged clips are bt709 here; written beside the pictures, players need not guess it from their size.
    context.color_range = _LIMITED
    context.colorspace = context.color_primaries = context.color_trc = _BT709
    return stream
