"""Where each published file goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.errors import SettingsError
from tasks.publish.targets import targets_of


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
