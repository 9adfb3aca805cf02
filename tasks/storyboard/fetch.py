"""Bytes of pictures and videos that are elsewhere, kept under their sha256, fetched again only if changed.

A cache folder holds `inputs/SHA256` (the bytes) and `inputs/urls/….json` (what a web address last gave, with
the validators of that answer). A validator only decides whether to fetch again; what an input is, its bytes
decide.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

import fsspec
import httpx

from tasks.errors import StorageUnreachable
from tasks.media.files import mark_used
from tasks.redaction import redact

__all__ = ["MAX_BYTES", "Fetched", "InputCache", "sha256_and_size", "web_client"]

MAX_BYTES: Final = 250_000_000
"""Size in bytes that a fetched input may have."""

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Fetched:
    """A whole file in the cache, and the validators with which a server gave it."""

    path: Path
    sha256: str
    size_bytes: int
    validators: dict[str, str] = field(default_factory=dict)


def web_client(transport: httpx.AsyncBaseTransport | None = None) -> httpx.AsyncClient:
    """The client with which inputs are fetched: 5 s to connect, 30 s between bytes, redirects followed."""
    return httpx.AsyncClient(
        transport=transport,
        timeout=httpx.Timeout(30, connect=5),
        follow_redirects=True,
        headers={"accept-encoding": "identity"},  # media do not compress, and lengths stay comparable
    )


def sha256_and_size(path: Path) -> tuple[str, int]:
    """The sha256 (hex) and the size in bytes of a local file, streamed. Blocks.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
        return digest, opened.tell()


class InputCache:
    """Fetches into a folder. Safe for many processes at once: files appear whole or not at all.

    Args:
        folder: Where `inputs/` is, or will be.
        max_bytes: What is larger is refused.
    """

    def __init__(self, folder: Path, *, max_bytes: int = MAX_BYTES) -> None:
        self._blobs = folder.absolute() / "inputs"
        self._urls = self._blobs / "urls"
        self._max_bytes = max_bytes

    async def from_web(self, url: str, client: httpx.AsyncClient) -> Fetched:
        """The bytes behind an `http(s)` address.

        They are the remembered ones if the server says that nothing has changed, or if it cannot be asked.
        Call `remember` with the answer once the bytes have proved useful.

        Raises:
            StorageUnreachable: They cannot be had; without secrets of the URL in the message.
        """
        known = await asyncio.to_thread(self._recall, url)
        try:
            return await self._ask(url, client, known)
        except StorageUnreachable:
            if known is not None:
                return known
            raise
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, OverflowError) as error:
            if known is not None:
                return known
            said = redact(str(error)) or type(error).__name__
            raise StorageUnreachable(f"it cannot be fetched: {said}") from None

    async def from_storage(self, uri: str) -> Fetched:
        """The bytes behind any other URI that fsspec can read.

        Raises:
            StorageUnreachable: They cannot be had, or the package for that storage is not installed.
        """
        return await asyncio.to_thread(self._copy_from_storage, uri)

    async def keep(self, data: bytes) -> Fetched:
        """Keep bytes that are already at hand."""
        return await asyncio.to_thread(self._keep, data)

    async def remember(self, url: str, fetched: Fetched) -> None:
        """Note what a web address gave, to ask next time only whether that has changed."""
        record = {**fetched.validators, "sha256": fetched.sha256, "size_bytes": fetched.size_bytes}
        await asyncio.to_thread(self._write_record, url, json.dumps(record))

    async def _ask(self, url: str, client: httpx.AsyncClient, known: Fetched | None) -> Fetched:
        headers: dict[str, str] = {}
        if known is not None:
            conditions = {"etag": "if-none-match", "last-modified": "if-modified-since"}
            headers = {conditions[name]: value for name, value in known.validators.items()}
        async with client.stream("GET", url, headers=headers) as answer:
            if answer.status_code == httpx.codes.NOT_MODIFIED and known is not None:
                return known
            if answer.status_code != httpx.codes.OK:
                raise StorageUnreachable(f"the server answers {answer.status_code}")
            if known is not None and _unchanged(known, answer.headers):
                return known
            length = answer.headers.get("content-length", "")
            if length.isdecimal() and int(length) > self._max_bytes:
                raise self._too_large()
            download = await asyncio.to_thread(_Download, self._blobs, self._max_bytes)
            try:
                async for chunk in answer.aiter_bytes(_CHUNK):
                    if not await asyncio.to_thread(download.write, chunk):
                        raise self._too_large()
                return await asyncio.to_thread(download.finish, _validators(answer.headers))
            finally:
                download.close()

    def _too_large(self) -> StorageUnreachable:
        return StorageUnreachable(f"it is larger than {self._max_bytes / 1_000_000:g} MB")

    def _copy_from_storage(self, uri: str) -> Fetched:
        try:
            with fsspec.open(uri, "rb") as opened:
                return self._copy(opened)
        except StorageUnreachable:
            raise
        except FileNotFoundError:
            raise StorageUnreachable("there is no such file") from None
        except Exception as error:  # noqa: BLE001 - each storage raises what it likes
            said = re.sub(r"\s+", " ", redact(str(error))) or type(error).__name__
            raise StorageUnreachable(f"it cannot be read: {said}") from None

    def _copy(self, opened: BinaryIO) -> Fetched:
        download = _Download(self._blobs, self._max_bytes)
        try:
            while chunk := opened.read(_CHUNK):
                if not download.write(chunk):
                    raise self._too_large()
            return download.finish({})
        finally:
            download.close()

    def _keep(self, data: bytes) -> Fetched:
        download = _Download(self._blobs, len(data))
        try:
            download.write(data)
            return download.finish({})
        finally:
            download.close()

    def _record(self, url: str) -> Path:
        return self._urls / f"{hashlib.sha256(url.encode()).hexdigest()}.json"

    def _write_record(self, url: str, text: str) -> None:
        self._urls.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self._urls, prefix=".")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as opened:
                opened.write(text)
            Path(name).replace(self._record(url))
        finally:
            Path(name).unlink(missing_ok=True)

    def _recall(self, url: str) -> Fetched | None:
        """What the address last gave, if that is still here and undamaged."""
        try:
            record = json.loads(self._record(url).read_text(encoding="utf-8"))
            path = self._blobs / str(record["sha256"])
            found = sha256_and_size(path)
        except (OSError, ValueError, KeyError, TypeError):
            return None  # nothing remembered, or nothing usable: it is fetched like the first time
        if found != (record["sha256"], record["size_bytes"]):
            return None
        for used in (path, self._record(url)):
            mark_used(used)
        return Fetched(path, *found, _validators(record))


class _Download:
    """A file on its way into the cache: a temporary file beside its place, named by its bytes when whole."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=folder, prefix=".part-")
        self._file = os.fdopen(handle, "wb")
        self._temporary = Path(name)
        self._folder = folder
        self._digest = hashlib.sha256()
        self._left = max_bytes
        self._size = 0

    def write(self, chunk: bytes) -> bool:
        """`False` if this would be more than is allowed."""
        if len(chunk) > self._left:
            return False
        self._left -= len(chunk)
        self._size += len(chunk)
        self._digest.update(chunk)
        self._file.write(chunk)
        return True

    def finish(self, validators: dict[str, str]) -> Fetched:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        sha256 = self._digest.hexdigest()
        path = self._folder / sha256
        self._temporary.replace(path)
        return Fetched(path, sha256, self._size, validators)

    def close(self) -> None:
        self._file.close()
        self._temporary.unlink(missing_ok=True)


def _validators(headers: httpx.Headers | dict[str, object]) -> dict[str, str]:
    found = {name: headers.get(name) for name in ("etag", "last-modified")}
    return {name: value for name, value in found.items() if isinstance(value, str) and value.isascii() and value}


def _unchanged(known: Fetched, headers: httpx.Headers) -> bool:
    """Whether a whole answer is what we have, from a server that does not know conditional requests."""
    now = _validators(headers)
    if "etag" in known.validators or "etag" in now:
        return known.validators.get("etag") == now.get("etag")
    same_time = bool(now) and known.validators == now
    return same_time and headers.get("content-length") == str(known.size_bytes)
