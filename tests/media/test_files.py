from __future__ import annotations

import errno
import os
import resource
from pathlib import Path

import av
import pytest

from tasks.errors import StorageUnreachable
from tasks.media.files import sha256_of, written_whole


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


def spoiled(path: Path, error: OSError) -> None:
    with written_whole(path) as temporary:
        temporary.write_bytes(b"half")
        raise error


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_an_error_of_ours(tmp_path: Path, number: int) -> None:
    path = tmp_path / "film.mp4"

    # As Python raises it, and as libav does.
    for error in (OSError(number, os.strerror(number)), av.error.OSError(number, os.strerror(number))):
        with pytest.raises(StorageUnreachable, match=os.strerror(number)) as raised:
            spoiled(path, error)
        assert raised.value.exit_code == 6
        assert raised.value.file == str(path)
        assert "free some space" in str(raised.value.advice)
        assert "what is made is kept" in str(raised.value.advice)
        assert not list(tmp_path.iterdir())


def test_a_file_that_may_not_grow_so_large_is_told_as_that(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(StorageUnreachable, match="File too large"), written_whole(tmp_path / "a.f32") as temporary:
            temporary.write_bytes(bytes(1001))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert not list(tmp_path.iterdir())


def test_what_else_goes_wrong_is_left_as_it_is(tmp_path: Path) -> None:
    for number in (errno.EACCES, errno.ENOENT, errno.EIO, errno.EPIPE):
        with pytest.raises(OSError, match="else") as raised:
            spoiled(tmp_path / "film.mp4", OSError(number, "else"))
        assert raised.value.errno == number


def test_a_file_is_known_by_its_digest(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(b"abc")

    assert sha256_of(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
