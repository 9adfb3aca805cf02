from __future__ import annotations

import random
import subprocess
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tasks.errors import ClipDamaged, MediaError
from tasks.media.ffmpeg import binary
from tasks.media.frames import decode_whole, extract_frame, extract_frames
from tests.media.barclips import BITS, BT601, BT709, UNTAGGED, bar_clip, remuxed, soft_picture, still_clip


def number_in(png: Path) -> int:
    row = np.asarray(Image.open(png).convert("L"))[90]
    return sum(1 << bit for bit in range(BITS) if row[int((bit + 0.5) * len(row) / BITS)] > 126)


def test_a_whole_clip_is_counted(loud_clip: Path) -> None:
    facts = decode_whole(loud_clip)

    assert (facts.frames, facts.width, facts.height) == (121, 320, 180)
    assert facts.rate == 24
    assert facts.constant_rate
    assert facts.duration_s == Decimal("5.042")
    assert facts.has_sound
    assert facts.sound_duration_s is not None
    assert abs(facts.sound_duration_s - facts.duration_s) < Decimal("0.022")


def test_a_rate_that_is_not_constant_is_told(tmp_path: Path) -> None:
    uneven = decode_whole(bar_clip(tmp_path / "gap.mp4", frames=10, times=[0, 1, 2, 3, 4, 5, 6, 7, 8, 10]))
    even = decode_whole(bar_clip(tmp_path / "even.mp4", frames=10, times=range(0, 20, 2)))

    assert not uneven.constant_rate
    assert even.constant_rate
    assert even.rate == 12


@pytest.mark.parametrize(("rate", "suffix", "codec"), [(24, "webm", "libvpx-vp9"), (30, "mov", "libx264")])
def test_other_containers_are_counted_too(tmp_path: Path, rate: int, suffix: str, codec: str) -> None:
    facts = decode_whole(bar_clip(tmp_path / f"c.{suffix}", frames=20, rate=Fraction(rate), codec=codec))

    assert facts.rate == rate
    assert (facts.frames, facts.constant_rate, facts.has_sound) == (20, True, False)


def test_pictures_that_an_edit_list_leaves_out_are_not_missing(tmp_path: Path, loud_clip: Path) -> None:
    trimmed = remuxed(loud_clip, tmp_path / "trimmed.mp4", before=("-ss", "1"))

    facts = decode_whole(trimmed)
    extract_frames(trimmed, {0: tmp_path / "first.png", -1: tmp_path / "last.png"})

    assert facts.frames == 97
    assert (number_in(tmp_path / "first.png"), number_in(tmp_path / "last.png")) == (24, 120)


@pytest.mark.parametrize("layout", ["index behind", "index before", "webm"])
def test_a_cut_off_clip_is_damaged_wherever_it_was_cut(tmp_path: Path, loud_clip: Path, layout: str) -> None:
    whole = {
        "index behind": lambda: loud_clip,
        "index before": lambda: remuxed(loud_clip, tmp_path / "fast.mp4", "-movflags", "+faststart"),
        "webm": lambda: bar_clip(tmp_path / "c.webm", frames=24, codec="libvpx-vp9"),
    }[layout]()
    content = whole.read_bytes()
    dice = random.Random(7)
    lengths = [1, 7, 8, 40, 100, len(content) - 1, len(content) - 8, len(content) - 1024]
    lengths += [dice.randrange(len(content)) for _ in range(60)]
    broken = tmp_path / f"broken{whole.suffix}"

    assert decode_whole(whole).frames > 0
    for length in lengths:
        broken.write_bytes(content[:length])
        with pytest.raises(ClipDamaged) as raised:
            decode_whole(broken)
        assert raised.value.file == str(broken), length


def test_zeros_in_the_middle_are_damage(tmp_path: Path, clip: Path) -> None:
    content = bytearray(clip.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 2000] = bytes(2000)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(content)

    with pytest.raises(ClipDamaged):
        decode_whole(broken)


def test_flipped_bytes_give_a_count_or_a_typed_error(tmp_path: Path, clip: Path) -> None:
    # A flipped bit of entropy-coded pictures often decodes to other pictures without any error; the download's
    # length and hash are what finds that.
    dice = random.Random(3)
    broken = tmp_path / "broken.mp4"
    for _ in range(25):
        content = bytearray(clip.read_bytes())
        for _ in range(20):
            content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
        broken.write_bytes(content)
        assert damaged(broken) or decode_whole(broken).frames > 0


def damaged(path: Path) -> bool:
    try:
        decode_whole(path)
    except ClipDamaged:
        return True
    return False


@pytest.mark.parametrize("content", [b"", b"{}", b"<html><body>403 Forbidden</body></html>" * 50])
def test_what_is_no_clip_is_damaged(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)

    with pytest.raises(ClipDamaged):
        decode_whole(path)


def test_sound_alone_is_no_clip(tmp_path: Path, loud_clip: Path) -> None:
    with pytest.raises(ClipDamaged, match="no pictures"):
        decode_whole(remuxed(loud_clip, tmp_path / "sound.mp4", "-vn"))


def test_a_missing_clip_is_not_a_damaged_one(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="no such file") as raised:
        decode_whole(tmp_path / "clip.mp4")

    assert not isinstance(raised.value, ClipDamaged)


@pytest.mark.parametrize("index", [0, 1, 2, 59, 119, 120])
def test_a_frame_is_the_one_asked_for(tmp_path: Path, clip: Path, index: int) -> None:
    extract_frame(clip, index, tmp_path / "new folder" / "frame.png")

    assert number_in(tmp_path / "new folder" / "frame.png") == index


@pytest.mark.parametrize("sound_s", [None, 2, 9])
def test_the_last_frame_is_the_last_shown_however_long_the_sound_is(tmp_path: Path, sound_s: int | None) -> None:
    path = bar_clip(tmp_path / "clip.mp4", frames=60, first=500, sound_s=sound_s)

    extract_frame(path, -1, tmp_path / "last.png")

    assert number_in(tmp_path / "last.png") == 559


def test_several_frames_in_one_pass(tmp_path: Path, clip: Path) -> None:
    wanted = {120: tmp_path / "a.png", 0: tmp_path / "b.png", 60: tmp_path / "c.png", -1: tmp_path / "d.png"}

    extract_frames(clip, wanted)

    assert [number_in(png) for png in wanted.values()] == [120, 0, 60, 120]


@pytest.mark.parametrize("index", [121, 10_000, -2])
def test_a_frame_that_is_not_there_leaves_nothing(tmp_path: Path, clip: Path, index: int) -> None:
    with pytest.raises(MediaError, match=f"{index}"):
        extract_frames(clip, {0: tmp_path / "first.png", index: tmp_path / "other.png"})

    assert list(tmp_path.iterdir()) == []


def test_a_picture_that_cannot_be_written_is_an_error_of_ours(tmp_path: Path, clip: Path) -> None:
    (tmp_path / "folder").write_text("a file is in the way")

    with pytest.raises(MediaError, match="cannot be written"):
        extract_frame(clip, 0, tmp_path / "folder" / "frame.png")


COLOURS = [
    (255, 0, 0),
    (0, 255, 0),
    (0, 0, 255),
    (200, 120, 40),
    (13, 200, 190),
    (128, 128, 128),
    (255, 255, 255),
]


@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("matrix", [BT709, UNTAGGED, BT601])
def test_colours_are_what_the_file_means(tmp_path: Path, matrix: int, full_range: bool) -> None:
    for rgb in COLOURS:
        path = bar_clip(
            tmp_path / "c.mp4", frames=2, width=64, height=64, rgb=rgb, matrix=matrix, full_range=full_range
        )
        extract_frame(path, 0, tmp_path / "c.png")

        seen = np.asarray(Image.open(tmp_path / "c.png")).reshape(-1, 3).astype(int)
        assert np.abs(seen - rgb).max() <= 3, rgb


def test_ten_generations_do_not_drift(tmp_path: Path) -> None:
    """Still to clip to still, ten times over: what chained shots do to a picture, without a model between."""
    png = tmp_path / "frame.png"
    truth = soft_picture(png)

    for generation in range(10):
        path = still_clip(png, tmp_path / f"clip{generation}.mp4")
        extract_frame(path, -1, png)

    drift = np.asarray(Image.open(png)).astype(int) - truth
    assert np.abs(drift).mean() < 1.5
    assert np.abs(drift.mean(axis=(0, 1))).max() < 0.5


def test_turned_video_gives_upright_pictures(tmp_path: Path, clip: Path) -> None:
    turned = remuxed(clip, tmp_path / "turned.mp4", before=("-display_rotation", "90"))
    extract_frame(turned, 5, tmp_path / "mine.png")
    command = [binary(), "-v", "error", "-i", str(turned), "-vf", "select=eq(n\\,5)", "-frames:v", "1"]
    subprocess.run([*command, str(tmp_path / "theirs.png")], check=True, stdin=subprocess.DEVNULL)

    mine, theirs = (np.asarray(Image.open(tmp_path / f"{name}.png").convert("L")) for name in ("mine", "theirs"))
    assert mine.shape == theirs.shape == (320, 180)
    assert np.abs(mine.astype(int) - theirs).mean() < 3


def test_the_tests_own_clips_are_what_generators_make(clip: Path) -> None:
    with av.open(str(clip)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]

    assert sum(packet.is_keyframe for packet in packets) == 1
    assert any(packet.pts != packet.dts for packet in packets)


def test_stills_are_taken_while_a_clip_is_counted(tmp_path: Path, clip: Path) -> None:
    asked = {
        0: tmp_path / "first.png",
        7: tmp_path / "seventh.png",
        -1: tmp_path / "last.png",
        999: tmp_path / "no.png",
    }
    facts = decode_whole(clip, asked)

    for index in (0, 7, -1):
        extract_frame(clip, index, tmp_path / "alone.png")
        assert asked[index].read_bytes() == (tmp_path / "alone.png").read_bytes()
    assert facts == decode_whole(clip)
    assert not asked[999].exists()
