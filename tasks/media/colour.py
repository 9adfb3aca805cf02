"""What a frame's colours mean, and how to convert them without moving them.

Three things keep colours where they are through any number of generations. Matrix and range are named, never
guessed by size. Rounding is accurate and chroma is interpolated in full, both together: by default swscale
loses about one code value a generation. And chroma sits on the left, as H.264 means it: swscale writes it
centred unless told, and colours then move by half a pixel a generation.
"""

from __future__ import annotations

from typing import Final

from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Interpolation

__all__ = ["BT709_SCALE", "BT709_TAGS", "SCALE_FLAGS", "is_full_range", "matrix_name", "rgb_of"]

SCALE_FLAGS: Final = "bicubic+accurate_rnd+full_chroma_int+full_chroma_inp"

# Options of ffmpeg's scale filter, whatever comes in, towards what films are made of.
BT709_SCALE: Final[dict[str, str]] = {
    "out_color_matrix": "bt709",
    "out_range": "limited",
    # Both: with the second alone, the colours of a resized picture move by a quarter of a pixel.
    "in_chroma_loc": "left",
    "out_chroma_loc": "left",
    "flags": SCALE_FLAGS,
}

# Options of an encoder; filters do not always pass their own tags on.
BT709_TAGS: Final[dict[str, str]] = {
    "color_primaries": "bt709",
    "color_trc": "bt709",
    "colorspace": "bt709",
    "color_range": "tv",
}

_EXACT: Final = (
    Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP
)
# AVColorSpace -> the name that ffmpeg's scale filter takes.
_MATRICES: Final = {
    1: "bt709",
    4: "fcc",
    5: "bt470",
    6: "smpte170m",
    7: "smpte240m",
    9: "bt2020",
    10: "bt2020",
}
_BT709: Final = 1
_UNTAGGED: Final = 2
_FULL_RANGE: Final = 2


def matrix_name(frame: VideoFrame) -> str:
    """A frame's matrix by the scale filter's name; untagged is bt709, since generators make HD."""
    return _MATRICES.get(_matrix(frame), "auto")


def is_full_range(frame: VideoFrame) -> bool:
    """Whether luma runs from 0 to 255, by tag or by one of the old full-range pixel formats."""
    return int(frame.color_range) == _FULL_RANGE or frame.format.name.startswith("yuvj")


def rgb_of(frame: VideoFrame) -> VideoFrame:
    """A decoded frame as full-range `rgb24`, by its own matrix and range, with exact rounding.

    Untagged frames are taken as bt709 in limited range.
    """
    return frame.reformat(
        format="rgb24",
        src_colorspace=_matrix(frame),
        dst_colorspace=_matrix(frame),
        src_color_range=ColorRange.JPEG if is_full_range(frame) else ColorRange.MPEG,
        dst_color_range=ColorRange.JPEG,
        interpolation=_EXACT,
    )


def _matrix(frame: VideoFrame) -> int:
    return _BT709 if int(frame.colorspace) == _UNTAGGED else int(frame.colorspace)
