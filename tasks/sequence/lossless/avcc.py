"""What decoders of H.264 are told before the first frame: the parameter sets, as MP4 keeps them (`avcC`).

A frame names the sets that it needs by number, so sets of two encoders can stand side by side in one film.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from tasks.errors import MediaError

__all__ = ["ParameterSets", "nal_units", "read_avcc", "with_sets_of"]

_VERSION: Final = 1
_HEADER_BYTES: Final = 6
# As the format has them: five bits for one count, eight for the other.
_MOST_SPS: Final = 31
_MOST_PPS: Final = 255


@dataclass(frozen=True, slots=True)
class ParameterSets:
    """An `avcC` taken apart: profile and level, the bytes of a length before each unit, sets, and what follows."""

    profile: int
    compatibility: int
    level: int
    length_bytes: int
    sps: tuple[bytes, ...]
    pps: tuple[bytes, ...]
    extension: bytes

    @property
    def units(self) -> tuple[bytes, ...]:
        """All sets."""
        return self.sps + self.pps

    @property
    def sps_numbers(self) -> list[int]:
        """The number of each sequence parameter set. The kind of unit, profile, flags and level stand before it."""
        return [_first_number(unit[4:]) for unit in self.sps]

    @property
    def pps_numbers(self) -> list[int]:
        """The number of each picture parameter set. The kind of unit stands before it."""
        return [_first_number(unit[1:]) for unit in self.pps]


def read_avcc(data: bytes) -> ParameterSets | None:
    """Take an `avcC` apart; `None` where this is none, or one without sets."""
    if len(data) <= _HEADER_BYTES or data[0] != _VERSION:
        return None
    sps, at = _sets(data, _HEADER_BYTES, data[5] & 0x1F)
    if at >= len(data):
        return None
    pps, at = _sets(data, at + 1, data[at])
    if at > len(data) or not sps or not pps or not all(len(unit) > 4 for unit in sps) or not all(pps):
        return None
    return ParameterSets(data[1], data[2], data[3], (data[4] & 3) + 1, sps, pps, data[at:])


def with_sets_of(data: bytes, other: bytes) -> bytes:
    """An `avcC` that holds the sets of a second one, too; `data` itself where it has them already.

    Raises:
        MediaError: One of the two is no `avcC`, sets would be too many, or two that differ have one number.
    """
    first, second = read_avcc(data), read_avcc(other)
    if first is None or second is None:
        raise MediaError("the clip's parameter sets cannot be read")
    both = replace(
        first,
        level=max(first.level, second.level),
        sps=first.sps + tuple(unit for unit in second.sps if unit not in first.sps),
        pps=first.pps + tuple(unit for unit in second.pps if unit not in first.pps),
    )
    if both.units == first.units:
        return data
    if len(both.sps) > _MOST_SPS or len(both.pps) > _MOST_PPS:
        raise MediaError("the film would need too many parameter sets")
    for numbers in (both.sps_numbers, both.pps_numbers):
        if len(set(numbers)) < len(numbers):
            raise MediaError("two parameter sets of the film have one number")
    return (
        bytes([_VERSION, both.profile, both.compatibility, both.level, data[4], data[5] & 0xE0 | len(both.sps)])
        + b"".join(len(unit).to_bytes(2) + unit for unit in both.sps)
        + bytes([len(both.pps)])
        + b"".join(len(unit).to_bytes(2) + unit for unit in both.pps)
        + both.extension
    )


def nal_units(packet: bytes, length_bytes: int = 4) -> Iterator[bytes]:
    """The units of a packet, without the lengths before them; what is cut off is left out."""
    at = 0
    while at + length_bytes < len(packet):
        size = int.from_bytes(packet[at : at + length_bytes])
        at += length_bytes
        if 0 < size <= len(packet) - at:
            yield packet[at : at + size]
        at += size


def _sets(data: bytes, at: int, count: int) -> tuple[tuple[bytes, ...], int]:
    found = []
    for _ in range(count):
        size = int.from_bytes(data[at : at + 2])
        found.append(data[at + 2 : at + 2 + size])
        at += 2 + size
    return tuple(found), at


def _first_number(payload: bytes) -> int:
    """The Exp-Golomb number that a set begins with. It is too short to have escapes in it."""
    bits = "".join(f"{byte:08b}" for byte in payload[:4])
    zeros = len(bits) - len(bits.lstrip("0"))
    return int(bits[zeros : 2 * zeros + 1] or "1", 2) - 1
