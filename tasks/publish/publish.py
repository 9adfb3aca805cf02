"""Publishes a finished film: the film first, the manifest last."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tasks.publish.targets import Targets

__all__ = ["publish"]


async def publish(film: Path | None, manifest: Mapping[str, Any], targets: Targets, scratch: Path) -> None:
    """Put the film and then its manifest in their places, each whole or absent.

    Without a film the manifest goes alone: it says why there is none. A film of an earlier run is left as it is.
    The manifest names the film's sha256, so that a film of one run beside the manifest of another can be told.

    Raises:
        StorageUnreachable: A place cannot be written; the clips and the ledger are as they were.
    """
    if film is not None:
        await asyncio.to_thread(targets.film.put, film)
    text = scratch / "manifest.json"
    text.write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    await asyncio.to_thread(targets.manifest.put, text)
