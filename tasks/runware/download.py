"""Brings a result to this machine: streamed to disk, hashed on the way, never whole in memory."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from tasks.errors import ProviderUnreachable, ResultGone, StorageUnreachable
from tasks.redaction import redact
from tasks.runware.client import RunwareClient
from tasks.runware.messages import asked_s
from tasks.runware.pauses import Pauses

__all__ = ["Download", "download_result"]

_GONE = {403, 404, 410}


@dataclass(frozen=True, slots=True)
class Download:
    """A file that arrived whole: as long as the server said it would be."""

    path: Path
    sha256: str
    size_bytes: int


async def download_result(
    client: RunwareClient, url: str, target: Path, *, tries: int = 5, pauses: Pauses | None = None
) -> Download:
    """Download `url` to `target`, again from the start where the line breaks. A failure leaves no file.

    Args:
        client: Whose connections are used; its key is not sent.
        url: Where the result lies.
        target: A local path.
        tries: How often to try.
        pauses: How long to wait between tries.

    Raises:
        ResultGone: The server says that there is nothing, or nothing any more.
        ProviderUnreachable: It could not be had in `tries` tries.
        StorageUnreachable: It cannot be written here.
    """
    pauses = pauses or Pauses()
    error: Exception | str = ""
    wait_s: float | None = None
    for turn in range(tries):
        if turn:
            await pauses.backoff(turn, first_s=1.0, most_s=8.0, asked_s=wait_s)
        try:
            async with client.download(url) as response:
                if response.status_code in _GONE:
                    raise ResultGone(f"the result is no longer there (HTTP {response.status_code})")
                wait_s = asked_s(response.headers.get("Retry-After"))
                if response.status_code != 200:
                    error = f"HTTP {response.status_code}"
                    continue
                return await _to_disk(response, target)
        except httpx.InvalidURL as failure:
            raise ResultGone("the result's address is none") from failure
        except (httpx.HTTPError, _Short) as failure:
            error = failure
    raise ProviderUnreachable(
        f"the clip could not be downloaded in {tries} tries: {redact(str(error)) or type(error).__name__}",
        advice="It is paid for and will be fetched by the next run of the same command.",
    )


class _Short(Exception):
    """Fewer bytes came than were announced."""


async def _to_disk(response: httpx.Response, target: Path) -> Download:
    whole = False
    digest, size = hashlib.sha256(), 0
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            async for chunk in response.aiter_bytes(1 << 18):
                digest.update(chunk)
                size += len(chunk)
                file.write(chunk)
        announced = response.headers.get("Content-Length", "")
        if announced.isdecimal() and "Content-Encoding" not in response.headers and int(announced) != size:
            raise _Short(f"{size} of {announced} bytes came")
        whole = True
    except OSError as error:
        raise StorageUnreachable(
            f"{target} cannot be written: {error.strerror or error}",
            advice="Free some space; the clip is paid for and will be fetched by the next run of the same command.",
        ) from error
    finally:
        if not whole:
            _discard(target)
    return Download(target, digest.hexdigest(), size)


def _discard(path: Path) -> None:
    # Where the folder itself is none, there is no file in it.
    with suppress(OSError):
        path.unlink(missing_ok=True)
