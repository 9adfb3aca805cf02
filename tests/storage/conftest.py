"""A disk, an object store and a storage that is neither."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from tasks.storage import Location, locate


class Elsewhere(MemoryFileSystem):  # type: ignore[misc]
    """A storage that is neither a disk nor an object store: what is being written can be seen there."""

    protocol = "elsewhere"
    store: dict[str, Any] = {}  # noqa: RUF012 -- its base class shares its own in the same way
    pseudo_dirs = [""]  # noqa: RUF012


fsspec.register_implementation("elsewhere", Elsewhere, clobber=True)


@pytest.fixture(params=["local", "memory", "elsewhere"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Location]:
    if request.param == "local":
        yield locate(str(tmp_path / "place"))
        return
    name = f"{request.param}://place-{uuid.uuid4().hex}"
    yield locate(name)
    fs, path = fsspec.core.url_to_fs(name)
    if fs.exists(path):
        fs.rm(path, recursive=True)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(b"content")
    return path
