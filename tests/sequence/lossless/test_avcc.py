from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import MediaError
from tasks.sequence.lossless.avcc import nal_units, read_avcc, with_sets_of

# As x264 writes them at 320x180: number 0, and number 1 with other settings.
HEAD = bytes.fromhex("0164000cffe1001c6764000cacd941419f9f016a020202800000030080000018078a14cb01000568ef86f2c0fdf8f800")
TAIL = bytes.fromhex(
    "0164000cffe1001d6764000c4b2d02833f3e02d4040405000003000100000300300f142aa0010005684af06f2cfdf8f800"
)


def test_it_is_taken_apart() -> None:
    sets = read_avcc(HEAD)

    assert sets is not None
    assert (sets.profile, sets.compatibility, sets.level, sets.length_bytes) == (100, 0, 12, 4)
    assert [unit[0] & 0x1F for unit in sets.units] == [7, 8]
    assert sets.extension == bytes.fromhex("fdf8f800")
    assert (sets.sps_numbers, sets.pps_numbers) == ([0], [0])


def test_sets_are_known_by_their_numbers() -> None:
    tail = read_avcc(TAIL)

    assert tail is not None
    assert (tail.sps_numbers, tail.pps_numbers) == ([1], [1])


def test_two_stand_side_by_side() -> None:
    head, tail, both = read_avcc(HEAD), read_avcc(TAIL), read_avcc(with_sets_of(HEAD, TAIL))

    assert head is not None
    assert tail is not None
    assert both is not None
    assert both.sps == head.sps + tail.sps
    assert both.pps == head.pps + tail.pps
    assert (both.sps_numbers, both.pps_numbers) == ([0, 1], [0, 1])
    assert (both.profile, both.level, both.extension) == (head.profile, head.level, head.extension)


def test_what_is_there_is_not_added_again() -> None:
    both = with_sets_of(HEAD, TAIL)

    assert with_sets_of(HEAD, HEAD) == HEAD
    assert with_sets_of(both, TAIL) == both
    assert with_sets_of(both, HEAD) == both


@pytest.mark.parametrize("cut_at", range(len(HEAD) - 4))
def test_what_is_cut_off_is_none(cut_at: int) -> None:
    assert read_avcc(HEAD[:cut_at]) is None


@given(st.binary(max_size=80))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    for begun in (data, b"\x01" + data, HEAD[:6] + data):
        sets = read_avcc(begun)
        assert sets is None or min(sets.sps_numbers + sets.pps_numbers) >= 0


def test_no_avcc_is_refused() -> None:
    with pytest.raises(MediaError, match="cannot be read"):
        with_sets_of(HEAD, b"\0\0\0\1\x67")


def avcc_of(number: int) -> bytes:
    """An `avcC` of two sets that are called so, and say no more than that."""
    code = f"{number + 1:b}"
    called = int(f"{'0' * (len(code) - 1)}{code}1".ljust(16, "0"), 2).to_bytes(2)
    sps, pps = b"\x67\x64\x00\x0c" + called, b"\x68" + called
    return HEAD[:5] + b"\xe1" + len(sps).to_bytes(2) + sps + b"\x01" + len(pps).to_bytes(2) + pps


def test_too_many_sets_are_refused() -> None:
    full = HEAD
    for number in range(1, 31):
        full = with_sets_of(full, avcc_of(number))

    sets = read_avcc(full)
    assert sets is not None
    assert sets.sps_numbers == sets.pps_numbers == list(range(31))
    with pytest.raises(MediaError, match="too many"):
        with_sets_of(full, avcc_of(31))


def test_two_that_differ_cannot_have_one_number() -> None:
    with pytest.raises(MediaError, match="have one number"):
        with_sets_of(HEAD, avcc_of(0))


@given(st.lists(st.binary(min_size=1, max_size=9), max_size=5))
def test_units_of_a_packet(units: list[bytes]) -> None:
    packet = b"".join(len(unit).to_bytes(4) + unit for unit in units)

    assert list(nal_units(packet)) == units
    assert list(nal_units(packet[:-1])) == units[:-1]
