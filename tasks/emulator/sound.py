"""The sound of a clip: its source's, cut or followed by silence, or a tone."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from tasks.emulator.footage import read_sound

__all__ = ["SAMPLE_RATE", "write_sound"]

SAMPLE_RATE = 48000
_TONE_HZ = 440
_TONE_LEVEL = 0.2


def write_sound(
    container: av.container.OutputContainer,
    stream: av.AudioStream,
    source: Path | None,
    length_s: Fraction,
    *,
    fill: bool,
) -> None:
    """Encode `length_s` seconds of stereo at 48 kHz.

    Args:
        container: Where to.
        stream: Its sound stream.
        source: A file whose sound it is; None: a tone.
        length_s: Seconds; sound is cut there.
        fill: Whether silence follows a source that ends before.
    """
    left = int(length_s * SAMPLE_RATE)
    frame_size = stream.codec_context.frame_size or 960
    position = 0
    for samples in _pieces(source, frame_size, fill=fill):
        if left <= 0:
            break
        cut = np.ascontiguousarray(samples[:, :left], dtype=np.float32)
        piece = av.AudioFrame.from_ndarray(cut, format="fltp", layout="stereo")
        piece.sample_rate, piece.pts, piece.time_base = SAMPLE_RATE, position, Fraction(1, SAMPLE_RATE)
        container.mux(stream.encode(piece))
        position += piece.samples
        left -= piece.samples
    container.mux(stream.encode())


def _pieces(source: Path | None, frame_size: int, *, fill: bool) -> Iterator[NDArray[np.float32]]:
    """Planar stereo, (2, samples) at a time; without end for a tone, and where silence fills up."""
    if source is None:
        position = 0
        while True:
            wave = np.sin(np.arange(position, position + frame_size) * (2 * np.pi * _TONE_HZ / SAMPLE_RATE))
            yield np.stack([wave * _TONE_LEVEL] * 2).astype(np.float32)
            position += frame_size
    held = np.zeros((2, 0), np.float32)
    for frame in read_sound(source, frame_size):
        held = frame.to_ndarray().astype(np.float32)
        if frame.samples < frame_size and fill:
            break
        yield held
        held = held[:, :0]
    while fill:
        yield np.concatenate([held, np.zeros((2, frame_size - held.shape[1]), np.float32)], axis=1)
        held = held[:, :0]
