"""A folder tells which files it holds, wherever it lies."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tasks.errors import StorageUnreachable
from tasks.storage import Location, locate


def test_a_folder_tells_what_is_in_it(folder: Location, source: Path) -> None:
    assert folder.files() == []
    for name in ("b.mp4", "deep/er/a.mp4"):
        folder.child(name).put(source)
    found = folder.files()
    assert [(file.name, file.size_bytes) for file in found] == [("b.mp4", 7), ("deep/er/a.mp4", 7)]
    now = datetime.now(UTC)
    assert all(file.changed_at and abs(now - file.changed_at) < timedelta(minutes=1) for file in found)


def test_only_folders_that_are_wanted_are_looked_into(folder: Location, source: Path) -> None:
    assert folder.files(enters=lambda _: True) == []
    for name in ("b.mp4", "deep/a.mp4", "deep/er/a.mp4", "other/a.mp4"):
        folder.child(name).put(source)
    asked: list[str] = []

    def enters(below: str) -> bool:
        asked.append(below)
        return below == "deep"

    found = folder.files(enters)

    assert [(file.name, file.size_bytes) for file in found] == [("b.mp4", 7), ("deep/a.mp4", 7)]
    assert sorted(asked) == ["deep", "deep/er", "other"]
    assert folder.files(enters=lambda _: True) == folder.files()


def test_a_folder_that_cannot_be_looked_into_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    assert locate(str(tmp_path / "file")).files() == []
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o000)
    try:
        if not os.access(closed, os.R_OK):  # the superuser is let in everywhere
            with pytest.raises(StorageUnreachable, match="cannot be read"):
                locate(str(closed)).files()
    finally:
        closed.chmod(0o700)
    with pytest.raises(StorageUnreachable, match="cannot be removed"):
        locate(str(closed)).remove()
