"""Whose the files of a film are: none replaces what it is made of, and a deliverable only what a render has made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.deliver.presets import Preset
from tasks.errors import SettingsError, StorageUnreachable
from tasks.publish.published import read_manifest
from tasks.publish.sidecars import Sidecar, Told, told_of
from tasks.publish.targets import DeliverableKind, Targets
from tasks.storage import Location

__all__ = ["Claim", "check_apart", "check_ours", "claims_of"]

_ADVICE = "Move it, or name another output."


def check_ours(targets: Targets, presets: Sequence[Preset]) -> None:
    """See, before anything is paid, whether deliverables would replace files that are no render's. Blocks.

    Raises:
        SettingsError: One would: the manifest that lies there tells of no file of that name and size, or the place
            belongs to another film. Or the kind of storage is not known or not installed.
    """
    if not presets:
        return
    # Some may write where they may not read; what cannot be seen cannot be told.
    with suppress(StorageUnreachable):
        told = told_of(targets, read_manifest(targets) or {})
        for preset, place in targets.deliverables(presets).items():
            size_bytes = place.size()
            if size_bytes is not None and not [it for it in told if it.place == place and it.size_bytes == size_bytes]:
                raise _not_ours(place)
            other = place.beside(f"{place.name.rpartition('.')[0]}.manifest.json")
            if other.size() is not None:
                raise SettingsError(
                    f"'{preset}' would have the name of another film: {other.shown} tells of it",
                    advice=f"{_ADVICE} Nothing was spent.",
                )


def check_apart(targets: Targets, presets: Sequence[Preset], inputs: Mapping[str, Path | None]) -> None:
    """See, before anything is paid, whether a film would replace what it is made of, such as a video it edits. Blocks.

    Args:
        targets: Where the film and the files beside it go.
        presets: Of the deliverables that are asked for.
        inputs: What it is made of, by URI, with its path where it can be read here.

    Raises:
        SettingsError: It would. Whoever lost the source that way would pay for another film, made of the first.
    """
    for place in [*targets.places(), *targets.deliverables(presets).values()]:
        for uri, local in inputs.items():
            if place.url == uri or (place.local is not None and _is_one_file(place.local, local)):
                raise SettingsError(
                    f"the film is made of {place.shown}, and would replace it",
                    advice="Name another output. Nothing was spent.",
                )


def _is_one_file(place: Path, other: Path | None) -> bool:
    with suppress(OSError):  # mostly, that nothing is there yet
        return other is not None and place.samefile(other)
    return False


@dataclass(frozen=True, slots=True)
class Claim:
    """A deliverable that is to be put: its preset, what a manifest tells of it, and where it lies until then."""

    kind: DeliverableKind
    told: Told
    source: Path

    def put(self, known: Sequence[Told] | None) -> None:
        """Put it in its place, unless somebody's own file is there. Blocks.

        Args:
            known: What renders have put beside this film; None where that may not be read.

        Raises:
            SettingsError: What is there is none of that.
            StorageUnreachable: It cannot be written.
        """
        if known is not None:
            _refuse_others(self.told, known)
        self.told.place.put(self.source)


def claims_of(sidecars: Sequence[Sidecar], manifest: Mapping[str, Any], targets: Targets) -> list[Claim]:
    """The deliverables among some files, as their manifest tells of them. Blocks where it does not."""
    told = {it.kind: it for it in told_of(targets, manifest)}
    found = []
    for sidecar in sidecars:
        kind = sidecar.kind
        if isinstance(kind, DeliverableKind):
            found.append(Claim(kind, told.get(kind) or sidecar.told(targets), sidecar.path))
    return found


def _refuse_others(new: Told, known: Sequence[Told]) -> None:
    with suppress(StorageUnreachable):  # if it cannot be written either, that is told
        size_bytes = new.place.size()
        if size_bytes is None:
            return
        alike = {it.sha256 for it in [new, *known] if it.place == new.place and it.size_bytes == size_bytes}
        if not alike or new.place.sha256() not in alike:
            raise _not_ours(new.place)


def _not_ours(place: Location) -> SettingsError:
    return SettingsError(f"{place.shown} is there, and is no deliverable of this film", advice=_ADVICE)
