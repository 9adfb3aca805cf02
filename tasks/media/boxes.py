"""The skeleton of a video file, read without decoding: whether it is all there, and how it is laid out.

MP4 and MOV are rows of boxes, each with its size before it; WebM is an EBML segment that knows its size.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final

from tasks.errors import MediaError

__all__ = [
    "Box",
    "declared_size_bytes",
    "has_countless_boxes",
    "moov_before_mdat",
    "top_level_boxes",
    "video_time_runs",
]

_FIRST_BOXES: Final = {b"ftyp", b"styp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot"}
_EBML: Final = b"\x1a\x45\xdf\xa3"
_SEGMENT: Final = b"\x18\x53\x80\x67"
_LARGEST_MOOV_BYTES: Final = 1 << 28
_LARGEST_EBML_HEADER_BYTES: Final = 1 << 16
_MOST_BOXES: Final = 4096


@dataclass(frozen=True, slots=True)
class Box:
    """One box: its four-letter kind, and where its header and its content begin and end, in bytes."""

    kind: str
    start: int
    content: int
    end: int


def declared_size_bytes(path: Path) -> int | None:
    """How many bytes the file must have to be all there, by its own account; `None` where it does not say."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] == _EBML:
            return _segment_end(file)
        if head[4:8] not in _FIRST_BOXES:
            return None
        boxes = _boxes(file, 0, size)
    # Less than a header at the end is the beginning of a box that was cut off.
    end = boxes[-1].end if boxes else 0
    return end if end >= size else size + 1


def top_level_boxes(path: Path) -> list[Box]:
    """The boxes of an MP4 or MOV in their order; the last may end past the end of a file that was cut off."""
    with path.open("rb") as file:
        return _boxes(file, 0, path.stat().st_size)


def has_countless_boxes(path: Path) -> bool:
    """Whether there are more boxes side by side than any film has: some readers take a day for what is made so.

    A file of another kind has few, or none, as this counts.
    """
    with path.open("rb") as file:
        return next(islice(_walked(file, 0, path.stat().st_size), _MOST_BOXES, None), None) is not None


def moov_before_mdat(path: Path) -> bool:
    """Whether an MP4 can start playing before all of it has arrived."""
    kinds = [box.kind for box in top_level_boxes(path)]
    return "moov" in kinds and "mdat" in kinds and kinds.index("moov") < kinds.index("mdat")


def video_time_runs(path: Path) -> int:
    """How many runs of equal sample durations the picture track of an MP4 has: a film at one rate has one.

    Raises:
        MediaError: The file has no index, or no picture track.
    """
    with path.open("rb") as file:
        for moov in _boxes(file, 0, path.stat().st_size):
            if moov.kind != "moov" or moov.end - moov.start > _LARGEST_MOOV_BYTES:
                continue
            for trak in _inside(file, moov, "trak"):
                for mdia in _inside(file, trak, "mdia"):
                    if not _is_video(file, mdia):
                        continue
                    for minf in _inside(file, mdia, "minf"):
                        for stbl in _inside(file, minf, "stbl"):
                            for stts in _inside(file, stbl, "stts"):
                                file.seek(stts.content + 4)
                                return int.from_bytes(file.read(4))
    raise MediaError("this file has no index of its pictures", file=str(path))


def _boxes(file: BinaryIO, start: int, end: int) -> list[Box]:
    return list(_walked(file, start, end))


def _walked(file: BinaryIO, start: int, end: int) -> Iterator[Box]:
    at = start
    while at + 8 <= end:
        file.seek(at)
        header = file.read(16)
        size, kind, content = int.from_bytes(header[:4]), header[4:8], at + 8
        if size == 1:
            size, content = int.from_bytes(header[8:16]), at + 16
        elif size == 0:
            size = end - at
        box = Box(kind.decode("latin-1"), at, content, at + max(size, content - at))
        yield box
        at = box.end


def _inside(file: BinaryIO, box: Box, kind: str) -> list[Box]:
    return [inner for inner in _boxes(file, box.content, box.end) if inner.kind == kind]


def _is_video(file: BinaryIO, mdia: Box) -> bool:
    for hdlr in _inside(file, mdia, "hdlr"):
        file.seek(hdlr.content + 8)
        return file.read(4) == b"vide"
    return False


def _segment_end(file: BinaryIO) -> int | None:
    file.seek(4)
    header = _ebml_size(file)
    if header is None or header > _LARGEST_EBML_HEADER_BYTES:
        return None
    file.seek(header, 1)
    if file.read(4) != _SEGMENT:
        return None
    segment = _ebml_size(file)
    # A live recording does not know its size.
    return None if segment is None else file.tell() + segment


def _ebml_size(file: BinaryIO) -> int | None:
    first = file.read(1)
    if not first or not first[0]:
        return None
    length = 9 - first[0].bit_length()
    value = int.from_bytes(first + file.read(length - 1)) & ((1 << 7 * length) - 1)
    return None if value == (1 << 7 * length) - 1 else value
