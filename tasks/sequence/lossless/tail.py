"""The frames before a seam that cannot be copied, encoded again; and the proof that they go with what is copied."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import av
from av.codec.context import CodecContext, Flags
from av.packet import Packet
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType, VideoFrame

from tasks.errors import MediaError
from tasks.media.reading import open_video
from tasks.media.thread import Stop
from tasks.sequence.lossless.avcc import ParameterSets, read_avcc, with_sets_of
from tasks.sequence.lossless.coded import H264, Coded, read_coded
from tasks.sequence.lossless.cutting import shown_order
from tasks.sequence.lossless.packets import CodedPacket, packets_of
from tasks.sequence.lossless.preflight import PROFILES
from tasks.sequence.lossless.x264 import own_settings, settings_of
from tasks.sequence.timeline import FilmLayout

__all__ = ["Tail", "check_piece", "encode_like", "encode_tail"]

_ENCODER: Final = "libx264"
# One at a time, for a moment, and in one thread: an encoder takes more memory than all that is decoded beside it, and
# the thread keeps that for the next one.
_ENCODING: Final = ThreadPoolExecutor(1, thread_name_prefix="tails")


@dataclass(frozen=True, slots=True)
class Tail:
    """Frames encoded again: packets in the order of decoding, and which of these frames each is.

    `extradata` is what a decoder of the clip has to be told to decode these, too: just what the clip says itself,
    where the encoder could be set to agree with it.
    """

    packets: tuple[bytes, ...]
    shown: tuple[int, ...]
    extradata: bytes


def encode_tail(stop: Stop, clip: Coded, copied: int, kept: int, layout: FilmLayout) -> Tail:
    """Encode the frames `copied` … `kept - 1` of a clip again, finely, beginning with a keyframe. Blocks.

    Args:
        stop: Ends it between two frames.
        clip: A clip that preflight has nothing against.
        copied: The first of these frames.
        kept: The frame behind the last.
        layout: The film's rate and size.

    Raises:
        MediaError: The clip has fewer frames, or cannot be decoded.
    """
    # All of them first, so that decoder and encoder are not in memory together; they are few.
    frames = list(_frames(stop, clip, copied, kept))
    if len(frames) < kept - copied:
        raise MediaError(f"this clip does not have {kept} frames that can be decoded", file=str(clip.path))
    with _libav("encoded again", clip.path):
        return _ENCODING.submit(_encoded, stop, clip, frames, layout).result()


def _encoded(stop: Stop, clip: Coded, frames: Sequence[VideoFrame], layout: FilmLayout) -> Tail:
    encoder, extradata = _encoder(clip, layout)
    packets: list[Packet[Stream]] = []
    # The first one is sent twice, both times as a keyframe, and left out once: keyframes that follow one another bear
    # different numbers, and a clip begins with the first number. So where a tail is one frame long, the keyframe
    # behind it cannot be taken for a part of it.
    for number, frame in enumerate([frames[0], *frames]):
        stop.check()
        frame.pts, frame.time_base = number, encoder.time_base
        frame.pict_type = PictureType.I if number < 2 else PictureType.NONE
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    made = packets[1:]
    return Tail(tuple(bytes(packet) for packet in made), shown_order([packet.pts or 0 for packet in made]), extradata)


def encode_like(
    stop: Stop, clip: Coded, pictures: Path, frames: int, layout: FilmLayout
) -> list[Packet[Stream]] | None:
    """Encode the first frames of `pictures`, finely, so that decoders are told what they are told of `clip`. Blocks.

    Args:
        stop: Ends it between two frames.
        clip: A clip that preflight has nothing against.
        pictures: A video of the clip's size, in its colours.
        frames: How many.
        layout: The film's rate and size.

    Returns:
        Packets in the order of decoding, with times in frames; `None` where the encoder cannot be set to agree.

    Raises:
        MediaError: A video cannot be decoded.
    """
    with _libav("encoded again", clip.path):
        encoder, extradata = _encoder(clip, layout)
        if extradata != clip.extradata:
            return None
        packets: list[Packet[Stream]] = []
        for number, frame in enumerate(_frames(stop, read_coded(pictures), 0, frames)):
            frame.pts, frame.time_base = number, encoder.time_base
            frame.pict_type = PictureType.I if number == 0 else PictureType.NONE
            packets += encoder.encode(frame)
        return [*packets, *encoder.encode(None)]


def check_piece(
    stop: Stop, clip: Path, copied: int, tail: Tail | None, extradata: bytes, later: Path | None, layout: FilmLayout
) -> None:
    """Decode what the film takes of a clip, and the later clip's first frame behind it. Blocks.

    All frames have to come out, in the film's size, those too that a decoder still holds back when it begins anew.

    Raises:
        MediaError: A frame is missing, damaged or of another size.
    """
    decoder = _decoder(extradata)
    packets = tail.packets if tail else ()
    expected = copied + len(packets) + (later is not None)
    count = 0
    for packet in _with_next(stop, packets_of(stop, clip, copied, packets), later):
        with _libav("decoded where it is to be joined", clip):
            frames = decoder.decode(packet)
        for frame in frames:
            if frame.is_corrupt or (frame.width, frame.height) != (layout.width, layout.height):
                raise MediaError(f"frame {count} is damaged where it is to be joined", file=str(clip))
            count += 1
    if count != expected:
        raise MediaError(f"{count} frames come out where {expected} are to be joined", file=str(clip))


@contextmanager
def _libav(done: str, clip: Path) -> Iterator[None]:
    try:
        yield
    except av.FFmpegError as cause:
        raise MediaError(f"this clip cannot be {done}: {cause.strerror}", file=str(clip)) from cause


def _with_next(stop: Stop, packets: Iterator[CodedPacket], later: Path | None) -> Iterator[CodedPacket | None]:
    yield from packets
    if later is not None:
        yield from packets_of(stop, later, 1)
    yield None


def _encoder(clip: Coded, layout: FilmLayout) -> tuple[VideoCodecContext, bytes]:
    """An encoder that has not begun, and what a decoder of clip and tail is to be told."""
    sets = clip.sets
    if sets is None or sets.profile not in PROFILES:
        raise MediaError("this clip's frames cannot be encoded again to fit in with it", file=str(clip.path))
    said = settings_of(clip.said, sets.level) if clip.said else None
    if said is not None:
        same = _opened(clip, layout, sets, said)
        own = read_avcc(bytes(same.extradata or b""))
        if own is not None and own.units == sets.units:
            return same, clip.extradata
    taken = {*sets.sps_numbers, *sets.pps_numbers}
    number = min(set(range(len(taken) + 1)) - taken)
    apart = _opened(clip, layout, sets, own_settings(number, sets.level))
    return apart, with_sets_of(clip.extradata, bytes(apart.extradata or b""))


def _opened(clip: Coded, layout: FilmLayout, sets: ParameterSets, settings: dict[str, str]) -> VideoCodecContext:
    encoder = CodecContext.create(_ENCODER, "w")
    encoder.width, encoder.height, encoder.pix_fmt = clip.width, clip.height, clip.pix_fmt
    encoder.framerate, encoder.time_base = layout.rate, 1 / layout.rate
    if clip.pixel_aspect is not None:
        encoder.sample_aspect_ratio = clip.pixel_aspect
    encoder.color_range, encoder.colorspace = clip.colours.range, clip.colours.matrix
    encoder.color_primaries, encoder.color_trc = clip.colours.primaries, clip.colours.transfer
    # Parameter sets beside the frames, not among them; and one thread, for tails are made side by side.
    encoder.flags |= Flags.global_header | Flags.bitexact
    encoder.thread_count = 1
    encoder.options = {
        "preset": "veryfast",
        "profile": PROFILES[sets.profile],
        "forced-idr": "1",
        "x264-params": ":".join(f"{name}={value}" for name, value in settings.items()),
    }
    encoder.open()
    return encoder


def _decoder(extradata: bytes) -> VideoCodecContext:
    decoder = CodecContext.create(H264, "r")
    decoder.extradata = extradata
    decoder.thread_count = 1
    return decoder


def _frames(stop: Stop, clip: Coded, first: int, behind: int) -> Iterator[VideoFrame]:
    with open_video(clip.path) as (container, stream):
        stream.codec_context.thread_count = 1
        for number, frame in enumerate(container.decode(stream)):
            if number >= behind:
                break
            stop.check()
            if number >= first:
                yield frame
