"""Frames as arrays, and the few things that are done to them.

A frame is a flat uint8 array of width * height * 3 / 2 samples: yuv420p, BT.709, limited range, luma first.
Width and height are even. This layout costs half of what RGB would, and needs no conversion to encode.
"""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray
from PIL import Image

from tasks.emulator.footage import ACCURATE, samples_of

__all__ = ["Frame", "Zoom", "blend", "fit", "from_image", "paste", "planes"]

Frame = NDArray[np.uint8]


def planes(frame: Frame, width: int, height: int) -> tuple[Frame, Frame, Frame]:
    """Views of the three planes: (height, width) and twice (height / 2, width / 2)."""
    luma, quarter = width * height, width * height // 4
    return (
        frame[:luma].reshape(height, width),
        frame[luma : luma + quarter].reshape(height // 2, width // 2),
        frame[luma + quarter :].reshape(height // 2, width // 2),
    )


def fit(image: Image.Image, width: int, height: int) -> Image.Image:
    """Scale to `width` x `height`; if the aspect differs by more than 1 %, cut evenly what does not fit."""
    box = (0.0, 0.0, float(image.width), float(image.height))
    aspect = Fraction(width, height) / Fraction(image.width, image.height)
    if aspect > Fraction(101, 100):
        kept = image.width * height / width
        box = (0.0, (image.height - kept) / 2, float(image.width), (image.height + kept) / 2)
    elif aspect < Fraction(99, 100):
        kept = image.height * width / height
        box = ((image.width - kept) / 2, 0.0, (image.width + kept) / 2, float(image.height))
    if image.size == (width, height):
        return image
    return image.resize((width, height), Image.Resampling.LANCZOS, box=box)


def from_image(image: Image.Image) -> Frame:
    """An RGB picture of even size as a frame."""
    rgb = np.asarray(image.convert("RGB"))
    converted = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(
        format="yuv420p",
        src_colorspace=Colorspace.ITU709,
        dst_colorspace=Colorspace.ITU709,
        src_color_range=ColorRange.JPEG,
        dst_color_range=ColorRange.MPEG,
        interpolation=ACCURATE,
    )
    return samples_of(converted)


def blend(one: Frame, other: Frame, weight: float) -> Frame:
    """A cross-fade: `one` at weight 0, `other` at weight 1, both exactly."""
    share = round(256 * weight)
    if share <= 0 or share >= 256:
        return one if share <= 0 else other
    mixed = np.multiply(one, np.uint16(256 - share), dtype=np.uint16)
    mixed += np.multiply(other, np.uint16(share), dtype=np.uint16)
    mixed >>= np.uint16(8)
    return mixed.astype(np.uint8)


def paste(frame: Frame, size: tuple[int, int], patch: Frame, patch_size: tuple[int, int], at: tuple[int, int]) -> None:
    """Put a smaller frame into a frame, in place. Sizes are (width, height); `at` is even (left, top)."""
    left, top = at
    for index, (ground, piece) in enumerate(
        zip(planes(frame, *size), planes(patch, *patch_size), strict=True),
    ):
        step = 2 if index else 1
        y, x = top // step, left // step
        ground[y : y + piece.shape[0], x : x + piece.shape[1]] = piece


class Zoom:
    """A still, enlarged about its centre a little more with every step.

    Between whole steps two neighbours are mixed, which hides that a crop can only move by whole pixels.

    Args:
        still: The frame at step 0, which it returns untouched.
        width: Pixels.
        height: Pixels.
    """

    def __init__(self, still: Frame, width: int, height: int) -> None:
        self._size = (width, height)
        self._source = av.VideoFrame.from_ndarray(still.reshape(height * 3 // 2, width), format="yuv420p")
        self._levels: dict[int, Frame] = {0: still}

    def at(self, step: float) -> Frame:
        """The still enlarged by 4 * `step` pixels on its longer side."""
        below = int(step)
        if step == below:
            return self._level(below)
        return blend(self._level(below), self._level(below + 1), step - below)

    def _level(self, step: int) -> Frame:
        if step not in self._levels:
            for old in [level for level in self._levels if abs(level - step) > 1 and level]:
                del self._levels[old]
            self._levels[step] = self._enlarge(step)
        return self._levels[step]

    def _enlarge(self, step: int) -> Frame:
        width, height = self._size
        longer = max(width, height)
        # Multiples of four keep the crop on whole chroma samples.
        wide, high = (side + 4 * round(step * side / longer) for side in self._size)
        large = samples_of(self._source.reformat(width=wide, height=high, interpolation="BILINEAR"))
        cut = []
        for index, plane in enumerate(planes(large, wide, high)):
            half = 2 if index else 1
            y, x = (high - height) // 2 // half, (wide - width) // 2 // half
            cut.append(plane[y : y + height // half, x : x + width // half].reshape(-1))
        return np.concatenate(cut)
