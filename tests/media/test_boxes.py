from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.errors import MediaError
from tasks.media.boxes import declared_size_bytes, moov_before_mdat, top_level_boxes, video_time_runs
from tests.media.barclips import bar_clip, remuxed


def test_the_rows_of_an_mp4(tmp_path: Path, loud_clip: Path) -> None:
    fast = remuxed(loud_clip, tmp_path / "fast.mp4", "-movflags", "+faststart")

    assert [box.kind for box in top_level_boxes(fast)] == ["ftyp", "moov", "free", "mdat"]
    assert top_level_boxes(fast)[-1].end == fast.stat().st_size
    assert moov_before_mdat(fast)
    assert not moov_before_mdat(loud_clip)


@pytest.mark.parametrize("suffix", ["mp4", "mov", "webm"])
def test_a_whole_file_declares_its_own_size(tmp_path: Path, suffix: str) -> None:
    codec = "libvpx-vp9" if suffix == "webm" else "libx264"
    path = bar_clip(tmp_path / f"clip.{suffix}", frames=5, codec=codec)

    assert declared_size_bytes(path) == path.stat().st_size


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=64))
def test_no_bytes_break_the_reader(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    for head in (b"", b"\x00\x00\x00\x08ftyp", b"\x1a\x45\xdf\xa3"):
        path.write_bytes(head + content)
        declared = declared_size_bytes(path)
        assert declared is None or declared > 0


@pytest.mark.parametrize(
    ("content", "declared"),
    [
        (b"\x00\x00\x00\x10ftypmp42\x00\x00\x00\x00", 16),
        (b"\x00\x00\x00\x20ftypmp42\x00\x00\x00\x00", 32),
        (b"\x00\x00\x00\x08free\x00\x00\x00", 12),
        (b"\x00\x00\x00\x01mdat\x00\x00\x00\x01\x00\x00\x00\x00", 1 << 32),
        (b"\x00\x00\x00\x00mdat12345678", 16),
        (b"<html><body>no</body></html>", None),
        (b"", None),
    ],
)
def test_declared_sizes(tmp_path: Path, content: bytes, declared: int | None) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)

    assert declared_size_bytes(path) == declared


def test_times_come_in_runs(tmp_path: Path) -> None:
    assert video_time_runs(bar_clip(tmp_path / "even.mp4", frames=9, sound_s=1)) == 1
    assert video_time_runs(bar_clip(tmp_path / "uneven.mp4", frames=5, times=[0, 1, 3, 4, 5])) > 1


def test_without_pictures_there_are_no_times(tmp_path: Path, loud_clip: Path) -> None:
    with pytest.raises(MediaError, match="no index"):
        video_time_runs(remuxed(loud_clip, tmp_path / "sound.mp4", "-vn"))
