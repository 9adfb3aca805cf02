"""Scratch folders: gone with the run, or swept by the next one when it was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tasks.clips.scratch import Scratch, living_since, scratch_folder, sweep_scratch
from tasks.errors import StorageUnreachable

HOLDER = """
import sys, time
from pathlib import Path
from tasks.clips.scratch import Scratch
scratch = Scratch(Path(sys.argv[1]))
(scratch.folder / "half a film.mp4").write_bytes(b"frames")
print(scratch.folder, flush=True)
time.sleep(60)
"""


def left(cache: Path) -> list[str]:
    return sorted(path.name for path in (cache / "scratch").iterdir())


def test_it_is_there_for_the_block_and_gone_after_it(tmp_path: Path) -> None:
    with scratch_folder(tmp_path) as folder:
        (folder / "film.mp4").write_bytes(b"frames")
        assert folder.is_relative_to(tmp_path)
    assert left(tmp_path) == []


def test_it_is_gone_after_an_error_too(tmp_path: Path) -> None:
    def fail() -> None:
        with scratch_folder(tmp_path) as folder:
            (folder / "deep").mkdir()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert left(tmp_path) == []


def test_releasing_twice_is_releasing_once(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path)
    scratch.release()
    scratch.release()
    assert left(tmp_path) == []


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL, which only POSIX systems have")
def test_what_a_killed_process_left_goes_and_what_a_living_one_has_stays(tmp_path: Path) -> None:
    holders = [
        subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    try:
        folders = [Path(holder.stdout.readline().strip()) for holder in holders if holder.stdout]
        holders[0].send_signal(signal.SIGKILL)
        holders[0].wait()
        with scratch_folder(tmp_path):
            assert not folders[0].exists()
            assert (folders[1] / "half a film.mp4").read_bytes() == b"frames"
    finally:
        for holder in holders:
            holder.kill()
            holder.communicate()
    assert sweep_scratch(tmp_path) == 1
    assert left(tmp_path) == []


def test_many_may_come_and_go_at_once(tmp_path: Path) -> None:
    errors: list[BaseException] = []

    def come_and_go() -> None:
        try:
            for _ in range(20):
                with scratch_folder(tmp_path) as folder:
                    file = folder / "mine"
                    file.write_bytes(b"mine")
                    assert file.read_bytes() == b"mine"
        except BaseException as error:
            errors.append(error)
            raise

    threads = [threading.Thread(target=come_and_go) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    sweep_scratch(tmp_path)
    assert left(tmp_path) == []


def test_it_tells_since_when_the_oldest_living_process_works(tmp_path: Path) -> None:
    assert living_since(tmp_path) is None
    with scratch_folder(tmp_path) as folder:
        long_ago = datetime.now(UTC) - timedelta(days=3)
        os.utime(folder.with_suffix(".lock"), (long_ago.timestamp(), long_ago.timestamp()))
        with scratch_folder(tmp_path):
            since = living_since(tmp_path)
            assert since is not None
            assert abs(since - long_ago) < timedelta(seconds=1)
    assert living_since(tmp_path) is None


def test_a_cache_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file, not a folder")
    with pytest.raises(StorageUnreachable, match="cannot be written"):
        Scratch(tmp_path / "cache")
