"""One file on any storage, read and written whole or not at all.

Local files are written beside their target, flushed to the disk and renamed over it. Object stores make an object
visible when its upload is complete, so it goes straight to its key. Anywhere else the file is put beside its target
and renamed.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from tasks.errors import SettingsError, StorageUnreachable
from tasks.local_path import local_path
from tasks.redaction import redact
from tasks.storage.access import Doing, elsewhere, on_disk
from tasks.storage.listing import StoredFile, files_elsewhere, files_on_disk

__all__ = ["Location", "locate"]

_BLOCK_BYTES = 1 << 20
_READ_ONLY = {"http", "https"}
_OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss"}


@dataclass(frozen=True, slots=True)
class Location:
    """A file or folder somewhere. `local` is its path where it lies on this machine's disk, else None."""

    url: str
    local: Path | None

    @property
    def protocol(self) -> str:
        """The fsspec protocol, such as `file` or `s3`."""
        return "file" if self.local is not None else self.url.split("://", 1)[0]

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.url.rstrip("/").rsplit("/", 1)[-1] if self.local is None else self.local.name

    @property
    def shown(self) -> str:
        """For people and manifests: secrets masked."""
        return str(self.local) if self.local is not None else str(redact(self.url))

    def beside(self, name: str) -> Location:
        """Another file in the same folder."""
        if self.local is not None:
            return locate(str(self.local.with_name(name)))
        return Location(f"{self.url.rstrip('/').rsplit('/', 1)[0]}/{name}", None)

    def child(self, name: str) -> Location:
        """A file in this folder; `name` may hold slashes."""
        if self.local is not None:
            return locate(str(self.local / name))
        return Location(f"{self.url.rstrip('/')}/{name}", None)

    def size(self) -> int | None:
        """Bytes, or None if there is no such file.

        Raises:
            StorageUnreachable: The storage does not answer.
        """
        if self.local is not None:
            with on_disk(self.shown, "read"):
                return self.local.stat().st_size if self.local.is_file() else None
        with self.filesystem("read") as (fs, path):
            try:
                fs.invalidate_cache()
                info = fs.info(path)
            except FileNotFoundError:
                return None
            return int(info["size"]) if info.get("type") == "file" else None

    def is_folder(self) -> bool:
        """Whether a folder of this machine's disk is there.

        Raises:
            SettingsError: Its name is none that the disk takes: most of them take 255 bytes at most.
            StorageUnreachable: The disk refuses to tell.
        """
        if self.local is None:
            return False
        with on_disk(self.shown, "read"):
            try:
                return self.local.is_dir()
            except OSError as error:
                if error.errno != errno.ENAMETOOLONG:
                    raise
                raise SettingsError(f"{self.shown}: name too long", advice="Name another place.") from error

    def check_writable(self) -> None:
        """See whether the file could be written, as far as that can be told without writing.

        Raises:
            SettingsError: A folder is there, or something that is no folder is above; its name is too long; or no such
                storage is known, or none that can be written to.
            StorageUnreachable: No permission, or the storage does not answer or has no such bucket.
        """
        if self.local is None:
            if self.protocol.lower() in _READ_ONLY:
                raise SettingsError(
                    f"{self.shown} cannot be written to: an address of the web can only be read",
                    advice="Accepted: a path, or a storage such as s3://BUCKET/NAME.",
                )
            with self.filesystem("write") as (fs, path):
                top = path.lstrip("/").split("/", 1)[0]
                if self.protocol in _OBJECT_STORES and not fs.exists(top):
                    raise StorageUnreachable(
                        f"{self.shown} cannot be written: there is no '{top}', or it is not yours",
                        advice="Make it, or name another place.",
                    )
            return
        if self.is_folder():
            raise SettingsError(f"{self.local} is a folder", advice="Accepted: the name of a file.")
        above = next(parent for parent in self.local.parents if parent.exists())
        if not above.is_dir():
            raise SettingsError(f"{above} is no folder, so {self.local} cannot be in it")
        if not os.access(above, os.W_OK | os.X_OK) or _is_virtual(above):
            raise StorageUnreachable(
                f"{above} cannot be written", advice="Name another place, or get the permission. Nothing was spent."
            )

    def read_bytes(self) -> bytes | None:
        """The content of a small file, or None if there is no such file.

        Raises:
            StorageUnreachable: The storage does not answer.
        """
        if self.local is not None:
            with on_disk(self.shown, "read"):
                try:
                    return self.local.read_bytes()
                except (FileNotFoundError, NotADirectoryError):
                    return None
        with self.filesystem("read") as (fs, path):
            try:
                content: bytes = fs.cat_file(path)
            except FileNotFoundError:
                return None
            return content

    def sha256(self) -> str | None:
        """The digest of a file of any size, in hexadecimal, or None if there is no such file.

        Raises:
            StorageUnreachable: The storage does not answer.
        """
        if self.local is not None:
            with on_disk(self.shown, "read"):
                try:
                    with self.local.open("rb") as file:
                        return hashlib.file_digest(file, "sha256").hexdigest()
                except (FileNotFoundError, NotADirectoryError):
                    return None
        with self.filesystem("read") as (fs, path):
            digest = hashlib.sha256()
            try:
                with fs.open(path, "rb") as file:
                    while block := file.read(_BLOCK_BYTES):
                        digest.update(block)
            except FileNotFoundError:
                return None
            return digest.hexdigest()

    def fetch(self, target: Path) -> None:
        """Copy the file to a local path, which then is whole.

        Raises:
            StorageUnreachable: It cannot be read, or `target` not be written.
        """
        partial = target.with_name(f".{uuid.uuid4().hex}.part")
        try:
            with on_disk(self.shown, "read"):
                target.parent.mkdir(parents=True, exist_ok=True)
            if self.local is not None:
                with on_disk(self.shown, "read"):
                    shutil.copyfile(self.local, partial)
            else:
                with self.filesystem("read") as (fs, path):
                    fs.get_file(path, str(partial))
            with on_disk(self.shown, "read"):
                partial.replace(target)
        finally:
            # Where the folder is none, there is nothing of ours in it.
            with suppress(OSError):
                partial.unlink(missing_ok=True)

    def put(self, source: Path) -> None:
        """Make the file a copy of `source`: whole or absent, whatever happens on the way.

        Raises:
            StorageUnreachable: It cannot be written.
        """
        if self.local is not None:
            self._put_local(source, self.local)
            return
        with self.filesystem("write") as (fs, path):
            parent, _, name = path.rpartition("/")
            if self.protocol in _OBJECT_STORES:
                fs.put_file(str(source), path)
                return
            if parent:
                fs.makedirs(parent, exist_ok=True)
            partial = f"{parent}/.{uuid.uuid4().hex}{PurePosixPath(name).suffix}.part"
            try:
                fs.put_file(str(source), partial)
                fs.mv(partial, path)
            finally:
                if fs.exists(partial):
                    fs.rm_file(partial)

    def put_bytes(self, content: bytes) -> None:
        """Make the file hold `content`; see `put`."""
        with tempfile.TemporaryDirectory(prefix="shotchain-") as folder:
            source = Path(folder) / "content"
            source.write_bytes(content)
            self.put(source)

    def rename(self, name: str) -> None:
        """Give the file another name in its folder. Nothing happens where it is gone already.

        Raises:
            StorageUnreachable: It cannot be renamed.
        """
        target = self.beside(name)
        if self.local is not None and target.local is not None:
            with on_disk(self.shown, "write"):
                if self.local.exists():
                    self.local.replace(target.local)
            return
        with self.filesystem("write") as (fs, path):
            if fs.exists(path):
                fs.mv(path, f"{path.rpartition('/')[0]}/{name}")

    def copy_to(self, target: Location) -> bool:
        """Make another file of the same storage a copy of this one: the storage copies it, no byte comes here.

        Returns:
            Whether it was there to be copied.

        Raises:
            StorageUnreachable: It cannot be copied.
        """
        if self.local is not None and target.local is not None:
            if not self.local.is_file():
                return False
            target._put_local(self.local, target.local)
            return True
        with target.filesystem("write") as (_, to), self.filesystem("write") as (fs, path):
            try:
                fs.cp_file(path, to)
            except FileNotFoundError:
                return False
        return True

    def files(self, enters: Callable[[str], bool] | None = None) -> list[StoredFile]:
        """Every file in this folder and below, by name; none where there is no such folder.

        Args:
            enters: Whether to look into a folder below, given its path in this one with slashes; without it, into all.

        Raises:
            StorageUnreachable: The storage does not answer.
        """
        if self.local is not None:
            with on_disk(self.shown, "read"):
                return files_on_disk(self.local, enters)
        with self.filesystem("read") as (fs, path):
            return files_elsewhere(fs, path, enters)

    def remove(self) -> None:
        """Delete the file. Nothing happens where it is gone already.

        Raises:
            StorageUnreachable: It cannot be deleted.
        """
        if self.local is not None:
            with on_disk(self.shown, "remove"):
                self.local.unlink(missing_ok=True)
            return
        with self.filesystem("remove") as (fs, path), suppress(FileNotFoundError):
            fs.rm_file(path)

    def filesystem(self, doing: Doing) -> AbstractContextManager[tuple[Any, str]]:
        """The fsspec file system of what lies elsewhere, and the path in it. Whatever it raises is told as ours.

        Raises:
            SettingsError: There is no such storage, or the package that speaks to it is missing.
            StorageUnreachable: It does not answer, or refuses.
        """
        return elsewhere(self.url, self.shown, doing)

    def _put_local(self, source: Path, target: Path) -> None:
        # A short name of its own: one that is as long as the file system allows could not grow.
        partial = target.with_name(f".{uuid.uuid4().hex}.part")
        try:
            with on_disk(self.shown, "write"):
                target.parent.mkdir(parents=True, exist_ok=True)
                with source.open("rb") as reader, partial.open("xb") as writer:
                    shutil.copyfileobj(reader, writer, 1 << 20)
                    writer.flush()
                    os.fsync(writer.fileno())
                partial.replace(target)
        finally:
            # Where the folder cannot be reached, there is nothing of ours in it.
            with suppress(OSError):
                partial.unlink(missing_ok=True)


def _is_virtual(folder: Path) -> bool:
    """Whether a folder belongs to the kernel, which says yes to root and then takes no file."""
    return folder.parts[:2] in {("/", "proc"), ("/", "sys")}


def locate(where: str) -> Location:
    """The location that a path, a `file://` URI or an fsspec URL names.

    Raises:
        SettingsError: An empty name.
    """
    text = where.strip()
    if not text:
        raise SettingsError("an empty path names no file")
    if text.lower().startswith(("file:", "local:")):
        parts = urlsplit(text)
        if parts.netloc not in {"", "localhost"} or not parts.path.startswith("/"):
            raise SettingsError(
                f"'{text}' names no file of this machine",
                advice="Accepted: three slashes and an absolute path, such as file:///films/harbor.mp4.",
            )
        return Location(text, Path(url2pathname(parts.path)))
    if "://" in text:
        return Location(text, None)
    return Location(text, local_path(text).absolute())
