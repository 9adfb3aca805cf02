"""Frames in another number or another range, for clips that look unlike the model's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from tasks.emulator.picture import Frame

__all__ = ["hidden_first", "retimed", "to_full_range"]


def retimed(frames: Iterable[Frame], count: int, wanted: int) -> Iterator[Frame]:
    """`wanted` of `count` frames, some left out or shown again; the first and the last stay in their places."""
    given = 0
    for index, frame in enumerate(frames):
        while given < wanted and (given * (count - 1) * 2 + max(1, wanted - 1)) // (2 * max(1, wanted - 1)) <= index:
            yield frame
            given += 1


def to_full_range(frame: Frame, luma_samples: int) -> Frame:
    """A limited-range frame (16 to 235, 16 to 240) with all of its values spread over 0 to 255."""
    wide = frame.astype(np.float32)
    luma, chroma = wide[:luma_samples], wide[luma_samples:]
    luma -= 16
    luma *= 255 / 219
    chroma -= 128
    chroma *= 255 / 224
    chroma += 128
    np.rint(wide, out=wide)
    return wide.clip(0, 255).astype(np.uint8)


def hidden_first(frames: Iterable[Frame], count: int) -> Iterator[Frame]:
    """`count` black frames, which are to be hidden, and then the frames."""
    for index, frame in enumerate(frames):
        if index == 0 and count:
            black = np.full_like(frame, 128)
            black[: frame.size * 2 // 3] = 16
            yield from (black for _ in range(count))
        yield frame
