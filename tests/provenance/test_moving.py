"""WebP and GIF are marked behind their frames; what Pillow and ffmpeg make of them stays the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from tasks.errors import MediaError
from tasks.provenance.xmp import put_xmp, read_xmp

PACKETS = (b"<a/>", b"<a>one byte more, and odd</a>", b"x" * 300)


def moving(path: Path, frames: int = 5) -> Path:
    pictures = [Image.new("RGB", (64, 36), (number * 40, 10, 200)) for number in range(frames)]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=100, loop=0)
    return path


def seen(path: Path) -> list[tuple[bytes, int]]:
    """Each frame, and for how long it is shown."""
    found = []
    with Image.open(path) as picture:
        for number in range(getattr(picture, "n_frames", 1)):
            picture.seek(number)
            found.append((picture.convert("RGB").tobytes(), picture.info["duration"]))
    return found


@pytest.mark.parametrize("suffix", [".webp", ".gif"])
def test_frames_and_their_times_stay_and_the_packet_can_be_replaced(suffix: str, tmp_path: Path) -> None:
    path = moving(tmp_path / f"film{suffix}")
    before, size_bytes = seen(path), path.stat().st_size
    assert read_xmp(path) is None
    for packet in PACKETS:
        assert put_xmp(path, packet)
        assert read_xmp(path) == packet
        assert seen(path) == before
    put_xmp(path, PACKETS[0])
    assert path.stat().st_size - size_bytes < 300


def test_other_programs_find_it_in_a_webp(tmp_path: Path) -> None:
    path = moving(tmp_path / "film.webp")
    put_xmp(path, PACKETS[1])
    with Image.open(path) as picture:
        assert picture.info["xmp"] == PACKETS[1]


def test_readers_of_gif_that_know_no_xmp_step_over_it(tmp_path: Path) -> None:
    path = moving(tmp_path / "film.gif")
    # Any byte of the packet may be taken for the length of a block.
    put_xmp(path, bytes(range(1, 256)))
    content = path.read_bytes()
    at = content.index(b"XMP DataXMP") + 11
    for skipped in range(256):
        place = at + skipped
        while content[place]:
            place += 1 + content[place]
        assert content[place + 1 :] == b";"


def test_a_single_picture_may_have_no_place_for_it(tmp_path: Path) -> None:
    path = moving(tmp_path / "still.webp", frames=1)
    before = path.read_bytes()

    assert put_xmp(path, PACKETS[0]) is False
    assert path.read_bytes() == before


@pytest.mark.parametrize("suffix", [".webp", ".gif"])
def test_one_that_is_cut_off_is_not_touched(suffix: str, tmp_path: Path) -> None:
    path = moving(tmp_path / f"film{suffix}")
    path.write_bytes(path.read_bytes()[:-3])
    before = path.read_bytes()
    with pytest.raises(MediaError):
        put_xmp(path, PACKETS[0])

    assert path.read_bytes() == before


def test_xmp_in_the_middle_of_a_webp_is_left_alone(tmp_path: Path) -> None:
    path = moving(tmp_path / "film.webp")
    put_xmp(path, PACKETS[0])
    content = path.read_bytes() + b"MORE" + bytes(4)
    path.write_bytes(content[:4] + (len(content) - 8).to_bytes(4, "little") + content[8:])
    with pytest.raises(MediaError, match="has XMP already"):
        put_xmp(path, PACKETS[0])
