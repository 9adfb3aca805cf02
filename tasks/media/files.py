"""Files that are whole or absent."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["written_whole"]


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; what was written there takes the name `path` when all went well.

    The temporary name keeps the suffix, which encoders go by. The file is on the disk before it gets its
    name, and nothing is left behind when the body raises or is cancelled. A missing folder is made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # A fixed short stem: a name that is already as long as a file system allows must not grow.
    temporary = path.with_name(f".part-{secrets.token_hex(8)}{path.suffix}")
    try:
        yield temporary
        descriptor = os.open(temporary, os.O_RDWR)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
