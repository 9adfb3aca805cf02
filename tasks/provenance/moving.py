"""XMP in moving pictures, WebP and GIF, put behind all frames of the file, in place."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO, Final

from tasks.errors import MediaError

__all__ = ["is_gif", "is_webp", "put_in_gif", "put_in_webp", "read_gif", "read_webp"]

# A chunk of WebP: its name, its length, its content, and a byte if that makes the length even.
_CHUNK: Final = b"XMP "
_EXTENDED: Final = b"VP8X"
_HAS_XMP: Final = 0x04
_MOST_CHUNKS: Final = 100_000

# In GIF a packet stands bare behind the name of its extension. What follows leads readers that take its bytes for
# lengths of blocks to the end of it, wherever they come out.
_EXTENSION: Final = b"\x21\xff\x0bXMP DataXMP"
_LANDING: Final = bytes([1, *range(255, -1, -1), 0])
_END: Final = b"\x3b"
_TAIL_BYTES: Final = 1 << 18


def is_webp(path: Path) -> bool:
    """Whether a file is WebP."""
    with path.open("rb") as file:
        head = file.read(12)
    return head[:4] == b"RIFF" and head[8:] == b"WEBP"


def is_gif(path: Path) -> bool:
    """Whether a file is GIF."""
    with path.open("rb") as file:
        return file.read(6) in {b"GIF87a", b"GIF89a"}


def put_in_webp(path: Path, packet: bytes) -> bool:
    """Put a packet into a WebP with moving pictures; one that is its last chunk is replaced.

    Returns:
        Whether it could be: a single picture may be of the simple kind, which has no XMP.

    Raises:
        MediaError: It is cut off, or has its XMP at another place.
    """
    with path.open("r+b") as file:
        chunks = _chunks(file, path)
        if not chunks or chunks[0][0] != _EXTENDED:
            return False
        if _CHUNK in [name for name, _, _ in chunks[:-1]]:
            raise MediaError("this file has XMP already, in its middle", file=str(path))
        name, start, _ = chunks[-1]
        if name == _CHUNK:
            file.truncate(start)
        file.seek(0, os.SEEK_END)
        file.write(_CHUNK + len(packet).to_bytes(4, "little") + packet + bytes(len(packet) % 2))
        size_bytes = file.tell()
        flags_at = chunks[0][1] + 8
        file.seek(flags_at)
        flags = file.read(1)[0] | _HAS_XMP
        file.seek(flags_at)
        file.write(bytes([flags]))
        file.seek(4)
        file.write((size_bytes - 8).to_bytes(4, "little"))
    return True


def read_webp(path: Path, most_bytes: int) -> bytes | None:
    """The packet of a WebP; None where there is none."""
    with path.open("rb") as file:
        for name, start, size_bytes in _chunks(file, path):
            if name == _CHUNK:
                file.seek(start + 8)
                return file.read(min(size_bytes, most_bytes))
    return None


def put_in_gif(path: Path, packet: bytes) -> None:
    """Put a packet into a GIF, before the byte that ends it; one that stands there is replaced.

    Raises:
        MediaError: It does not end as a GIF does.
    """
    size_bytes = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size_bytes - 1)
        if file.read(1) != _END:
            raise MediaError("this GIF has no end", file=str(path))
        there = _at_end_of(file, size_bytes)
        file.seek(size_bytes - 1 if there is None else there)
        file.truncate()
        file.write(_EXTENSION + packet + _LANDING + _END)


def read_gif(path: Path) -> bytes | None:
    """The packet at the end of a GIF; None where there is none."""
    size_bytes = path.stat().st_size
    with path.open("rb") as file:
        there = _at_end_of(file, size_bytes)
        if there is None:
            return None
        file.seek(there + len(_EXTENSION))
        return file.read(size_bytes - file.tell() - len(_LANDING) - 1)


def _at_end_of(file: BinaryIO, size_bytes: int) -> int | None:
    """Where the extension with the packet begins that is a GIF's last block."""
    begin = max(0, size_bytes - _TAIL_BYTES)
    file.seek(begin)
    tail = file.read()
    at = tail.rfind(_EXTENSION)
    return begin + at if at >= 0 and tail.endswith(_LANDING + _END) else None


def _chunks(file: BinaryIO, path: Path) -> list[tuple[bytes, int, int]]:
    """Name, place and length of each chunk."""
    file.seek(0, os.SEEK_END)
    end, at = file.tell(), 12
    found: list[tuple[bytes, int, int]] = []
    while at + 8 <= end and len(found) < _MOST_CHUNKS:
        file.seek(at)
        name, size_bytes = file.read(4), int.from_bytes(file.read(4), "little")
        found.append((name, at, size_bytes))
        at += 8 + size_bytes + size_bytes % 2
    if at != end:
        raise MediaError("this WebP is no row of whole chunks", file=str(path))
    return found
