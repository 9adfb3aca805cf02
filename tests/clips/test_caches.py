"""The local caches stay within their limit, and never lose what is in use."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tasks.clips.caches import bound_caches, cache_uses, droppable
from tasks.clips.scratch import scratch_folder
from tasks.media.files import mark_used
from tasks.storage import StoredFile

DAY = 86_400


def keep(cache: Path, name: str, days: float, size: int = 100) -> Path:
    path = cache / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    at = datetime.now(UTC).timestamp() - days * DAY
    os.utime(path, (at, at))
    return path


def names(cache: Path) -> set[str]:
    return {path.relative_to(cache).as_posix() for path in cache.rglob("*") if path.is_file()}


def test_what_was_used_longest_ago_goes_first_across_all_of_them(tmp_path: Path) -> None:
    keep(tmp_path, "clips/a.mp4", days=9)
    keep(tmp_path, "conformed/b.mp4", days=7)
    keep(tmp_path, "frames/c.png", days=8)
    keep(tmp_path, "inputs/urls/d.json", days=6)
    assert bound_caches(tmp_path, 250) == 200
    assert names(tmp_path) == {"conformed/b.mp4", "inputs/urls/d.json"}


def test_within_the_limit_nothing_goes(tmp_path: Path) -> None:
    keep(tmp_path, "clips/a.mp4", days=900)
    assert bound_caches(tmp_path, 100) == 0
    assert names(tmp_path) == {"clips/a.mp4"}


def test_what_was_used_today_stays_whatever_the_limit(tmp_path: Path) -> None:
    keep(tmp_path, "clips/a.mp4", days=0.9)
    keep(tmp_path, "clips/b.mp4", days=1.1)
    mark_used(keep(tmp_path, "clips/c.mp4", days=5))
    assert bound_caches(tmp_path, 0) == 100
    assert names(tmp_path) == {"clips/a.mp4", "clips/c.mp4"}


def test_what_was_used_since_the_oldest_living_run_began_stays(tmp_path: Path) -> None:
    with scratch_folder(tmp_path) as folder:
        began = datetime.now(UTC).timestamp() - 3 * DAY
        os.utime(folder.with_suffix(".lock"), (began, began))
        keep(tmp_path, "frames/a.png", days=2)
        keep(tmp_path, "frames/b.png", days=4)
        assert bound_caches(tmp_path, 0) == 100
        assert (tmp_path / "frames/a.png").exists()
    assert bound_caches(tmp_path, 0) == 100


def test_what_a_broken_write_left_goes_without_a_need_for_room(tmp_path: Path) -> None:
    keep(tmp_path, "conformed/.part-0011.mp4", days=2)
    keep(tmp_path, "conformed/.part-0022.mp4", days=0)
    keep(tmp_path, "conformed/a.mp4", days=2)
    assert bound_caches(tmp_path, 10**9) == 100
    assert names(tmp_path) == {"conformed/.part-0022.mp4", "conformed/a.mp4"}


def test_nothing_else_of_the_folder_is_touched(tmp_path: Path) -> None:
    keep(tmp_path, "prefect-3.8.8.db", days=99)
    keep(tmp_path, "notes/mine.txt", days=99)
    assert bound_caches(tmp_path, 0) == 0
    assert names(tmp_path) == {"prefect-3.8.8.db", "notes/mine.txt"}


def test_they_tell_what_they_hold_and_what_is_not_in_use(tmp_path: Path) -> None:
    keep(tmp_path, "frames/a.png", days=0)
    keep(tmp_path, "frames/b.png", days=2, size=30)
    uses = {use.name: use for use in cache_uses(tmp_path)}
    assert set(uses) == {"clips", "conformed", "frames", "inputs"}
    frames = uses["frames"]
    assert (frames.files, frames.size_bytes, frames.idle_files, frames.idle_bytes) == (2, 130, 1, 30)


NOW = datetime(2026, 6, 1, tzinfo=UTC)
FILES = st.lists(
    st.builds(
        StoredFile,
        st.sampled_from(["clips/a", "frames/b.png", "conformed/.part-1.mp4"]),
        st.integers(0, 1000),
        st.none() | st.integers(0, 10).map(lambda days: NOW - timedelta(days=days)),
    ),
    max_size=12,
)


@given(FILES, st.integers(0, 6000))
def test_never_more_goes_than_has_to_and_never_what_is_in_use(files: list[StoredFile], limit: int) -> None:
    used_before = NOW - timedelta(days=1)
    gone = droppable(files, limit, used_before)
    assert all(file.changed_at is not None and file.changed_at < used_before for file in gone)
    left = sum(file.size_bytes for file in files) - sum(file.size_bytes for file in gone)
    could_go = [file for file in files if file.changed_at is not None and file.changed_at < used_before]
    assert left <= limit or len(gone) == len(could_go)
    # Without the last that went, there would have been too much; leftovers go anyway.
    whole = [file for file in gone if "/." not in file.name]
    assert not whole or left + whole[-1].size_bytes > limit


def test_a_cache_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert bound_caches(tmp_path / "none", 0) == 0
    assert not (tmp_path / "none").exists()


def test_a_mark_on_what_is_gone_is_no_error(tmp_path: Path) -> None:
    mark_used(tmp_path / "gone")
    assert not (tmp_path / "gone").exists()
