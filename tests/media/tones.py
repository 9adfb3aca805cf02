"""Files of sound that are told by their pitch."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

__all__ = ["tone_file"]


def tone_file(path: Path, seconds: float, hertz: float) -> None:
    """Write a WAV of one channel, a sine."""
    at_s = np.arange(round(seconds * 48_000)) / 48_000
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes((np.sin(at_s * hertz * 2 * np.pi) * 9_000).astype("<i2").tobytes())
