"""Paths on this machine, as people write them."""

from __future__ import annotations

from pathlib import Path

from tasks.errors import SettingsError

__all__ = ["local_path"]


def local_path(named: str | Path) -> Path:
    """A path with `~` and `~user` as the home folders that they stand for.

    Raises:
        SettingsError: There is no such user here, or nobody's home is known.
    """
    try:
        return Path(named).expanduser()
    except RuntimeError as error:
        raise SettingsError(
            f"'{named}' names the home folder of a user who is not on this machine", advice="Give an absolute path."
        ) from error
