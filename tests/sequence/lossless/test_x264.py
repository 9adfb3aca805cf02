from __future__ import annotations

from pathlib import Path

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.sequence.lossless.x264 import settings_of, settings_said
from tests.media.barclips import remuxed
from tests.sequence.lossless.conftest import write_clip


def first_packet(clip: Path) -> bytes:
    with av.open(str(clip)) as container:
        return bytes(next(packet for packet in container.demux(video=0) if packet.size))


def test_a_clip_says_how_it_was_made(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", frames=2, settings={"preset": "slow", "crf": "19.5", "bf": "5"})

    said = settings_said(first_packet(clip))

    assert said is not None
    assert (said["crf"], said["bframes"], said["ref"], said["cabac"]) == ("19.5", "5", "5", "1")


def test_a_clip_may_be_silent_about_it(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", frames=2)
    silent = remuxed(clip, tmp_path / "silent.mp4", "-bsf:v", "filter_units=remove_types=6")

    assert settings_said(first_packet(silent)) is None


SAID = {"cabac": "1", "ref": "3", "bframes": "3", "chroma_qp_offset": "-2", "crf": "23.0", "me_range": "16"}


def test_what_makes_the_parameter_sets_is_named_again() -> None:
    settings = settings_of(SAID, 31)

    assert settings is not None
    assert settings.items() >= {"cabac": "1", "ref": "3", "bframes": "3", "crf": "23.0", "level": "31"}.items()
    assert "me_range" not in settings


@pytest.mark.parametrize(("rate", "crf"), [({"qp": "18"}, "18"), ({"bitrate": "1000"}, "26")])
def test_other_ways_of_choosing_quality_have_their_quantizer(rate: dict[str, str], crf: str) -> None:
    settings = settings_of({"cabac": "1", "ref": "3", "bframes": "3", **rate}, 31)

    assert settings is not None
    assert settings["crf"] == crf


@pytest.mark.parametrize("value", ["3:log=3", "3 ", "", "0x3", "1:1:1", "9" * 9, "٣"])
def test_only_numbers_of_a_clip_get_into_the_encoder(value: str) -> None:
    assert settings_of({**SAID, "ref": value}, 31) is None


def test_interlaced_clips_are_not_made_again() -> None:
    assert settings_of({**SAID, "interlaced": "tff"}, 31) is None


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    unit = b"\x06\x05" + b"x264 - core 165 - options: " + data

    said = settings_said(len(unit).to_bytes(4) + unit)

    assert said is not None
    assert not any(set(value) & {":", "=", " "} for value in (settings_of(said, 31) or {}).values())
