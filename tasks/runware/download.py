"""Brings a result to this machine: streamed to disk, hashed on the way, never whole in memory."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from pathlib import Path

import httpx

from tasks.errors import ProviderUnreachable, ResultGone
from tasks.redaction import redact
from tasks.runware.client import RunwareClient

__all__ = ["Download", "download_result"]


@dataclass(frozen=True, slots=True)
class Download:
    """A file that arrived whole: as long as the server said it would be."""

    path: Path
    sha256: str
    size_bytes: int


async def download_result(client: RunwareClient, url: str, target: Path, *, tries: int = 5) -> Download:
    """Download `url` to `target`, again from the start where the line breaks.

    Raises:
        ResultGone: The server says that there is nothing, or nothing any more.
        ProviderUnreachable: It could not be had in `tries` tries.
    """
    error: Exception | str = ""
    for attempt in range(tries):
        if attempt:
            await asyncio.sleep(min(8.0, 0.5 * 2**attempt))
        try:
            async with client.download(url) as response:
                if response.status_code in {403, 404, 410}:
                    raise ResultGone(f"the result is no longer there (HTTP {response.status_code})")
                if response.status_code != 200:
                    error = f"HTTP {response.status_code}"
                    continue
                return await _to_disk(response, target)
        except (httpx.HTTPError, _Short) as failure:
            error = failure
    raise ProviderUnreachable(
        f"the clip could not be downloaded in {tries} tries: {redact(str(error)) or type(error).__name__}",
        advice="It is paid for and will be fetched by the next run of the same command.",
    )


class _Short(Exception):
    """Fewer bytes came than were announced."""


async def _to_disk(response: httpx.Response, target: Path) -> Download:
    target.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with target.open("wb") as file:
        async for chunk in response.aiter_bytes(1 << 18):
            digest.update(chunk)
            size += len(chunk)
            file.write(chunk)
    announced = response.headers.get("Content-Length")
    if announced is not None and "Content-Encoding" not in response.headers and int(announced) != size:
        raise _Short(f"{size} of {announced} bytes came")
    return Download(target, digest.hexdigest(), size)
