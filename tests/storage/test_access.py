"""What a storage refuses is told as ours, without its secrets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from tasks.errors import SettingsError, StorageUnreachable
from tasks.storage import locate


@pytest.mark.parametrize("text", ["nosuch://bucket/film.mp4", "nosuch+more://x/y"])
def test_a_protocol_that_nobody_knows_is_a_setting(text: str) -> None:
    with pytest.raises(SettingsError, match="no storage location"):
        locate(text).size()


def test_a_storage_that_fails_is_named_without_its_password(source: Path) -> None:
    class Broken(MemoryFileSystem):  # type: ignore[misc]
        protocol = "broken"

        def put_file(self, *args: Any, **kwargs: Any) -> None:
            raise RuntimeError("denied for https://host/?sig=5ecret")

    fsspec.register_implementation("broken", Broken, clobber=True)
    place = locate("broken://ann:pa55@host/film.mp4")
    with pytest.raises(StorageUnreachable) as caught:
        place.put(source)
    assert "pa55" not in str(caught.value)
    assert "5ecret" not in str(caught.value)
    assert "pa55" not in place.shown


@pytest.mark.parametrize(("protocol", "extra"), [("gs", "gcs"), ("abfs", "azure")])
def test_a_package_that_is_missing_is_named(protocol: str, extra: str) -> None:
    try:
        fsspec.get_filesystem_class(protocol)
    except ImportError:
        with pytest.raises(SettingsError, match="needs a package") as caught:
            locate(f"{protocol}://bucket/film.mp4").size()
        assert f"shotchain[{extra}]" in (caught.value.advice or "")


def test_a_storage_that_connects_when_it_is_named_and_cannot_is_unreachable() -> None:
    with pytest.raises(StorageUnreachable, match="cannot be read"):
        locate("ftp://127.0.0.1:9/film.mp4").size()
