"""Whether a film holds, to the bit and at even times, what was written into it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from fractions import Fraction
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

from tasks.errors import FilmWrong
from tasks.media.boxes import video_time_runs
from tasks.media.reading import open_video
from tasks.media.thread import Stop
from tasks.sequence.lossless.packets import CodedPacket
from tasks.sequence.timeline import FilmLayout

__all__ = ["Written", "check_pictures", "digest_of"]


class Written(NamedTuple):
    """A packet as it was given to the film: its times of showing and decoding, in ticks, and its bytes' digest."""

    pts: int
    dts: int
    digest: bytes


def digest_of(packet: CodedPacket) -> bytes:
    """The sha256 of a packet's bytes."""
    return hashlib.sha256(packet).digest()


def check_pictures(stop: Stop, film: Path, layout: FilmLayout, extradata: bytes, written: Sequence[Written]) -> None:
    """Read a film again and compare it with what was written. Blocks; nothing is decoded.

    Args:
        stop: Ends it between two packets.
        film: The file.
        layout: Its size and its ticks.
        extradata: What decoders are to be told first.
        written: Its packets, in the order of decoding.

    Raises:
        FilmWrong: A packet is missing, changed or at another time, or players are told something else.
        MediaError: The film cannot be read.
    """
    if (runs := video_time_runs(film)) != 1:
        raise FilmWrong(f"the film's frames have {runs} runs of durations, not one", file=str(film))
    with open_video(film) as (container, stream):
        told = bytes(stream.codec_context.extradata or b"")
        found = (stream.width, stream.height, stream.time_base, told)
        if found != (layout.width, layout.height, Fraction(1, layout.timescale), extradata):
            raise FilmWrong("the film's size, ticks or parameter sets are not those of its clips", file=str(film))
        packets = (packet for packet in container.demux(stream) if packet.size)
        for number, (packet, wanted) in enumerate(zip_longest(packets, written)):
            stop.check()
            if packet is None or wanted is None:
                has = f"only {number} of" if packet is None else "more than"
                raise FilmWrong(f"the film has {has} {len(written)} frames", file=str(film))
            if (packet.pts, packet.dts, digest_of(packet)) != wanted:
                raise FilmWrong(f"packet {number} of the film is not what was written", file=str(film))
