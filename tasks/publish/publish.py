"""Publishes a finished film: the film first, then what goes beside it, the manifest last."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tasks.errors import StorageUnreachable
from tasks.publish.editing.media import MediaCopy
from tasks.publish.published import read_manifest
from tasks.publish.sidecars import Sidecar, left_behind
from tasks.publish.targets import Targets

__all__ = ["publish"]


async def publish(
    film: Path | None,
    sidecars: Sequence[Sidecar],
    manifest: Mapping[str, Any],
    targets: Targets,
    scratch: Path,
    media: Sequence[MediaCopy] = (),
) -> None:
    """Put the film, its sidecars and then its manifest in their places, each whole or absent.

    The manifest names the sha256 of the film and of each sidecar, and nothing else belongs to them: so a set that is
    mixed of two runs, because one was killed on its way, can be told.

    A sidecar of the film before that has no successor is removed, since players take captions for those of the film
    that they lie beside. That is done before the manifest that tells whose it is gets replaced, and only to a file
    which still is what that manifest tells of: one that somebody put there, or changed, stays, and is in no manifest.

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
    before = await asyncio.to_thread(_manifest_before, targets)
    if film is None:
        # What lies there is known to the next run by this manifest alone.
        beside = [it for key in ("sidecars", "deliverables", "left") for it in before.get(key) or []]
        manifest = {**manifest, "left": beside}
    else:
        await asyncio.to_thread(targets.film.put, film)
        for copy in media:
            if not await asyncio.to_thread(_is_there, copy, targets, before):
                await asyncio.to_thread(targets.media(copy.name).put, copy.source)
        for sidecar in sidecars:
            await asyncio.to_thread(targets.sidecar(sidecar.kind).put, sidecar.path)
        for place in await asyncio.to_thread(left_behind, targets, before, {sidecar.kind for sidecar in sidecars}):
            await asyncio.to_thread(place.remove)
    text = scratch / "manifest.json"
    text.write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    await asyncio.to_thread(targets.manifest.put, text)


def _is_there(copy: MediaCopy, targets: Targets, manifest: Mapping[str, Any]) -> bool:
    """Whether the very file lies there already, as far as the manifest before tells."""
    told = manifest.get("media")
    for facts in told if isinstance(told, list) else ():
        if isinstance(facts, dict) and facts.get("file") == copy.name and facts.get("sha256") == copy.sha256:
            size_bytes = copy.source.stat().st_size
            return copy.sha256 is not None and targets.media(copy.name).size() == size_bytes
    return False


def _manifest_before(targets: Targets) -> Mapping[str, Any]:
    # Some may write where they may not read. They can publish; what they cannot see is not theirs to remove.
    with suppress(StorageUnreachable):
        return read_manifest(targets) or {}
    return {}
