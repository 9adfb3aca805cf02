"""A deliverable replaces and takes away what a render made, and nothing that is somebody's own; none ends the others."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from tasks.deliver.presets import Codec, Container, Preset
from tasks.errors import SettingsError, StorageUnreachable
from tasks.publish.manifest import FORMAT
from tasks.publish.ownership import check_apart, check_ours
from tasks.publish.publish import Published, publish
from tasks.publish.sidecars import Sidecar
from tasks.publish.targets import DeliverableKind, SidecarKind, Targets, targets_of
from tests.publish.test_publish import Recording

PRORES = Preset(name="prores", container=Container.MOV, codec=Codec.PRORES)
SMALL = Preset(name="small", container=Container.MP4, codec=Codec.H264)


@pytest.fixture(params=["harbor.mp4", "harbor"])
def targets(request: pytest.FixtureRequest, tmp_path: Path) -> Targets:
    return targets_of(str(tmp_path / "films" / request.param))


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


@pytest.fixture
def recording() -> str:
    return f"recording://films-{uuid.uuid4().hex}"


def place_of(targets: Targets, preset: Preset) -> Path:
    place = targets.sidecar(DeliverableKind(preset.name, preset.suffix)).local
    assert place is not None
    place.parent.mkdir(parents=True, exist_ok=True)
    return place


async def published(targets: Targets, scratch: Path, run: str, *presets: Preset, srt: bool = False) -> Published:
    """Publish a film of a run with deliverables, all of which bear its name."""
    film = scratch / "film"
    film.write_text(f"film of {run}")
    items = [Sidecar(DeliverableKind(it.name, it.suffix), scratch / it.name) for it in presets]
    items += [Sidecar(SidecarKind.SRT, scratch / "srt")] if srt else []
    for item in items:
        item.path.write_text(f"{item.path.name} of {run}")
    told: dict[str, list[Any]] = {"sidecars": [], "deliverables": []}
    for item in items:
        told["deliverables" if isinstance(item.kind, DeliverableKind) else "sidecars"].append(item.facts(targets))
    return await publish(film, items, {"format": FORMAT, "run": run, "warnings": [], **told}, targets, scratch)


def manifest_of(targets: Targets) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(targets.manifest.read_bytes() or b"{}")
    return told


def film_of(targets: Targets) -> bytes | None:
    return targets.film.read_bytes()


async def test_what_a_render_put_there_is_replaced_and_taken_away_again(targets: Targets, scratch: Path) -> None:
    place = place_of(targets, PRORES)
    check_ours(targets, [PRORES])
    for run in ("one", "two"):
        assert (await published(targets, scratch, run, PRORES)).undelivered == {}
        assert place.read_text() == f"prores of {run}"
        assert "left" not in manifest_of(targets)
        check_ours(targets, [PRORES, SMALL])
    await published(targets, scratch, "three")
    assert not place.exists()


async def test_somebodys_own_file_is_told_of_before_anything_is_paid_and_never_replaced(
    targets: Targets, scratch: Path
) -> None:
    place = place_of(targets, PRORES)
    place.write_text("graded by hand")
    with pytest.raises(SettingsError, match="is there, and is no deliverable of this film") as caught:
        check_ours(targets, [SMALL, PRORES])
    assert caught.value.advice == "Move it, or name another output."
    check_ours(targets, [SMALL])

    # It came while the clips were made.
    outcome = await published(targets, scratch, "one", SMALL, PRORES)
    assert list(outcome.undelivered) == ["prores"]
    assert outcome.manifest == manifest_of(targets)
    assert [it["file"] for it in manifest_of(targets)["deliverables"]] == [place_of(targets, SMALL).name]
    assert "'prores' is not delivered: " in manifest_of(targets)["warnings"][0]
    assert film_of(targets) == b"film of one"
    await published(targets, scratch, "two")
    assert place.read_text() == "graded by hand"


@pytest.mark.parametrize("content", ["prores of two", "prores of one, graded"])
async def test_a_deliverable_that_somebody_changed_is_somebodys_own(
    targets: Targets, scratch: Path, content: str
) -> None:
    place = place_of(targets, PRORES)
    await published(targets, scratch, "one", PRORES)
    place.write_text(content)
    if len(content) != len("prores of one"):
        with pytest.raises(SettingsError):
            check_ours(targets, [PRORES])
    outcome = await published(targets, scratch, "six", PRORES)
    assert list(outcome.undelivered) == ["prores"]
    await published(targets, scratch, "ten")
    assert place.read_text() == content


async def test_another_films_name_is_told_of(tmp_path: Path) -> None:
    targets = targets_of(str(tmp_path / "harbor.mp4"))
    (tmp_path / "harbor.small.manifest.json").write_text("{}")
    with pytest.raises(SettingsError, match="'small' would have the name of another film"):
        check_ours(targets, [PRORES, SMALL])
    check_ours(targets, [PRORES])


async def test_one_that_cannot_be_put_takes_along_nothing_else(targets: Targets, scratch: Path) -> None:
    place = place_of(targets, PRORES)
    await published(targets, scratch, "one", PRORES)
    place.unlink()
    place.mkdir()

    outcome = await published(targets, scratch, "two", PRORES, SMALL, srt=True)
    assert isinstance(outcome.undelivered["prores"], StorageUnreachable)
    assert film_of(targets) == b"film of two"
    assert targets.sidecar(SidecarKind.SRT).read_bytes() == b"srt of two"
    told = manifest_of(targets)
    assert (told["run"], [it["file"] for it in told["deliverables"]]) == ("two", [place_of(targets, SMALL).name])
    assert told == outcome.manifest

    place.rmdir()
    check_ours(targets, [PRORES, SMALL])
    assert (await published(targets, scratch, "three", PRORES, SMALL)).undelivered == {}


@pytest.mark.parametrize("run_before", [True, False])
@pytest.mark.parametrize("failing", ["film.mp4", "captions.srt", "manifest.json"])
async def test_after_a_run_that_was_stopped_on_its_way_its_own_files_are_known(
    scratch: Path, recording: str, monkeypatch: pytest.MonkeyPatch, failing: str, run_before: bool
) -> None:
    targets = targets_of(recording)
    if run_before:
        await published(targets, scratch, "one", SMALL, srt=True)
    puts = 1 if failing == "manifest.json" else 0  # the first says what is to come
    monkeypatch.setattr(Recording, "failing", failing)
    monkeypatch.setattr(Recording, "spared", puts)
    with pytest.raises(StorageUnreachable):
        await published(targets, scratch, "two", SMALL, PRORES, srt=True)
    monkeypatch.setattr(Recording, "failing", "")

    if run_before:  # beside what is left, it is as it was
        assert manifest_of(targets)["run"] == "one"
    else:
        assert (manifest_of(targets)["film"], manifest_of(targets)["complete"]) == (None, False)
    check_ours(targets, [PRORES, SMALL])
    assert (await published(targets, scratch, "three", PRORES, SMALL)).undelivered == {}
    assert "left" not in manifest_of(targets)


async def test_one_that_cannot_be_taken_away_is_remembered(
    scratch: Path, recording: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    targets = targets_of(recording)
    await published(targets, scratch, "one", PRORES)
    monkeypatch.setattr(Recording, "keeping", "prores.mov")
    await published(targets, scratch, "two")
    assert manifest_of(targets)["run"] == "two"
    assert [it["file"] for it in manifest_of(targets)["left"]] == ["film.prores.mov"]
    check_ours(targets, [PRORES])
    monkeypatch.setattr(Recording, "keeping", "")
    await published(targets, scratch, "three")
    assert targets.film.beside("film.prores.mov").size() is None


async def test_who_may_not_read_can_deliver(scratch: Path, recording: str, monkeypatch: pytest.MonkeyPatch) -> None:
    targets = targets_of(recording)
    await published(targets, scratch, "one", SMALL)
    monkeypatch.setattr(Recording, "readable", False)
    check_ours(targets, [SMALL])
    assert (await published(targets, scratch, "two", SMALL)).undelivered == {}
    monkeypatch.setattr(Recording, "readable", True)
    assert targets.film.beside("film.small.mp4").read_bytes() == b"small of two"


def test_a_film_does_not_replace_what_it_is_made_of(targets: Targets, tmp_path: Path) -> None:
    own = tmp_path / "own.mp4"
    own.write_bytes(b"my only copy")
    inputs: dict[str, Path | None] = {own.as_uri(): own, "s3://studio/dive.mp4": None}
    check_apart(targets, [SMALL], inputs)  # nothing is published yet
    for place in [*targets.places(), *targets.deliverables([SMALL]).values()]:
        assert place.local is not None
        place.local.parent.mkdir(parents=True, exist_ok=True)
        place.local.symlink_to(own)
        with pytest.raises(SettingsError, match=r"would replace it\n.*Nothing was spent") as caught:
            check_apart(targets, [SMALL], inputs)
        assert place.shown in caught.value.message
        place.local.unlink()
    with pytest.raises(SettingsError, match="would replace it"):
        check_apart(targets_of("s3://studio/dive.mp4"), [], inputs)
    check_apart(targets_of("s3://studio/dives.mp4"), [SMALL], inputs)
