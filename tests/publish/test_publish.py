"""The film first, what goes beside it then, the manifest last, each whole or absent."""

from __future__ import annotations

import hashlib
import json
import uuid
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from tasks.errors import StorageUnreachable
from tasks.publish.editing.media import MediaCopy
from tasks.publish.manifest import FORMAT
from tasks.publish.publish import publish
from tasks.publish.sidecars import Sidecar, are_whole
from tasks.publish.targets import SidecarKind, Targets, targets_of

TIMELINES = ["timeline.otio", "timeline.xml", "timeline.fcpxml", "timeline.edl"]
ALL = ["film.mp4", "captions.srt", "captions.vtt", "poster.jpg", "contact.jpg", *TIMELINES, "manifest.json"]


class Recording(MemoryFileSystem):  # type: ignore[misc]
    """Remembers what was written and removed in which order, and fails where it is told to."""

    protocol = "recording"
    store: dict[str, Any] = {}  # noqa: RUF012 -- its base class shares its own in the same way
    pseudo_dirs = [""]  # noqa: RUF012
    done: list[str] = []  # noqa: RUF012
    failing = ""
    spared = 0
    keeping = ""
    readable = True

    def mv(self, path1: str, path2: str, **kwargs: Any) -> None:
        if self.failing and path2.endswith(self.failing):
            if not type(self).spared:
                raise OSError("the line broke")
            type(self).spared -= 1
        self.done.append(path2.rsplit("/", 1)[-1])
        super().mv(path1, path2, **kwargs)

    def rm_file(self, path: str) -> None:
        if self.keeping and path.endswith(self.keeping):
            raise PermissionError("this stays")
        if not path.endswith(".part"):
            self.done.append(f"- {path.rsplit('/', 1)[-1]}")
        super().rm_file(path)

    def cat_file(self, path: str, *args: Any, **kwargs: Any) -> Any:
        if not self.readable:
            raise PermissionError("you may write here, not read")
        return super().cat_file(path, *args, **kwargs)


fsspec.register_implementation("recording", Recording, clobber=True)


@pytest.fixture(params=["local", "named", "memory"])
def output(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "memory":
        return f"memory://films-{uuid.uuid4().hex}"
    return str(tmp_path / ("films" if request.param == "local" else "films/harbor.mp4"))


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(Recording, "done", [])
    return f"recording://films-{uuid.uuid4().hex}"


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "scratch" / "film.mp4"
    path.parent.mkdir()
    path.write_bytes(b"a film")
    return path


def make(film: Path, run: str) -> None:
    film.write_bytes(f"film of {run}".encode())


def beside(film: Path, run: str, *kinds: SidecarKind) -> list[Sidecar]:
    """Sidecars of a run, which bear its name."""
    sidecars = [Sidecar(kind, film.with_name(f"{run}.{kind}")) for kind in kinds or SidecarKind]
    for sidecar in sidecars:
        sidecar.path.write_text(f"{sidecar.kind} of {run}")
    return sidecars


def manifest_of(run: str, sidecars: list[Sidecar], targets: Targets) -> dict[str, Any]:
    return {"format": FORMAT, "run": run, "sidecars": [sidecar.facts(targets) for sidecar in sidecars]}


async def publish_run(film: Path, run: str, sidecars: list[Sidecar], targets: Targets) -> None:
    make(film, run)
    await publish(film, sidecars, manifest_of(run, sidecars, targets), targets, film.parent)


def run_of(targets: Targets) -> object:
    return json.loads(targets.manifest.read_bytes() or b"{}").get("run")


def there(targets: Targets) -> dict[SidecarKind, str]:
    found = {kind: targets.sidecar(kind).read_bytes() for kind in SidecarKind}
    return {kind: content.decode() for kind, content in found.items() if content is not None}


def names_in(where: str) -> list[str]:
    fs, path = fsspec.core.url_to_fs(where)
    return sorted(name.rsplit("/", 1)[-1] for name in fs.find(path))


async def test_media_that_lie_there_already_are_not_put_again(output: str, film: Path, tmp_path: Path) -> None:
    targets, clip = targets_of(output), tmp_path / "clip.mp4"
    clip.write_bytes(b"a clip")
    name, digest = f"{targets.media_folder}/lake-take1.mp4", hashlib.sha256(b"a clip").hexdigest()
    told = {"format": FORMAT, "media": [{"file": name, "sha256": digest, "size_bytes": 6}]}
    await publish(film, [], told, targets, film.parent, [MediaCopy(name, clip, digest)])
    assert targets.media(name).read_bytes() == b"a clip"

    clip.write_bytes(b"A clip")  # it could not be told by its size
    await publish(film, [], told, targets, film.parent, [MediaCopy(name, clip, digest)])
    assert targets.media(name).read_bytes() == b"a clip"
    await publish(film, [], told, targets, film.parent, [MediaCopy(name, clip, "0" * 64)])
    assert targets.media(name).read_bytes() == b"A clip"


async def test_all_are_there_and_readable(output: str, film: Path) -> None:
    targets, sidecars = targets_of(output), beside(film, "one")
    await publish(film, sidecars, {"title": "Häfen · ночь", "shots": []}, targets, film.parent)
    assert targets.film.read_bytes() == b"a film"
    assert there(targets) == {kind: f"{kind} of one" for kind in SidecarKind}
    text = (targets.manifest.read_bytes() or b"").decode()
    assert json.loads(text)["title"] == "Häfen · ночь"
    assert "Häfen" in text
    assert text.endswith("}\n")


async def test_a_film_needs_nothing_beside_it(output: str, film: Path) -> None:
    targets = targets_of(output)
    await publish(film, [], {}, targets, film.parent)
    assert targets.film.read_bytes() == b"a film"
    assert there(targets) == {}


async def test_the_manifest_goes_last(film: Path, recorded: str) -> None:
    await publish(film, beside(film, "one"), {}, targets_of(recorded), film.parent)
    assert Recording.done == ALL


async def test_the_manifest_tells_of_what_is_there(output: str, film: Path) -> None:
    targets = targets_of(output)
    await publish_run(film, "one", beside(film, "one"), targets)
    assert are_whole(targets, json.loads(targets.manifest.read_bytes() or b""))


async def test_without_a_film_the_manifest_goes_alone_and_an_earlier_film_stays(output: str, film: Path) -> None:
    targets = targets_of(output)
    await publish_run(film, "one", beside(film, "one"), targets)
    await publish(None, beside(film, "two"), {"complete": False}, targets, film.parent)
    assert targets.film.read_bytes() == b"film of one"
    assert there(targets) == {kind: f"{kind} of one" for kind in SidecarKind}
    told = json.loads(targets.manifest.read_bytes() or b"")
    assert told["complete"] is False
    # It remembers what lies there, so that a later film can tell whose that was.
    assert {left["file"] for left in told["left"]} == {targets.sidecar(kind).name for kind in SidecarKind}


async def test_captions_of_an_older_film_do_not_stay_beside_the_new_one(output: str, film: Path) -> None:
    targets = targets_of(output)
    await publish_run(film, "one", beside(film, "one"), targets)
    await publish_run(film, "two", beside(film, "two", SidecarKind.POSTER, SidecarKind.CONTACT), targets)
    assert there(targets) == {SidecarKind.POSTER: "poster of two", SidecarKind.CONTACT: "contact of two"}


async def test_captions_of_an_older_film_go_even_if_a_run_between_made_none(output: str, film: Path) -> None:
    targets = targets_of(output)
    await publish_run(film, "one", beside(film, "one"), targets)
    for _ in range(2):
        await publish(None, [], {"format": FORMAT, "complete": False, "sidecars": []}, targets, film.parent)
    await publish_run(film, "two", beside(film, "two", SidecarKind.POSTER), targets)
    assert there(targets) == {SidecarKind.POSTER: "poster of two"}


async def test_they_go_after_the_new_film_has_come_and_before_its_manifest(film: Path, recorded: str) -> None:
    targets = targets_of(recorded)
    await publish_run(film, "one", beside(film, "one", SidecarKind.SRT), targets)
    await publish_run(film, "two", beside(film, "two", SidecarKind.POSTER), targets)
    assert Recording.done[3:] == ["film.mp4", "poster.jpg", "- captions.srt", "manifest.json"]


async def test_captions_that_are_not_ours_stay(output: str, film: Path) -> None:
    targets = targets_of(output)
    targets.sidecar(SidecarKind.SRT).put_bytes(b"there before")
    await publish_run(film, "one", beside(film, "one", SidecarKind.VTT), targets)
    targets.sidecar(SidecarKind.VTT).put_bytes(b"corrected by hand")
    await publish_run(film, "two", [], targets)
    assert there(targets) == {SidecarKind.SRT: "there before", SidecarKind.VTT: "corrected by hand"}
    assert json.loads(targets.manifest.read_bytes() or b"")["sidecars"] == []


async def test_who_may_not_read_can_publish(film: Path, recorded: str, monkeypatch: pytest.MonkeyPatch) -> None:
    targets = targets_of(recorded)
    await publish_run(film, "one", beside(film, "one"), targets)
    monkeypatch.setattr(Recording, "readable", False)
    await publish_run(film, "two", beside(film, "two", SidecarKind.POSTER), targets)
    monkeypatch.setattr(Recording, "readable", True)
    assert run_of(targets) == "two"
    assert there(targets)[SidecarKind.SRT] == "srt of one"


@pytest.mark.parametrize("failing", ALL)
async def test_a_failure_leaves_nothing_half_written(
    film: Path, recorded: str, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    targets = targets_of(recorded)
    await publish_run(film, "one", beside(film, "one"), targets)
    monkeypatch.setattr(Recording, "failing", failing)
    with pytest.raises(StorageUnreachable):
        await publish_run(film, "two", beside(film, "two"), targets)
    monkeypatch.setattr(Recording, "failing", "")
    # The manifest is of the run before, and what came before the failure is not what it tells of.
    assert run_of(targets) == "one"
    reached = ALL[: ALL.index(failing)]
    for name in ALL[:-1]:
        content = targets.film.beside(name).read_bytes() or b""
        assert content.endswith(b"of two" if name in reached else b"of one")
    assert names_in(recorded) == sorted(ALL)
