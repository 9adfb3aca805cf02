"""Coded frames as they stand in the film: those that are copied, then those that were made anew."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from tasks.media.reading import open_video
from tasks.media.thread import Stop

__all__ = ["CodedPacket", "packets_of"]

CodedPacket: TypeAlias = "Packet[VideoStream] | Packet[Stream]"


def packets_of(stop: Stop, clip: Path, copied: int, tail: Iterable[bytes] = ()) -> Iterator[CodedPacket]:
    """The first `copied` packets of a clip and those of a tail behind them, in the order of decoding.

    Args:
        stop: Ends it between two packets.
        clip: The clip's file.
        copied: How many of its packets.
        tail: What was encoded again, a packet each, the first of which is a keyframe.

    Raises:
        MediaError: The clip cannot be read.
    """
    given = 0
    with open_video(clip) as (container, stream):
        for packet in container.demux(stream):
            if given >= copied:
                break
            if packet.size:
                stop.check()
                yield packet
                given += 1
    for number, data in enumerate(tail):
        stop.check()
        made = Packet(data)
        made.is_keyframe = number == 0
        yield made
