"""Where each published file goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.deliver.choice import chosen_presets
from tasks.errors import SettingsError, StorageUnreachable
from tasks.publish.targets import DeliverableKind, SidecarKind, targets_of
from tasks.settings import Finish


@pytest.mark.parametrize(
    ("output", "film", "manifest"),
    [
        ("films/harbor.mp4", "films/harbor.mp4", "films/harbor.manifest.json"),
        ("films/harbor.MP4", "films/harbor.MP4", "films/harbor.manifest.json"),
        ("films/v1.2.mp4", "films/v1.2.mp4", "films/v1.2.manifest.json"),
        ("films/harbor", "films/harbor/film.mp4", "films/harbor/manifest.json"),
        ("films/harbor/", "films/harbor/film.mp4", "films/harbor/manifest.json"),
        ("films/v1.2", "films/v1.2/film.mp4", "films/v1.2/manifest.json"),
        (".mp4", ".mp4/film.mp4", ".mp4/manifest.json"),
    ],
)
def test_a_film_or_a_folder(
    output: str, film: str, manifest: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    targets = targets_of(output)
    assert (targets.film.local, targets.manifest.local) == (tmp_path / film, tmp_path / manifest)


@pytest.mark.parametrize(
    ("output", "film", "manifest"),
    [
        ("s3://films/harbor.mp4", "s3://films/harbor.mp4", "s3://films/harbor.manifest.json"),
        ("s3://films", "s3://films/film.mp4", "s3://films/manifest.json"),
        ("gs://films/harbor/", "gs://films/harbor/film.mp4", "gs://films/harbor/manifest.json"),
    ],
)
def test_anywhere(output: str, film: str, manifest: str) -> None:
    targets = targets_of(output)
    assert (targets.film.url, targets.manifest.url) == (film, manifest)


TIMELINES = ["timeline.otio", "timeline.xml", "timeline.fcpxml", "timeline.edl"]


@pytest.mark.parametrize(
    ("output", "beside"),
    [
        (
            "films/harbor.mp4",
            [
                "harbor.srt",
                "harbor.vtt",
                "harbor.poster.jpg",
                "harbor.contact.jpg",
                "harbor.otio",
                "harbor.xml",
                "harbor.fcpxml",
                "harbor.edl",
            ],
        ),
        (
            "films/v1.2.MP4",
            [
                "v1.2.srt",
                "v1.2.vtt",
                "v1.2.poster.jpg",
                "v1.2.contact.jpg",
                "v1.2.otio",
                "v1.2.xml",
                "v1.2.fcpxml",
                "v1.2.edl",
            ],
        ),
        (
            "films/a b'c.mp4",
            [
                "a b'c.srt",
                "a b'c.vtt",
                "a b'c.poster.jpg",
                "a b'c.contact.jpg",
                "a b'c.otio",
                "a b'c.xml",
                "a b'c.fcpxml",
                "a b'c.edl",
            ],
        ),
        ("films/harbor", ["captions.srt", "captions.vtt", "poster.jpg", "contact.jpg", *TIMELINES]),
        (
            "films/film.mp4",
            [
                "film.srt",
                "film.vtt",
                "film.poster.jpg",
                "film.contact.jpg",
                "film.otio",
                "film.xml",
                "film.fcpxml",
                "film.edl",
            ],
        ),
        (
            "s3://films/harbor.mp4",
            [
                "harbor.srt",
                "harbor.vtt",
                "harbor.poster.jpg",
                "harbor.contact.jpg",
                "harbor.otio",
                "harbor.xml",
                "harbor.fcpxml",
                "harbor.edl",
            ],
        ),
        ("s3://films/harbor/", ["captions.srt", "captions.vtt", "poster.jpg", "contact.jpg", *TIMELINES]),
    ],
)
def test_what_goes_beside_the_film(output: str, beside: list[str]) -> None:
    targets = targets_of(output)
    places = [targets.sidecar(kind) for kind in SidecarKind]
    assert [place.name for place in places] == beside
    for place in places:
        assert place.beside("x").url == targets.film.beside("x").url
    assert len({place.url for place in (targets.film, targets.manifest, *places)}) == 10


@pytest.mark.parametrize("output", ["film.mov", "film.webm", "s3://films/film.MKV", ""])
def test_other_kinds_are_refused(output: str) -> None:
    with pytest.raises(SettingsError):
        targets_of(output)


def test_what_is_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "file").write_text("x")
    with pytest.raises(SettingsError, match="is a folder"):
        targets_of(str(tmp_path / "folder.mp4"))
    with pytest.raises(SettingsError, match="is a file"):
        targets_of(str(tmp_path / "file"))


@pytest.mark.parametrize("output", ["films/harbor.mp4", "films/harbor"])
def test_every_place_is_checked_before_anything_is_paid(output: str, tmp_path: Path) -> None:
    targets = targets_of(str(tmp_path / output))
    targets.check()
    assert list(tmp_path.iterdir()) == []
    for place in (targets.film, targets.manifest, *(targets.sidecar(kind) for kind in SidecarKind)):
        assert place.local is not None
        place.local.mkdir(parents=True)
        with pytest.raises(SettingsError, match="is a folder"):
            targets.check()
        place.local.rmdir()
    targets.check()


def test_a_place_where_nothing_can_be_written_is_told() -> None:
    with pytest.raises(StorageUnreachable, match="cannot be written"):
        targets_of("/proc/films/harbor.mp4").check()


@pytest.mark.parametrize(
    ("output", "place"),
    [
        ("s3://films/harbor", "s3://films/harbor/clips/a-take1.mp4"),
        ("s3://films/harbor.mp4", "s3://films/harbor-clips/a-take1.mp4"),
    ],
)
def test_the_media_of_timelines_lie_in_a_folder_beside_the_film(output: str, place: str) -> None:
    targets = targets_of(output)
    assert targets.media(f"{targets.media_folder}/a-take1.mp4").url == place


@pytest.mark.parametrize(
    ("output", "place"),
    [
        ("films/harbor.mp4", "harbor.square-1080.mp4"),
        ("films/v1.2.MP4", "v1.2.square-1080.mp4"),
        ("films/harbor/", "film.square-1080.mp4"),
        ("s3://films/harbor.mp4", "harbor.square-1080.mp4"),
    ],
)
def test_a_deliverable_is_called_after_the_film_and_its_preset(output: str, place: str) -> None:
    targets, kind = targets_of(output), DeliverableKind("square-1080", "mp4")

    assert targets.sidecar(kind).name == place
    assert targets.deliverable(place) == kind


@pytest.mark.parametrize(
    "name",
    [
        "harbor.mp4",
        "harbor..mp4",
        "harbor.a.srt",
        "harbour.a.mp4",
        "a.mp4",
        "harbor.A.mp4",
        "harbor.a/b.mp4",
        "",
        "harbor.",
    ],
)
def test_a_name_that_no_deliverable_has(name: str) -> None:
    assert targets_of("films/harbor.mp4").deliverable(name) is None


def test_the_places_of_deliverables_are_tried_too(tmp_path: Path) -> None:
    targets = targets_of(str(tmp_path / "harbor.mp4"))
    (tmp_path / "harbor.gif.gif").mkdir()

    targets.check()
    with pytest.raises(SettingsError):
        targets.check(chosen_presets(Finish(deliver=("gif",))))
