"""Which storyboards belong to a batch, and where the film of each goes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from flows.batches.boards import Board, find_boards
from tasks.errors import BadInput, StorageUnreachable
from tasks.storage import locate

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
        ("/[b-c].*", ["b", "c"]),
        ("/west[!x]d.yaml", []),
        ("/*", ["a", "b", "c"]),
        ("/*.json", ["c"]),
        ("/?.json", ["c"]),
        ("/a.yaml", ["a"]),
    ],
)
def test_a_folder_a_pattern_or_one(folder: Path, pattern: str, found: list[str]) -> None:
    if not found:
        with pytest.raises(BadInput, match="no storyboard"):
            find_boards(f"{folder}{pattern}", "films")
        return
    assert names(find_boards(f"{folder}{pattern}", "films")) == found


@pytest.mark.parametrize("pattern", ["", "/*", "/**", "/**/*", "/*.json", "/[a-z]*"])
def test_films_beside_their_storyboards_are_neither_storyboards_nor_twins(tmp_path: Path, pattern: str) -> None:
    for name in ("a.json", "a.mp4", "a.manifest.json", "b.json", "films/b.mp4", "films/b.manifest.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")

    boards = find_boards(f"{tmp_path}{pattern}", str(tmp_path))

    assert [(board.name, board.twin) for board in boards] == [("a", None), ("b", None)]
    assert boards[0].output == str(tmp_path / "a.mp4")


@pytest.mark.parametrize("folder", ["boards [2026]", "boards *", "a?"])
def test_what_is_there_as_it_is_written_is_no_pattern(tmp_path: Path, folder: str) -> None:
    for name in (f"{folder}/a[1].yaml", f"{folder}/b.yaml", "boards 2/c.yaml", "ab/c.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("shots: []")

    assert names(find_boards(str(tmp_path / folder), "films")) == ["a[1]", "b"]
    assert names(find_boards(str(tmp_path / folder / "a[1].yaml"), "films")) == ["a[1]"]
    assert names(find_boards(f"{tmp_path}/{folder}/*.yaml", "films")) == ["a[1]", "b"]
    assert names(find_boards(f"{tmp_path}/{folder}/**/b.*", "films")) == ["b"]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("[[a]*", ["[x", "a"]),
        ("[]^]*", ["]", "^"]),
        ("[!]^]*", ["[x", "a", "b--c"]),
        ("b[--z]?c*", ["b--c"]),
        ("[!].yaml", []),
        ("[a&&b]*", ["a", "b--c"]),
    ],
)
def test_brackets_hold_characters_whatever_these_mean_elsewhere(tmp_path: Path, pattern: str, found: list[str]) -> None:
    for name in ("[x.yaml", "a.yaml", "b--c.yaml", "].yaml", "^.yaml"):
        (tmp_path / name).write_text("shots: []")

    if found:
        assert sorted(names(find_boards(f"{tmp_path}/{pattern}", "films"))) == sorted(found)
    else:
        with pytest.raises(BadInput, match="no storyboard"):
            find_boards(f"{tmp_path}/{pattern}", "films")


def test_a_range_that_runs_backwards_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=re.escape("'[z-a].yaml' is no pattern: bad character range")):
        find_boards(f"{tmp_path}/[z-a].yaml", "films")


class Guarded(MemoryFileSystem):  # type: ignore[misc]
    """A storage with folders that nobody may look into."""

    protocol = "guarded"
    store: dict[str, Any] = {}  # noqa: RUF012 -- its base class shares its own in the same way
    pseudo_dirs = [""]  # noqa: RUF012

    def ls(self, path: str, detail: bool = True, **how: Any) -> Any:
        if "closed" in path:
            raise PermissionError(path)
        return super().ls(path, detail=detail, **how)


fsspec.register_implementation("guarded", Guarded, clobber=True)


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("", ["a"]),
        ("/*.yaml", ["a"]),
        ("/west/*.yaml", ["b"]),
        ("/w*/*.yaml", ["west/b"]),
        ("/w*/far/*.yaml", ["west/far/c"]),
        ("/*/*.yaml", None),
        ("/**/a.yaml", None),
        ("/closed/*.yaml", None),
    ],
)
def test_only_folders_that_count_are_looked_into(pattern: str, found: list[str] | None) -> None:
    for name in ("a.yaml", "closed/a.yaml", "west/b.yaml", "west/far/c.yaml", "west/closed/d.yaml"):
        locate(f"guarded://boards/{name}").put_bytes(b"shots: []")

    if found is None:  # what counts and cannot be seen is not passed over
        with pytest.raises(StorageUnreachable, match="closed"):
            find_boards(f"guarded://boards{pattern}", "films")
    else:
        assert names(find_boards(f"guarded://boards{pattern}", "films")) == found


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
