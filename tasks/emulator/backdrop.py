"""A calm, moving ground, and the pictures that stand for what cannot be fetched: both made from a number."""

from __future__ import annotations

import hashlib
import math
from pathlib import PurePosixPath
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from tasks.emulator.picture import Frame, planes

__all__ = ["Backdrop", "number_of", "placeholder_picture"]


def number_of(text: str) -> int:
    """A 64-bit number from text, the same everywhere."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])


class Backdrop:
    """Two soft textures that drift over one another.

    Args:
        number: What it looks like.
        width: Pixels, even.
        height: Pixels, even.
    """

    def __init__(self, number: int, width: int, height: int) -> None:
        self._width, self._height = width, height
        self._reach_x, self._reach_y = width // 8 * 2, height // 8 * 2
        random = np.random.default_rng(number)
        hue = random.uniform(0, 2 * math.pi)
        self._phase = random.uniform(0, 2 * math.pi)
        # Half values, so that two of them can be added without leaving eight bits.
        self._layers = [self._texture(random, hue + turn) for turn in (0.0, random.uniform(0.8, 2.2))]

    def _texture(self, random: np.random.Generator, hue: float) -> tuple[Frame, Frame, Frame]:
        width, height = self._width + 2 * self._reach_x, self._height + 2 * self._reach_y
        luma = self._soft(random, 45, 130, (width, height))
        blue = self._soft(random, 128 + 30 * math.cos(hue), 22, (width // 2, height // 2), around=True)
        red = self._soft(random, 128 + 30 * math.sin(hue), 22, (width // 2, height // 2), around=True)
        return luma, blue, red

    @staticmethod
    def _soft(
        random: np.random.Generator,
        base: float,
        spread: float,
        size: tuple[int, int],
        *,
        around: bool = False,
    ) -> Frame:
        grid = random.uniform(-1.0 if around else 0.0, 1.0, (3, 5))
        values = ((base + spread * grid) / 2).clip(8, 120).astype(np.uint8)
        return np.asarray(Image.fromarray(values).resize(size, Image.Resampling.BICUBIC))

    def at(self, turn: float) -> Frame:
        """The ground after `turn` of its way round (1 is a whole one)."""
        frame = np.empty(self._width * self._height * 3 // 2, np.uint8)
        angle = self._phase + 2 * math.pi * turn
        offsets = [
            (self._offset(math.cos(angle), self._reach_x), self._offset(math.sin(angle), self._reach_y)),
            (self._offset(math.sin(angle / 2), self._reach_x), self._offset(math.cos(angle), self._reach_y)),
        ]
        for index, plane in enumerate(planes(frame, self._width, self._height)):
            half = 2 if index else 1
            views: list[NDArray[np.uint8]] = []
            for layer, (left, top) in zip(self._layers, offsets, strict=True):
                y, x = top // half, left // half
                views.append(layer[index][y : y + plane.shape[0], x : x + plane.shape[1]])
            np.add(views[0], views[1], out=plane)
        return frame

    @staticmethod
    def _offset(swing: float, reach: int) -> int:
        return round(reach * (1 + swing) / 2) * 2


def placeholder_picture(url: str, width: int, height: int) -> Image.Image:
    """The RGB picture that stands for a remote URL: colours from all of its text, and its file name."""
    random = np.random.default_rng(number_of(url))
    grid = random.integers(60, 200, (4, 6, 3), dtype=np.uint8)
    image = Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    name = PurePosixPath(urlsplit(url).path).name or url
    font = ImageFont.load_default(max(12, height // 28))
    while len(name) > 8 and draw.textlength(name, font) > width * 0.9:
        name = name[:-2]
    draw.text(
        (width // 2, height // 2),
        name,
        fill="white",
        font=font,
        anchor="mm",
        stroke_width=2,
        stroke_fill="black",
    )
    return image
