"""Decides where each published file goes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Final, TypeAlias

from tasks.deliver.presets import PRESET_NAME, Container, Preset
from tasks.errors import SettingsError
from tasks.storage import Location, locate

__all__ = ["DeliverableKind", "Kind", "SidecarKind", "Targets", "targets_of"]

_VIDEO = {".mp4"}
_OTHER_VIDEO = {".mov", ".webm", ".mkv", ".avi", ".m4v", ".mpg", ".mpeg", ".ts"}
_DELIVERED: Final = frozenset(str(container) for container in Container)
_PRESET: Final = re.compile(PRESET_NAME)


class SidecarKind(StrEnum):
    """What may stand beside a film and its manifest."""

    SRT = "srt"
    VTT = "vtt"
    POSTER = "poster"
    CONTACT = "contact"
    OTIO = "otio"
    FCP7 = "xml"
    FCPXML = "fcpxml"
    EDL = "edl"


@dataclass(frozen=True, slots=True)
class DeliverableKind:
    """A deliverable of a film beside it: its preset's name, and its suffix without the dot."""

    preset: str
    suffix: str


Kind: TypeAlias = SidecarKind | DeliverableKind


# In a folder of the film's own, and beside a film with a name, by which players find its captions.
_IN_FOLDER = {
    SidecarKind.SRT: "captions.srt",
    SidecarKind.VTT: "captions.vtt",
    SidecarKind.POSTER: "poster.jpg",
    SidecarKind.CONTACT: "contact.jpg",
    SidecarKind.OTIO: "timeline.otio",
    SidecarKind.FCP7: "timeline.xml",
    SidecarKind.FCPXML: "timeline.fcpxml",
    SidecarKind.EDL: "timeline.edl",
}
_BESIDE = {
    SidecarKind.SRT: ".srt",
    SidecarKind.VTT: ".vtt",
    SidecarKind.POSTER: ".poster.jpg",
    SidecarKind.CONTACT: ".contact.jpg",
    SidecarKind.OTIO: ".otio",
    SidecarKind.FCP7: ".xml",
    SidecarKind.FCPXML: ".fcpxml",
    SidecarKind.EDL: ".edl",
}


@dataclass(frozen=True, slots=True)
class Targets:
    """The places of one published film. `stem` is the film's name without its suffix, None in a folder of its own."""

    film: Location
    manifest: Location
    stem: str | None = None

    def sidecar(self, kind: Kind) -> Location:
        """The place of a file beside the film. `harbor.mp4` as `square` is `harbor.square.mp4`."""
        if isinstance(kind, DeliverableKind):
            return self.film.beside(f"{self._stem}.{kind.preset}.{kind.suffix}")
        return self.film.beside(_IN_FOLDER[kind] if self.stem is None else f"{self.stem}{_BESIDE[kind]}")

    @property
    def media_folder(self) -> str:
        """The folder, beside the film, of the clips that timelines refer to; films with names have one each."""
        return "clips" if self.stem is None else f"{self.stem}-clips"

    def media(self, name: str) -> Location:
        """The place of a file of that folder; `name` begins with the folder's."""
        folder, _, file = name.partition("/")
        return self.film.beside(folder).child(file)

    def deliverable(self, name: str) -> DeliverableKind | None:
        """Which deliverable of this film has such a file name; None if it can be none."""
        rest, _, suffix = name.rpartition(".")
        begin, preset = rest[: len(self._stem) + 1], rest[len(self._stem) + 1 :]
        if begin != f"{self._stem}." or suffix not in _DELIVERED or not _PRESET.fullmatch(preset):
            return None
        return DeliverableKind(preset, suffix)

    def check(self, presets: Sequence[Preset] = ()) -> None:
        """See, before anything is paid, whether all the files could be written. Blocks; writes nothing.

        Args:
            presets: Of the deliverables that are asked for.

        Raises:
            SettingsError: A place is no place for a file, or its kind of storage is not known or not installed.
            StorageUnreachable: It cannot be written, or does not answer.
        """
        for place in [*self.places(), *self.deliverables(presets).values()]:
            place.check_writable()

    def deliverables(self, presets: Sequence[Preset]) -> dict[str, Location]:
        """The places of the deliverables of some presets, by their names."""
        return {preset.name: self.sidecar(DeliverableKind(preset.name, preset.suffix)) for preset in presets}

    def places(self) -> Iterator[Location]:
        """Those of the film, its manifest, and whatever may stand beside it but deliverables."""
        yield self.film
        yield self.manifest
        for kind in SidecarKind:
            yield self.sidecar(kind)

    @property
    def _stem(self) -> str:
        return "film" if self.stem is None else self.stem


def targets_of(output: str) -> Targets:
    """Read an output: the name of the film, with its sidecars beside it, or a folder for all of them.

    `films/harbor.mp4` gives `films/harbor.mp4`, `films/harbor.manifest.json`, `films/harbor.srt` and so on;
    `films/harbor` gives `films/harbor/film.mp4`, `films/harbor/manifest.json`, `films/harbor/captions.srt` and so on.

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
        if place.is_folder():
            raise SettingsError(f"{place.shown} is a folder", advice="Accepted: the name of a film, or a folder.")
        stem = name[: -len(suffix)]
        return Targets(film=place, manifest=place.beside(f"{stem}.manifest.json"), stem=stem)
    if place.local is not None and not place.is_folder() and place.local.is_file():
        raise SettingsError(f"{place.shown} is a file", advice="Accepted: a name ending in .mp4, or a folder.")
    return Targets(film=place.child("film.mp4"), manifest=place.child("manifest.json"))
