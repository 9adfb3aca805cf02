"""What x264 says of itself in a clip that it made, and how to make more that fits in with it.

The sets of parameters before a clip follow from few settings. Named the same again, they come out the same to the
byte, and then frames encoded later need no sets of their own.
"""

from __future__ import annotations

import re
from typing import Final

from tasks.sequence.lossless.avcc import nal_units

__all__ = ["FINE_QP", "own_settings", "settings_of", "settings_said"]

FINE_QP: Final = 10
"""The coarsest quantizer of frames that are encoded again: more than 50 dB to what they were made from."""

_SEI: Final = 6
_BANNER: Final = b"x264 - core "
_OPTIONS: Final = b" options: "
# What is written into the parameter sets, by the name in the banner. What sizes, rate and colours write there
# follows from the clip.
_TELLING: Final[tuple[str, ...]] = (
    "cabac",
    "ref",
    "8x8dct",
    "bframes",
    "b_pyramid",
    "weightb",
    "weightp",
    "constrained_intra",
    "chroma_qp_offset",
)
# With an average bit rate, x264 writes this as the quantizer to begin with.
_QP_OF_BIT_RATE: Final = "26"
_NUMBER: Final = re.compile(r"-?[0-9]{1,3}(\.[0-9]{1,3})?")


def settings_said(packet: bytes) -> dict[str, str] | None:
    """The settings that x264 wrote into the first packet of a clip; `None` where it did not make it, or is silent."""
    for unit in nal_units(packet):
        if unit[0] & 0x1F == _SEI and _BANNER in unit and _OPTIONS in unit:
            text = unit.split(_OPTIONS, 1)[1].split(b"\0", 1)[0].decode("ascii", "replace")
            return dict(word.split("=", 1) for word in text.split() if "=" in word)
    return None


def settings_of(said: dict[str, str], level: int) -> dict[str, str] | None:
    """x264's parameters that give the same parameter sets as `said` did, at a fine quality.

    Args:
        said: As `settings_said` gives it.
        level: `level_idc` of the clip.

    Returns:
        For `x264-params`; `None` where this clip was made in a way that is not made again here.
    """
    settings = {name: said[name] for name in _TELLING if name in said}
    # The quantizer to begin with is written there, so quality comes by a limit instead.
    settings["crf"] = said.get("crf") or said.get("qp") or _QP_OF_BIT_RATE
    # A clip comes from outside: nothing but numbers of it gets into the encoder's options.
    if not all(_NUMBER.fullmatch(value) for value in settings.values()) or said.get("interlaced", "0") != "0":
        return None
    if said.get("cqm", "0") != "0":
        settings["cqm"] = "jvt"
    # The offset of chroma was told after psychovisual tuning had lowered it.
    return {**settings, "no-psy": "1", "level": str(level), **_COMMON}


def own_settings(number: int, level: int) -> dict[str, str]:
    """x264's parameters for frames with sets of their own, which are called `number`."""
    return {"sps-id": str(number), "crf": str(FINE_QP), "bframes": "0", "ref": "1", "level": str(level), **_COMMON}


_COMMON: Final = {
    "qpmax": str(FINE_QP),
    # Units with their lengths before them, as MP4 has them.
    "annexb": "0",
    "rc-lookahead": "4",
}
