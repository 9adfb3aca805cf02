"""What a film takes of each clip: made as soon as both clips of a seam exist, and kept by content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import av

from tasks.errors import MediaError
from tasks.media.files import mark_used, written_whole
from tasks.media.thread import Stop, in_thread
from tasks.sequence.lossless.coded import read_coded
from tasks.sequence.lossless.cutting import copyable, kept_frames
from tasks.sequence.lossless.tail import Tail, check_piece, encode_tail
from tasks.sequence.timeline import Cut, FilmLayout

__all__ = ["Piece", "prepare"]

# Raise it when the same clips begin to give other pieces.
_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Piece:
    """What a film takes of a clip: its first `copied` packets as they are, then `encoded` frames made again.

    `tail` holds the latter, one packet after the other of `sizes` bytes, `shown` being the order in which they are
    shown; `None` where all is copied. `extradata` is what a decoder of the piece is told first.
    """

    shot: str
    clip: Path
    copied: int
    tail: Path | None
    sizes: tuple[int, ...]
    shown: tuple[int, ...]
    extradata: bytes

    @property
    def encoded(self) -> int:
        """Frames that are not the clip's own."""
        return len(self.sizes)

    @property
    def frames(self) -> int:
        """Frames of the film."""
        return self.copied + self.encoded

    def tail_packets(self) -> Iterator[bytes]:
        """The packets of the tail, in the order of decoding."""
        if self.tail is not None:
            with self.tail.open("rb") as file:
                for size in self.sizes:
                    yield file.read(size)


async def prepare(earlier: Cut, later: Cut | None, layout: FilmLayout, folder: Path) -> Piece:
    """Make what a film takes of `earlier`'s clip when `later` follows, or find it made.

    Two clips that share a frame show it once: the earlier one's last frame goes (see `kept_frames`). Frames that
    would miss it are encoded again, three at most where x264 made the clip with its usual settings. The piece is
    decoded to its end, and over the seam, before it is kept.

    Args:
        earlier: A cut that `why_not_lossless` has nothing against.
        later: The cut behind it in the film; `None` at the film's end.
        layout: The film's size and rate.
        folder: Where results are kept, under names made from content. Made if missing.

    Raises:
        MediaError: The clip cannot be decoded, or not joined so.
    """
    key = _key(earlier, later, layout)
    note, tail = folder / f"{key}.note", folder / f"{key}.h264"
    try:
        piece = await in_thread(_found, earlier, note, tail)
        if piece is None:
            piece = await in_thread(_make, earlier, later, layout, note, tail)
    except MediaError as error:
        error.shot = earlier.shot
        raise
    for made in (note, tail) if piece.tail else (note,):
        mark_used(made)
    return piece


def _key(earlier: Cut, later: Cut | None, layout: FilmLayout) -> str:
    facts = {
        "clip": earlier.clip_id,
        "kept": kept_frames(earlier, later),
        "later": later and later.clip_id,
        "layout": [layout.width, layout.height, str(layout.rate)],
        # The encoder comes with the library.
        "version": [_VERSION, av.__version__],
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:40]


def _found(_: Stop, cut: Cut, note: Path, tail: Path) -> Piece | None:
    """A piece that was made before; one that was damaged since is not found."""
    try:
        digest, noted = note.read_bytes().split(b"\n", 1)
        facts = json.loads(noted)
        sizes = tuple(facts["sizes"])
        if digest != _digest(noted, tail.read_bytes() if sizes else b""):
            return None
        return Piece(
            shot=cut.shot,
            clip=cut.clip,
            copied=facts["copied"],
            tail=tail if sizes else None,
            sizes=sizes,
            shown=tuple(facts["shown"]),
            extradata=bytes.fromhex(facts["extradata"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _digest(noted: bytes, tail: bytes) -> bytes:
    return hashlib.sha256(noted + tail).hexdigest().encode()


def _make(stop: Stop, cut: Cut, later: Cut | None, layout: FilmLayout, note: Path, tail: Path) -> Piece:
    clip = read_coded(cut.clip)
    kept = kept_frames(cut, later)
    if not 0 < kept <= len(clip.pts):
        raise MediaError(f"this clip has {len(clip.pts)} frames, not {kept}", file=str(cut.clip))
    copied = copyable(clip.shown, kept)
    made = encode_tail(stop, clip, copied, kept, layout) if copied < kept else None
    extradata = made.extradata if made else clip.extradata
    check_piece(stop, cut.clip, copied, made, extradata, later.clip if later else None, layout)
    return _keep(cut, copied, made, extradata, note, tail)


def _keep(cut: Cut, copied: int, made: Tail | None, extradata: bytes, note: Path, tail: Path) -> Piece:
    data = b"".join(made.packets) if made else b""
    sizes = tuple(len(packet) for packet in made.packets) if made else ()
    shown = made.shown if made else ()
    if made:
        with written_whole(tail) as temporary:
            temporary.write_bytes(data)
    facts = {"copied": copied, "sizes": sizes, "shown": shown, "extradata": extradata.hex()}
    noted = json.dumps(facts).encode()
    # Last, since it vouches for the tail.
    with written_whole(note) as temporary:
        temporary.write_bytes(_digest(noted, data) + b"\n" + noted)
    return Piece(cut.shot, cut.clip, copied, tail if made else None, sizes, shown, extradata)
