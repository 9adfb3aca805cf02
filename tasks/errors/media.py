"""A file that is not what it should be."""

from __future__ import annotations

from tasks.errors.base import ShotchainError
from tasks.problems import Charged

__all__ = ["ClipDamaged", "FilmWrong", "MediaError", "NotSigned"]


class MediaError(ShotchainError):
    """ffmpeg or a decoder could not do what was asked of a file."""

    exit_code = 5


class ClipDamaged(MediaError):
    """A downloaded clip is truncated or cannot be decoded to its end."""

    charged = Charged.YES


class FilmWrong(ShotchainError):
    """The finished film failed its own check. It was not published."""


class NotSigned(ShotchainError):
    """The finished film could not be signed, and had to be. It was not published; what it is made of is kept."""

    exit_code = 5
