from __future__ import annotations

from pathlib import Path

import pytest

from tasks.media.files import written_whole


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "film.mp4"

    with written_whole(path) as temporary:
        temporary.write_bytes(b"half")
        assert temporary.suffix == ".mp4"
        assert temporary.parent == path.parent
        assert not path.exists()

    assert path.read_bytes() == b"half"
    assert [item.name for item in path.parent.iterdir()] == ["film.mp4"]


def interrupted(path: Path) -> None:
    with written_whole(path) as temporary:
        temporary.write_bytes(b"half")
        raise KeyboardInterrupt


def test_a_failure_keeps_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(b"old")

    with pytest.raises(KeyboardInterrupt):
        interrupted(path)

    assert path.read_bytes() == b"old"
    assert [item.name for item in tmp_path.iterdir()] == ["film.mp4"]


def test_a_body_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), written_whole(tmp_path / "film.mp4"):
        pass


def test_the_longest_name_that_a_folder_takes(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 251 + ".mp4")

    with written_whole(path) as temporary:
        temporary.write_bytes(b"whole")

    assert path.read_bytes() == b"whole"
