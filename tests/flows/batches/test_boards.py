"""Which storyboards belong to a batch, and where the film of each goes."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pytest

from flows.batches.boards import Board, find_boards
from tasks.errors import BadInput

FILES = [
    "a.yaml",
    "b.yml",
    "c.json",
    "film.manifest.json",
    "manifest.json",
    "notes.txt",
    "west/d.yaml",
    "west/far/e.yaml",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("shots: []")
    return tmp_path


def names(boards: list[Board]) -> list[str]:
    return [board.name for board in boards]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("", ["a", "b", "c"]),
        ("/", ["a", "b", "c"]),
        ("/*.yaml", ["a"]),
        ("/**/*.yaml", ["a", "west/d", "west/far/e"]),
        ("/west/**", ["d", "far/e"]),
        ("/*/*.yaml", ["west/d"]),
        ("/[ab].y*", ["a", "b"]),
        ("/[!a].y*", ["b"]),
        ("/?.json", ["c"]),
        ("/a.yaml", ["a"]),
    ],
)
def test_a_folder_a_pattern_or_one(folder: Path, pattern: str, found: list[str]) -> None:
    assert names(find_boards(f"{folder}{pattern}", "films")) == found


def test_films_lie_as_their_storyboards_do(folder: Path) -> None:
    (board,) = find_boards(f"{folder}/west/*.yaml", "s3://films/nightly/")

    assert board.source == str(folder / "west" / "d.yaml")
    assert board.output == "s3://films/nightly/d.mp4"
    assert find_boards(f"{folder}/**/e.yaml", "s3://films")[0].output == "s3://films/west/far/e.mp4"


def test_on_any_storage() -> None:
    memory = fsspec.filesystem("memory")
    for name in ("a.yaml", "deep/b.yaml"):
        memory.pipe(f"/studio/boards/{name}", b"shots: []")

    assert [board.source for board in find_boards("memory://studio/boards", "memory://films")] == [
        "memory://studio/boards/a.yaml"
    ]
    assert names(find_boards("memory://studio/boards/**/*.yaml", "memory://films")) == ["a", "deep/b"]


def test_of_two_that_would_make_one_film_the_second_says_so(tmp_path: Path) -> None:
    for name in ("a.json", "a.yaml"):
        (tmp_path / name).write_text("shots: []")

    assert [board.twin for board in find_boards(str(tmp_path), "films")] == [None, "a.json"]


@pytest.mark.parametrize(
    ("storyboards", "output"),
    [("nothing", "films"), ("nothing/*.yaml", "films"), (".", "film.mp4"), ("https://studio.test/boards/", "films")],
)
def test_what_cannot_be_a_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, storyboards: str, output: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput):
        find_boards(storyboards, output)
