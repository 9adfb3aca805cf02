"""Files that are whole or absent, and known by their digest."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from tasks.errors import StorageUnreachable

__all__ = ["NO_ROOM", "mark_used", "no_room", "sha256_of", "written_whole"]

NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What only writing can meet with, whatever else is done on the way."""


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; what was written there takes the name `path` when all went well.

    The temporary name keeps the suffix, which encoders go by. Nothing is left behind when the body raises or is
    cancelled. A missing folder is made. What is written so can be made again, so it is not forced to the disk; what
    cannot be goes through `tasks.storage`, which does that.

    Raises:
        StorageUnreachable: There is no room for it, whoever wrote: Python or libav.
    """
    with _told_when_full(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # A fixed short stem: a name that is already as long as a file system allows must not grow.
        temporary = path.with_name(f".part-{secrets.token_hex(8)}{path.suffix}")
        try:
            yield temporary
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def _told_when_full(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as cause:
        # What else goes wrong may be about a file that the body reads, and says itself which.
        if cause.errno not in NO_ROOM:
            raise
        raise no_room(path, cause.errno) from cause


def no_room(path: Path, number: int) -> StorageUnreachable:
    """The error of a file that cannot be written for the reason that the system calls so, one of `NO_ROOM`."""
    return StorageUnreachable(
        f"there is no room to write this file: {os.strerror(number)}",
        file=str(path),
        advice=(
            f"{'let files there be larger' if number == errno.EFBIG else 'free some space there'}, "
            "and run again; what is made is kept"
        ),
    )


def sha256_of(path: Path) -> str:
    """The sha256 (hex) of a file, streamed. Blocks.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def mark_used(path: Path) -> None:
    """Note, by its time, that a file of a cache was of use, so that it is not among the first to be dropped."""
    with suppress(OSError):  # in a cache that cannot be written, a file is as useful
        os.utime(path)
