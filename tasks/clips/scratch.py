"""Folders for what a run needs while it lasts. What a run that was killed left behind, the next one removes.

scratch/NAME.lock    locked by the process that the folder belongs to, for as long as it lives
scratch/NAME/        the folder; it is made after its lock and removed before it
"""

from __future__ import annotations

import os
import shutil
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from tasks.errors import StorageUnreachable

__all__ = ["Scratch", "living_since", "scratch_folder", "sweep_scratch"]

# A lock ends with its process, whatever ends that: no process number can be mistaken for another's.
if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


class Scratch:
    """A folder that belongs to this process until it is released.

    Args:
        cache: Local folder; the new one is in its `scratch/`.

    Raises:
        StorageUnreachable: It cannot be made.
    """

    def __init__(self, cache: Path) -> None:
        above = cache / "scratch"
        try:
            above.mkdir(parents=True, exist_ok=True)
            self._lock_file, self._handle = _new_lock(above)
            self.folder = self._lock_file.with_suffix("")
            self.folder.mkdir()
        except OSError as error:
            raise StorageUnreachable(
                f"{above} cannot be written: {error.strerror or error}",
                advice="Free some space, or name another place with SHOTCHAIN_CACHE.",
            ) from error

    def release(self) -> None:
        """Remove the folder and what is in it. What cannot be removed now, a later run removes."""
        if self._handle is None:
            return
        handle, self._handle = self._handle, None
        _remove(self.folder, self._lock_file, handle)


@contextmanager
def scratch_folder(cache: Path) -> Iterator[Path]:
    """A folder in `cache` for as long as the block lasts; removes first what dead runs left there. Blocks.

    Raises:
        StorageUnreachable: It cannot be made.
    """
    sweep_scratch(cache)
    scratch = Scratch(cache)
    try:
        yield scratch.folder
    finally:
        scratch.release()


def sweep_scratch(cache: Path) -> int:
    """Remove the scratch folders of processes that are no more; returns how many that were. Blocks.

    Raises:
        StorageUnreachable: The folder cannot be read.
    """
    swept = 0
    for lock_file in _lock_files(cache):
        handle = _taken(lock_file)
        if handle is not None:
            _remove(lock_file.with_suffix(""), lock_file, handle)
            swept += 1
    return swept


def living_since(cache: Path) -> datetime | None:
    """Since when (UTC) the oldest process that lives has a scratch folder here; None where none has. Blocks.

    Raises:
        StorageUnreachable: The folder cannot be read.
    """
    began = []
    for lock_file in _lock_files(cache):
        handle = _taken(lock_file)
        if handle is not None:
            os.close(handle)
            continue
        with suppress(FileNotFoundError):  # it ended while we looked
            began.append(datetime.fromtimestamp(lock_file.stat().st_mtime, UTC))
    return min(began, default=None)


def _lock_files(cache: Path) -> list[Path]:
    try:
        return sorted((cache / "scratch").glob("*.lock"))
    except OSError as error:
        raise StorageUnreachable(f"{cache} cannot be read: {error.strerror or error}") from error


def _new_lock(above: Path) -> tuple[Path, int | None]:
    while True:
        path = above / f"{uuid.uuid4().hex}.lock"
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            _lock(handle)
        except OSError:
            # Somebody who sweeps was faster than we: he removes this one, and we take another.
            os.close(handle)
            continue
        if path.exists():
            return path, handle
        os.close(handle)


def _taken(lock_file: Path) -> int | None:
    """The lock of a process that is no more; None where it lives, or where the lock is gone."""
    try:
        handle = os.open(lock_file, os.O_RDWR)
    except OSError:
        return None  # gone meanwhile, or another user's
    try:
        _lock(handle)
    except OSError:
        os.close(handle)
        return None
    return handle


def _remove(folder: Path, lock_file: Path, handle: int) -> None:
    try:
        # Something may still be open there or be written. Then the lock stays, and a later sweep finds both.
        shutil.rmtree(folder, ignore_errors=True)
        if sys.platform == "win32":  # there, nothing that is open can be deleted
            os.close(handle)
        if not folder.exists():
            with suppress(OSError):
                lock_file.unlink(missing_ok=True)
    finally:
        if sys.platform != "win32":
            os.close(handle)
