"""A file that is not what it should be."""

from __future__ import annotations

from tasks.errors.base import ShotchainError
from tasks.problems import Charged

__all__ = ["ClipDamaged", "FilmWrong", "MediaError"]


class MediaError(ShotchainError):
    """ffmpeg or a decoder could not do what was asked of a file."""

    exit_code = 5


class ClipDamaged(MediaError):
    """A downloaded clip is truncated or cannot be decoded to its end."""

    charged = Charged.YES


class FilmWrong(ShotchainError):
    """The finished film failed its own check. It was not published."""
