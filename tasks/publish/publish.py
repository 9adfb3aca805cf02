"""Publishes a finished film: the film first, then what goes beside it, the manifest last."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tasks.errors import ShotchainError, StorageUnreachable
from tasks.publish.editing.media import MediaCopy
from tasks.publish.ownership import Claim, claims_of
from tasks.publish.published import read_manifest
from tasks.publish.sidecars import Sidecar, Told, told_of
from tasks.publish.targets import DeliverableKind, Kind, SidecarKind, Targets

__all__ = ["Published", "publish"]


@dataclass(frozen=True, slots=True)
class Published:
    """What was published: the manifest as it is in its place, and by preset why a deliverable is not."""

    manifest: Mapping[str, Any]
    undelivered: Mapping[str, ShotchainError] = field(default_factory=dict)


async def publish(
    film: Path | None,
    sidecars: Sequence[Sidecar],
    manifest: Mapping[str, Any],
    targets: Targets,
    scratch: Path,
    media: Sequence[MediaCopy] = (),
) -> Published:
    """Put the film, its sidecars and then its manifest in their places, each whole or absent.

    The manifest names the sha256 of the film and of each sidecar, and nothing else belongs to them: so a set that is
    mixed of two runs, because one was killed on its way, can be told.

    A sidecar of the film before that has no successor is removed, since players take captions for those of the film
    that they lie beside. That is done before the manifest that tells whose it is gets replaced, and only to a file
    which still is what that manifest tells of: one that somebody put there, or changed, stays, and is in no manifest.

    A deliverable that cannot be put, or would replace such a file, is left out of the manifest, and all else goes on.
    Before the first is put, the manifest that is there is told of them under `left`: after a crash they are known.

    Without a film the manifest goes alone: it says why there is none. A film of an earlier run is left as it is, and
    so is what lies beside it.

    Args:
        film: On this machine.
        sidecars: At most one of a kind; the manifest tells of them.
        manifest: JSON-ready.
        targets: Where all of it goes.
        scratch: A folder for what is written on the way.
        media: What the timelines among the sidecars refer to. What the manifest before tells of, and lies there, is
            not put again.

    Raises:
        StorageUnreachable: A place cannot be written; the clips and the ledger are as they were.
    """
    readable = await asyncio.to_thread(_manifest_before, targets)
    before = readable or {}
    if film is None:
        # What lies there is known to the next run by this manifest alone.
        beside = [it for key in ("sidecars", "deliverables", "left") for it in before.get(key) or []]
        return await _with_manifest(Published({**manifest, "left": beside}), targets, scratch)
    claims = await asyncio.to_thread(claims_of, sidecars, manifest, targets)
    if claims and readable is not None:
        there = before or {**manifest, "complete": False, "film": None, "sidecars": [], "deliverables": []}
        left = [*told_of(targets, {"left": before.get("left")}), *(claim.told for claim in claims)]
        await _with_manifest(Published({**there, "left": _facts(left)}), targets, scratch)
    await asyncio.to_thread(targets.film.put, film)
    for copy in media:
        if not await asyncio.to_thread(_is_there, copy, targets, before):
            await asyncio.to_thread(targets.media(copy.name).put, copy.source)
    for sidecar in sidecars:
        if isinstance(sidecar.kind, SidecarKind):
            await asyncio.to_thread(targets.sidecar(sidecar.kind).put, sidecar.path)
    refused = await _deliver(claims, None if readable is None else told_of(targets, readable))
    kinds = {sidecar.kind for sidecar in sidecars} - set(refused)
    left = await asyncio.to_thread(_clear, targets, before, kinds)
    # One whose putting failed may lie there all the same.
    left += [claim.told for claim in claims if isinstance(refused.get(claim.kind), StorageUnreachable)]
    told = _without(refused, manifest, targets) | ({"left": _facts(left)} if left else {})
    undelivered = {kind.preset: error for kind, error in refused.items()}
    return await _with_manifest(Published(told, undelivered), targets, scratch)


async def _deliver(claims: Sequence[Claim], known: Sequence[Told] | None) -> dict[DeliverableKind, ShotchainError]:
    """Put deliverables in their places; says which could not be, and why."""
    refused: dict[DeliverableKind, ShotchainError] = {}
    for claim in claims:
        try:
            await asyncio.to_thread(claim.put, known)
        except ShotchainError as error:
            error.message = f"'{claim.kind.preset}' is not delivered: {error.message}"
            refused[claim.kind] = error
    return refused


def _without(
    refused: Mapping[DeliverableKind, ShotchainError], manifest: Mapping[str, Any], targets: Targets
) -> dict[str, Any]:
    """A manifest without what could not be delivered, which it warns of."""
    if not refused:
        return dict(manifest)
    names = {targets.sidecar(kind).name for kind in refused}
    listed = [it for it in manifest.get("deliverables") or [] if it["file"] not in names]
    warnings = [*(manifest.get("warnings") or []), *(error.message for error in refused.values())]
    return {**manifest, "deliverables": listed, "warnings": warnings}


def _facts(told: Sequence[Told]) -> list[dict[str, Any]]:
    return [it.facts() for it in dict.fromkeys(told)]


async def _with_manifest(published: Published, targets: Targets, scratch: Path) -> Published:
    path = scratch / "manifest.json"
    text = json.dumps(published.manifest, indent=2, ensure_ascii=False)
    path.write_text(f"{text}\n", encoding="utf-8")
    await asyncio.to_thread(targets.manifest.put, path)
    return published


def _clear(targets: Targets, before: Mapping[str, Any], kinds: Collection[Kind]) -> list[Told]:
    """Remove what the manifest before tells of and has no successor among these kinds; says what is to be tried again.

    Raises:
        StorageUnreachable: A sidecar cannot be removed; a deliverable, which no player takes for the film's, may stay.
    """
    left = []
    for told in told_of(targets, before):
        if told.kind in kinds:
            continue
        try:
            if told.is_there():
                told.place.remove()
        except StorageUnreachable:
            if not isinstance(told.kind, DeliverableKind):
                raise
            left.append(told)
    return left


def _is_there(copy: MediaCopy, targets: Targets, manifest: Mapping[str, Any]) -> bool:
    """Whether the very file lies there already, as far as the manifest before tells."""
    told = manifest.get("media")
    for facts in told if isinstance(told, list) else ():
        if isinstance(facts, dict) and facts.get("file") == copy.name and facts.get("sha256") == copy.sha256:
            size_bytes = copy.source.stat().st_size
            return copy.sha256 is not None and targets.media(copy.name).size() == size_bytes
    return False


def _manifest_before(targets: Targets) -> Mapping[str, Any] | None:
    # Some may write where they may not read. They can publish; what they cannot see is not theirs to remove.
    with suppress(StorageUnreachable):
        return read_manifest(targets) or {}
    return None
