"""Which emulators run on a state folder: each holds a lock there, which ends with its process."""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks.errors import SettingsError

__all__ = ["Presence"]

if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


_PATIENCE_S = 5.0


class Presence:
    """One emulator among those of a folder.

    Args:
        folder: Where their locks are.
        name: This emulator's.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name
        self._handle: int | None = None

    def begin(self) -> None:
        """Be there, until `end`, or until the process ends."""
        self._handle = _taken(self._folder / self._name)

    def is_running(self, name: str) -> bool:
        """Whether an emulator of that name runs."""
        path = self._folder / name
        if not name or not path.exists():
            return False
        handle = _taken(path)
        if handle is None:
            return True
        path.unlink(missing_ok=True)
        os.close(handle)
        return False

    @contextmanager
    def alone(self) -> Iterator[None]:
        """A block that one emulator of the folder is in at a time.

        Raises:
            SettingsError: Another one does not leave it.
        """
        deadline = time.monotonic() + _PATIENCE_S
        while (handle := _taken(self._folder / "alone")) is None:
            if time.monotonic() > deadline:
                raise SettingsError(f"another emulator does not let go of {self._folder}")
            time.sleep(0.01)
        try:
            yield
        finally:
            os.close(handle)

    def end(self) -> None:
        """Be there no longer."""
        if self._handle is not None:
            (self._folder / self._name).unlink(missing_ok=True)
            os.close(self._handle)
            self._handle = None


def _taken(path: Path) -> int | None:
    """The handle of a file that is locked now; None if another has locked it."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _lock(handle)
    except OSError as error:
        # Where there are no locks at all, each emulator is taken for the only one.
        if error.errno in {errno.EACCES, errno.EAGAIN, errno.EDEADLK}:
            os.close(handle)
            return None
    return handle
