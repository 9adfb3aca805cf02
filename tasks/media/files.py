"""Files that are whole or absent."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["mark_used", "written_whole"]


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; what was written there takes the name `path` when all went well.

    The temporary name keeps the suffix, which encoders go by. Nothing is left behind when the body raises or is
    cancelled. A missing folder is made. What is written so can be made again, so it is not forced to the disk; what
    cannot be goes through `tasks.storage`, which does that.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # A fixed short stem: a name that is already as long as a file system allows must not grow.
    temporary = path.with_name(f".part-{secrets.token_hex(8)}{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def mark_used(path: Path) -> None:
    """Note, by its time, that a file of a cache was of use, so that it is not among the first to be dropped."""
    with suppress(OSError):  # in a cache that cannot be written, a file is as useful
        os.utime(path)
