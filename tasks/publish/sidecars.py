"""The files beside a film: captions, stills, deliverables. What they are, and which of them an older film left."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.publish.targets import Kind, SidecarKind, Targets
from tasks.storage import Location

__all__ = ["Sidecar", "are_whole", "left_behind"]


@dataclass(frozen=True, slots=True)
class Sidecar:
    """A file that goes beside a film, and where it lies on this machine until then."""

    kind: Kind
    path: Path

    def facts(self, targets: Targets) -> dict[str, Any]:
        """What the manifest tells of it: the `file` that it becomes, its `sha256` and `size_bytes`. Blocks."""
        with self.path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        name = targets.sidecar(self.kind).name
        return {"file": name, "sha256": digest, "size_bytes": self.path.stat().st_size}


@dataclass(frozen=True, slots=True)
class _Facts:
    size_bytes: int
    sha256: str


def are_whole(targets: Targets, manifest: Mapping[str, Any]) -> bool:
    """Whether every file that a manifest tells of beside its film is in its place, as long as it says. Blocks.

    Raises:
        StorageUnreachable: The storage does not answer.
    """
    told = [*_told(targets, manifest, "sidecars"), *_told(targets, manifest, "deliverables")]
    return all(place.size() == facts.size_bytes for _, place, facts in told)


def left_behind(targets: Targets, manifest: Mapping[str, Any], new: Collection[Kind]) -> list[Location]:
    """Files that an older manifest tells of, which have no successor among the `new` ones. Blocks.

    One without a film tells under `left` what lies there of a film before it.

    Only what still is, byte for byte, what that manifest tells of: anything else is somebody's own.

    Raises:
        StorageUnreachable: The storage does not answer.
    """
    return [
        place
        for listed in ("sidecars", "deliverables", "left")
        for kind, place, facts in _told(targets, manifest, listed)
        if kind not in new and place.size() == facts.size_bytes and place.sha256() == facts.sha256
    ]


def _told(targets: Targets, manifest: Mapping[str, Any], key: str) -> Iterator[tuple[Kind, Location, _Facts]]:
    """The files that a manifest, of whatever version, tells of, as far as they have names that ours have."""
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
                yield kind, place, _Facts(size_bytes, digest)
