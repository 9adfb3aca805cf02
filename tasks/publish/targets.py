"""Decides where each published file goes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from tasks.errors import SettingsError
from tasks.storage import Location, locate

__all__ = ["Targets", "targets_of"]

_VIDEO = {".mp4"}
_OTHER_VIDEO = {".mov", ".webm", ".mkv", ".avi", ".m4v", ".mpg", ".mpeg", ".ts"}


@dataclass(frozen=True, slots=True)
class Targets:
    """The places of one published film."""

    film: Location
    manifest: Location

    def check(self) -> None:
        """See, before anything is paid, whether the files could be written. Blocks; writes nothing.

        Raises:
            SettingsError: A place is no place for a file, or its kind of storage is not known or not installed.
            StorageUnreachable: It cannot be written, or does not answer.
        """
        for place in (self.film, self.manifest):
            place.check_writable()


def targets_of(output: str) -> Targets:
    """Read an output: the name of the film, with its sidecars beside it, or a folder for all of them.

    `films/harbor.mp4` gives `films/harbor.mp4` and `films/harbor.manifest.json`; `films/harbor` gives
    `films/harbor/film.mp4` and `films/harbor/manifest.json`.

    Raises:
        SettingsError: An empty output, or a kind of video that films are not published as.
    """
    place = locate(output)
    name = place.name
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in _OTHER_VIDEO:
        raise SettingsError(
            f"a film cannot be published as '{suffix}'", advice="Accepted: a name ending in .mp4, or a folder."
        )
    if suffix in _VIDEO:
        if place.local is not None and place.local.is_dir():
            raise SettingsError(f"{place.shown} is a folder", advice="Accepted: the name of a film, or a folder.")
        return Targets(film=place, manifest=place.beside(f"{name[: -len(suffix)]}.manifest.json"))
    if place.local is not None and place.local.is_file():
        raise SettingsError(f"{place.shown} is a file", advice="Accepted: a name ending in .mp4, or a folder.")
    return Targets(film=place.child("film.mp4"), manifest=place.child("manifest.json"))
