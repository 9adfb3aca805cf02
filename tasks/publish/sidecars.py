"""The files beside a film: captions, stills, deliverables. What they are, and what a manifest tells of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.media.files import sha256_of
from tasks.publish.targets import Kind, SidecarKind, Targets
from tasks.storage import Location

__all__ = ["Sidecar", "Told", "are_whole", "told_of"]


@dataclass(frozen=True, slots=True)
class Sidecar:
    """A file that goes beside a film, and where it lies on this machine until then."""

    kind: Kind
    path: Path

    def facts(self, targets: Targets) -> dict[str, Any]:
        """What the manifest tells of it: the `file` that it becomes, its `sha256` and `size_bytes`. Blocks."""
        return self.told(targets).facts()

    def told(self, targets: Targets) -> Told:
        """The same, with its place. Blocks."""
        return Told(self.kind, targets.sidecar(self.kind), self.path.stat().st_size, sha256_of(self.path))


@dataclass(frozen=True, slots=True)
class Told:
    """A file beside a film that a manifest tells of, and its place."""

    kind: Kind
    place: Location
    size_bytes: int
    sha256: str

    def is_there(self) -> bool:
        """Whether the file in that place is, byte for byte, the one that is told of. Blocks.

        Raises:
            StorageUnreachable: The storage does not answer.
        """
        return self.place.size() == self.size_bytes and self.place.sha256() == self.sha256

    def facts(self) -> dict[str, Any]:
        """As a manifest tells it."""
        return {"file": self.place.name, "sha256": self.sha256, "size_bytes": self.size_bytes}


def are_whole(targets: Targets, manifest: Mapping[str, Any]) -> bool:
    """Whether every file that a manifest tells of beside its film is in its place, as long as it says. Blocks.

    Raises:
        StorageUnreachable: The storage does not answer.
    """
    told = [*_listed(targets, manifest, "sidecars"), *_listed(targets, manifest, "deliverables")]
    return all(it.place.size() == it.size_bytes for it in told)


def told_of(targets: Targets, manifest: Mapping[str, Any]) -> list[Told]:
    """The files that a manifest, of whatever version, tells of beside its film. Pure.

    Under `left` it tells what lies there of a film before it.
    """
    return [it for key in ("sidecars", "deliverables", "left") for it in _listed(targets, manifest, key)]


def _listed(targets: Targets, manifest: Mapping[str, Any], key: str) -> Iterator[Told]:
    """As far as they have names that ours have."""
    listed = manifest.get(key)
    told = [facts for facts in listed if isinstance(facts, dict)] if isinstance(listed, list) else []
    kinds: list[Kind] = list(SidecarKind)
    names = dict.fromkeys(name for facts in told if isinstance(name := facts.get("file"), str))
    kinds += [delivered for name in names if (delivered := targets.deliverable(name)) is not None]
    for kind in kinds:
        place = targets.sidecar(kind)
        for facts in told:
            size_bytes, digest = facts.get("size_bytes"), facts.get("sha256")
            if facts.get("file") == place.name and isinstance(size_bytes, int) and isinstance(digest, str):
                yield Told(kind, place, size_bytes, digest)
