"""What lies beside a film is known by its name and its digest, and by nothing less."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from tasks.publish.sidecars import Sidecar, are_whole, told_of
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


def test_what_a_manifest_tells_of_is_there_as_long_as_nobody_changed_it(captions: Sidecar, targets: Targets) -> None:
    place, manifest = targets.sidecar(SidecarKind.SRT), told(captions, targets=targets)

    (known,) = told_of(targets, manifest)
    assert (known.kind, known.place, known.facts()) == (SidecarKind.SRT, place, manifest["sidecars"][0])
    assert not known.is_there()
    place.put(captions.path)
    assert known.is_there()
    place.put_bytes(captions.path.read_bytes().replace(b"H", b"h"))
    assert not known.is_there()
    assert told_of(targets, {}) == []


def test_deliverables_are_told_of_too_and_what_a_film_before_left(targets: Targets, tmp_path: Path) -> None:
    (tmp_path / "scratch.mp4").write_bytes(b"a square")
    square = Sidecar(DeliverableKind("square-1080", "mp4"), tmp_path / "scratch.mp4")
    manifest = {"deliverables": [square.facts(targets)]}
    place = targets.sidecar(square.kind)

    assert not are_whole(targets, manifest)
    place.put(square.path)
    assert are_whole(targets, manifest)
    for listed in (manifest, {"left": manifest["deliverables"]}):
        assert [(it.kind, it.is_there()) for it in told_of(targets, listed)] == [(square.kind, True)]
    place.put_bytes(b"my cut..")
    assert [it.is_there() for it in told_of(targets, manifest)] == [False]


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
        assert told_of(targets, {key: listed}) == []
