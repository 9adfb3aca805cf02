"""The film first, the manifest last, each whole or absent."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from tasks.errors import StorageUnreachable
from tasks.publish.publish import publish
from tasks.publish.targets import targets_of


class Recording(MemoryFileSystem):  # type: ignore[misc]
    """Remembers what was written in which order, and fails where it is told to."""

    protocol = "recording"
    store: dict[str, Any] = {}  # noqa: RUF012 -- its base class shares its own in the same way
    pseudo_dirs = [""]  # noqa: RUF012
    moved: list[str] = []  # noqa: RUF012
    failing = ""

    def mv(self, path1: str, path2: str, **kwargs: Any) -> None:
        if self.failing and path2.endswith(self.failing):
            raise OSError("the line broke")
        self.moved.append(path2.rsplit("/", 1)[-1])
        super().mv(path1, path2, **kwargs)


fsspec.register_implementation("recording", Recording, clobber=True)


def change(film: Path) -> None:
    film.write_bytes(b"another film")


@pytest.fixture(params=["local", "memory"])
def output(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "films") if request.param == "local" else f"memory://films-{uuid.uuid4().hex}"


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "scratch" / "film.mp4"
    path.parent.mkdir()
    path.write_bytes(b"a film")
    return path


async def test_both_are_there_and_readable(output: str, film: Path) -> None:
    targets = targets_of(output)
    await publish(film, {"title": "Häfen · ночь", "shots": []}, targets, film.parent)
    assert targets.film.read_bytes() == b"a film"
    text = (targets.manifest.read_bytes() or b"").decode()
    assert json.loads(text)["title"] == "Häfen · ночь"
    assert "Häfen" in text
    assert text.endswith("}\n")


async def test_the_manifest_goes_last(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Recording, "moved", [])
    await publish(film, {}, targets_of(f"recording://films-{uuid.uuid4().hex}"), film.parent)
    assert Recording.moved == ["film.mp4", "manifest.json"]


async def test_without_a_film_the_manifest_goes_alone_and_an_earlier_film_stays(output: str, film: Path) -> None:
    targets = targets_of(output)
    await publish(film, {"complete": True}, targets, film.parent)
    await publish(None, {"complete": False}, targets, film.parent)
    assert targets.film.read_bytes() == b"a film"
    assert json.loads(targets.manifest.read_bytes() or b"") == {"complete": False}


@pytest.mark.parametrize("failing", ["film.mp4", "manifest.json"])
async def test_a_failure_leaves_nothing_half_written(film: Path, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    where = f"recording://films-{uuid.uuid4().hex}"
    targets = targets_of(where)
    await publish(film, {"run": 1}, targets, film.parent)
    change(film)
    monkeypatch.setattr(Recording, "failing", failing)
    with pytest.raises(StorageUnreachable):
        await publish(film, {"run": 2}, targets, film.parent)
    monkeypatch.setattr(Recording, "failing", "")
    assert json.loads(targets.manifest.read_bytes() or b"") == {"run": 1}
    assert targets.film.read_bytes() == (b"a film" if failing == "film.mp4" else b"another film")
    fs, path = fsspec.core.url_to_fs(where)
    assert sorted(name.rsplit("/", 1)[-1] for name in fs.find(path)) == ["film.mp4", "manifest.json"]
