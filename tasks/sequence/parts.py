"""Encoded parts of a film: made once, decoded once to see that they are right, and kept with proof of it.

The film is joined from parts by copying, and is then compared with them and not decoded again: so each part has to be
what it should be before it takes its name. It proves so ever after by its last box, which holds the digest of all
bytes before it. In one file, because a file and its proof beside it could be of different times.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NoReturn

from tasks.errors import MediaError
from tasks.media.boxes import video_time_runs
from tasks.media.ffmpeg import run
from tasks.media.files import mark_used, sha256_of, written_whole
from tasks.media.reading import open_video
from tasks.media.thread import finish_in_thread
from tasks.sequence.timeline import FilmLayout

__all__ = [
    "Progress",
    "check_part",
    "is_proven",
    "is_sealed",
    "made_part",
    "proof_of",
    "prove",
    "proven_digest",
    "seal",
]

Progress = Callable[[int], None]
"""Is told how many frames are done, now and then."""

# A box of our own, as MP4 allows: its length, `uuid`, which kind it is in 16 bytes, and what it holds.
_SEAL: Final = (8 + 16 + 32).to_bytes(4) + b"uuid" + b"shotchain:sha256"
_SEAL_BYTES: Final = len(_SEAL) + 32
_BLOCK_BYTES: Final = 1 << 20


async def made_part(
    picture: Path,
    graph: Callable[[Path], Any],
    layout: FilmLayout,
    frames: int,
    *,
    what: str,
    on_frames: Progress | None = None,
) -> None:
    """Make a part, or find it made.

    Args:
        picture: Where it is kept.
        graph: What writes it to a path, as `ffmpeg.output(…)` returns it.
        layout: What it has to have.
        frames: How many frames it has to have.
        what: What is being done, for the error.
        on_frames: Told how far it is.

    Raises:
        MediaError: ffmpeg failed, or what it made is not so many frames of the layout.
    """
    if not await asyncio.to_thread(is_sealed, picture):
        with written_whole(picture) as temporary:
            await run(graph(temporary), what=what, on_frames=on_frames)
            await finish_in_thread(check_part, temporary, layout, frames, what)
            await finish_in_thread(seal, temporary)
    mark_used(picture)


def check_part(picture: Path, layout: FilmLayout, frames: int, what: str) -> None:
    """Decode a part to its end: every frame is there, whole, of the film's size and on its time. Blocks.

    Raises:
        MediaError: Something differs; the message says what, when ffmpeg was to do `what`.
    """
    count = 0
    with open_video(picture) as (container, stream):
        stream.thread_type = "AUTO"
        for frame in container.decode(stream):
            at_s = (frame.pts or 0) * (frame.time_base or 0)
            if frame.is_corrupt or (frame.width, frame.height) != (layout.width, layout.height):
                _fail(what, f"frame {count} is damaged, or has {frame.width}x{frame.height} pixels")
            if at_s != count / layout.rate or (not count and not frame.key_frame):
                _fail(what, f"frame {count} is shown at {float(at_s):.6f} s, or needs one that is not there")
            count += 1
    if count != frames:
        _fail(what, f"there are {count} frames, not {frames}")
    if (runs := video_time_runs(picture)) != 1:
        _fail(what, f"its frames have {runs} runs of durations, not one")


def seal(part: Path) -> None:
    """Append the proof that `is_sealed` looks for. Blocks."""
    # This way it is not made anew, should it not be there.
    with part.open("r+b") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
        file.write(_SEAL + digest)


def is_sealed(part: Path) -> bool:
    """Whether a part is there, every byte as it was when it was made. Blocks for about a millisecond a megabyte."""
    try:
        with part.open("rb") as file:
            left = os.fstat(file.fileno()).st_size - _SEAL_BYTES
            digest = hashlib.sha256()
            while left > 0 and (block := file.read(min(left, _BLOCK_BYTES))):
                digest.update(block)
                left -= len(block)
            return file.read() == _SEAL + digest.digest()
    except FileNotFoundError:
        return False


def prove(samples: Path) -> None:
    """Put down beside raw samples the digest of all of them: in such a file, a seal would be heard. Blocks.

    Raises:
        StorageUnreachable: There is no room for it.
    """
    digest = sha256_of(samples)
    with written_whole(proof_of(samples)) as temporary:
        temporary.write_text(digest)


def is_proven(samples: Path) -> bool:
    """Whether raw samples are there, every byte as it was when `prove` saw them. Blocks as `is_sealed` does."""
    try:
        proof = proof_of(samples).read_bytes()
        return proof == sha256_of(samples).encode()
    except FileNotFoundError:
        return False


def proven_digest(samples: Path) -> str:
    """The sha256 of raw samples, as `prove` put it down. Blocks.

    Raises:
        FileNotFoundError: It did not.
    """
    return proof_of(samples).read_text()


def proof_of(samples: Path) -> Path:
    """Where the digest of raw samples is kept."""
    return samples.with_name(f"{samples.name}.sha256")


def _fail(what: str, difference: str) -> NoReturn:
    raise MediaError(f"ffmpeg did not {what} as it should have: {difference}")
