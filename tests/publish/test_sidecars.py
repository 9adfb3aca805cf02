"""What lies beside a film is known by its name and its digest, and by nothing less."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from tasks.publish.sidecars import Sidecar, are_whole, left_behind
from tasks.publish.targets import DeliverableKind, SidecarKind, Targets, targets_of


@pytest.fixture(params=["harbor.mp4", "harbor"])
def targets(request: pytest.FixtureRequest, tmp_path: Path) -> Targets:
    return targets_of(str(tmp_path / "films" / request.param))


@pytest.fixture
def captions(tmp_path: Path) -> Sidecar:
    path = tmp_path / "scratch.srt"
    path.write_bytes(b"1\n00:00:00,000 --> 00:00:01,000\nH\xc3\xa4fen\n")
    return Sidecar(SidecarKind.SRT, path)


def told(*sidecars: Sidecar, targets: Targets) -> dict[str, Any]:
    return {"sidecars": [sidecar.facts(targets) for sidecar in sidecars]}


def test_its_facts_are_of_the_file_that_it_becomes(captions: Sidecar, targets: Targets) -> None:
    content = captions.path.read_bytes()

    assert captions.facts(targets) == {
        "file": targets.sidecar(SidecarKind.SRT).name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "size_bytes": len(content),
    }


def test_whole_is_what_is_there_as_long_as_it_was(captions: Sidecar, targets: Targets) -> None:
    place, manifest = targets.sidecar(SidecarKind.SRT), told(captions, targets=targets)

    assert not are_whole(targets, manifest)
    place.put(captions.path)
    assert are_whole(targets, manifest)
    place.put_bytes(b"cut o")
    assert not are_whole(targets, manifest)


def test_left_behind_is_what_an_older_manifest_tells_of_and_nobody_changed(captions: Sidecar, targets: Targets) -> None:
    place, manifest = targets.sidecar(SidecarKind.SRT), told(captions, targets=targets)

    assert left_behind(targets, manifest, set()) == []
    place.put(captions.path)
    assert left_behind(targets, manifest, set()) == [place]
    assert left_behind(targets, manifest, {SidecarKind.VTT, SidecarKind.POSTER}) == [place]
    assert left_behind(targets, manifest, {SidecarKind.SRT}) == []
    assert left_behind(targets, {}, set()) == []
    place.put_bytes(captions.path.read_bytes().replace(b"H", b"h"))
    assert left_behind(targets, manifest, set()) == []


def test_a_deliverable_goes_when_nobody_asks_for_it_any_more(targets: Targets, tmp_path: Path) -> None:
    (tmp_path / "scratch.mp4").write_bytes(b"a square")
    square = Sidecar(DeliverableKind("square-1080", "mp4"), tmp_path / "scratch.mp4")
    manifest = {"deliverables": [square.facts(targets)]}
    place = targets.sidecar(square.kind)

    assert not are_whole(targets, manifest)
    place.put(square.path)
    assert are_whole(targets, manifest)
    assert left_behind(targets, manifest, {DeliverableKind("vertical", "mp4")}) == [place]
    assert left_behind(targets, {"left": manifest["deliverables"]}, set()) == [place]
    assert left_behind(targets, manifest, {square.kind}) == []
    place.put_bytes(b"my cut..")
    assert left_behind(targets, manifest, set()) == []


@pytest.mark.parametrize(
    "listed",
    [
        None,
        "captions.srt",
        {"file": "captions.srt"},
        [None, 5, "captions.srt", []],
        [{"file": []}, {"file": {}}, {}],
        [{"file": "captions.srt"}, {"file": "harbor.srt", "size_bytes": None, "sha256": None}],
        [{"file": "../manifest.json", "size_bytes": 1, "sha256": "0"}],
        [{"file": "film.mp4", "size_bytes": 1, "sha256": "0"}],
    ],
)
def test_a_manifest_of_another_kind_tells_of_nothing(targets: Targets, listed: Any) -> None:
    targets.film.put_bytes(b"f")

    for key in ("sidecars", "deliverables"):
        assert are_whole(targets, {key: listed})
        assert left_behind(targets, {key: listed}, set()) == []
