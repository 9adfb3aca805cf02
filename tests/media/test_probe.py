from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from PIL import Image

from tasks.errors import MediaError
from tasks.media.probe import PictureFacts, probe_picture, probe_video
from tests.media.barclips import BT601, UNTAGGED, bar_clip


def test_a_clip_says_what_it_is(clip: Path) -> None:
    facts = probe_video(clip)

    assert (facts.width, facts.height, facts.frames_declared) == (320, 180, 121)
    assert facts.rate == 24
    assert facts.duration_s == Decimal("5.042")
    assert (facts.codec, facts.pix_fmt, facts.has_sound, facts.tagged_bt709) == (
        "h264",
        "yuv420p",
        False,
        True,
    )
    assert facts.rotation == 0
    assert facts.sample_aspect_ratio == 1


@pytest.mark.parametrize("sound_s", [1, 9])
def test_the_length_is_that_of_the_pictures(tmp_path: Path, sound_s: int) -> None:
    facts = probe_video(bar_clip(tmp_path / "clip.mp4", frames=48, sound_s=sound_s))

    assert facts.has_sound
    assert facts.duration_s == Decimal("2.000")


def test_ntsc_rates_are_exact(tmp_path: Path) -> None:
    facts = probe_video(bar_clip(tmp_path / "clip.mp4", frames=30, rate=Fraction(30000, 1001)))

    assert facts.rate == Fraction(30000, 1001)
    assert facts.duration_s == Decimal("1.001")


def test_webm_has_no_count_and_still_a_length(tmp_path: Path) -> None:
    facts = probe_video(bar_clip(tmp_path / "clip.webm", frames=24, codec="libvpx-vp9"))

    assert (facts.frames_declared, facts.codec) == (None, "vp9")
    assert facts.rate == 24
    assert abs(facts.duration_s - 1) <= Decimal("0.002")


@pytest.mark.parametrize("matrix", [BT601, UNTAGGED])
def test_other_matrices_are_not_called_bt709(tmp_path: Path, matrix: int) -> None:
    assert not probe_video(bar_clip(tmp_path / "clip.mp4", frames=2, matrix=matrix)).tagged_bt709


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.mp4", b""),
        ("text.mp4", b"These are words. " * 400),
        ("text.txt", b"These are words. " * 400),
        ("list.mp4", b"#EXTM3U\n#EXTINF:1,\nclip.mp4\n#EXT-X-ENDLIST\n"),
        ("list.ffconcat", b"ffconcat version 1.0\nfile clip.mp4\n"),
    ],
)
def test_what_is_no_video_is_refused_by_name(tmp_path: Path, name: str, content: bytes) -> None:
    bar_clip(tmp_path / "clip.mp4", frames=2)
    (tmp_path / name).write_bytes(content)

    with pytest.raises(MediaError) as raised:
        probe_video(tmp_path / name)

    assert raised.value.file == str(tmp_path / name)


def test_a_picture_is_not_a_video(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "still.png")

    with pytest.raises(MediaError, match="not MP4, MOV, WebM"):
        probe_video(tmp_path / "still.png")


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="no such file"):
        probe_video(tmp_path / "clip.mp4")
    with pytest.raises(MediaError, match="no such picture"):
        probe_picture(tmp_path / "still.png")


def test_strange_names_are_only_names(tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("concat:a|b.mp4", "-y 100%d 'ü'.mp4", "http:x.mp4"):
        Path(name).write_bytes(clip.read_bytes())
        assert probe_video(Path(name)).frames_declared == 121


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_pictures(tmp_path: Path, kind: str) -> None:
    Image.new("RGB", (64, 36), "teal").save(tmp_path / "still", format=kind)

    assert probe_picture(tmp_path / "still") == PictureFacts(64, 36, kind)


def test_a_turned_photograph_has_the_size_in_which_it_is_shown(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (64, 36)).save(tmp_path / "still.jpg", exif=exif)

    assert probe_picture(tmp_path / "still.jpg") == PictureFacts(36, 64, "JPEG")


@pytest.mark.parametrize("kept", [0, 20, 200, 0.5, 0.99])
def test_pictures_are_decoded_to_the_last_row(tmp_path: Path, kept: float) -> None:
    whole = tmp_path / "whole.png"
    Image.effect_noise((64, 64), 90).save(whole)
    size = whole.stat().st_size
    broken = tmp_path / "broken.png"
    broken.write_bytes(whole.read_bytes()[: int(kept if kept >= 1 else size * kept)])

    with pytest.raises(MediaError) as raised:
        probe_picture(broken)

    assert raised.value.file == str(broken)
