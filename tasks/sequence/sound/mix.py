"""Layers of sound, each with its place, gain and fades, summed to the film's one sound."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from tasks.errors import BadInput
from tasks.media.files import written_whole
from tasks.media.thread import Stop
from tasks.sequence.sound.decode import BYTES_PER_SAMPLE, Samples
from tasks.sequence.timeline import SAMPLE_RATE

__all__ = ["Layer", "mix"]

_BLOCK_SAMPLES: Final = SAMPLE_RATE
_MOST_THREADS: Final = 4
# Long enough for a bass note not to click where a loop begins again, too short to be heard as a change of beat.
_LOOP_FADE_SAMPLES: Final = SAMPLE_RATE * 10 // 1000


@dataclass(frozen=True, slots=True)
class Layer:
    """A sound and its place in the film, all in samples at 48 kHz.

    From film sample `at` on, `samples` of the raw PCM in `pcm` are heard, or fewer where it is shorter: what is
    missing is silence. What stands over the film's edges is cut off. With `loop` the material begins again until the
    slot is full; end and beginning cross over for 10 ms, so that a round is 10 ms shorter than the material.

    The sound comes up over its first `fade_in` samples and goes over its last `fade_out`, before its own end where
    that comes before the slot's. Fades that need more than there is are shortened alike. They are of equal power:
    where one layer goes while another comes over the same samples, unrelated sounds keep their loudness together.

    Raises:
        BadInput: A slot or a fade of less than no samples.
    """

    pcm: Path
    at: int
    samples: int
    gain_db: Decimal = Decimal(0)
    fade_in: int = 240
    fade_out: int = 240
    loop: bool = False

    def __post_init__(self) -> None:
        if min(self.samples, self.fade_in, self.fade_out) < 0:
            raise BadInput(f"a sound cannot be heard for {self.samples} samples, nor fade for less than none")


def mix(layers: Sequence[Layer], samples: int, output: Path, stop: Stop | None = None) -> None:
    """Sum layers to raw PCM, whole or not at all. Blocks; holds some seconds of sound at a time.

    Nothing is limited: floats have room for what is louder than full scale, and mastering brings it down.

    Args:
        layers: In any order; each holds its exact place.
        samples: How long the film's sound is.
        output: Where it goes.
        stop: Ends the work early, with a `CancelledError`.

    Raises:
        StorageUnreachable: There is no room for it.
    """
    stop = stop or Stop()
    voices = [voice for layer in layers if (voice := _Voice.of(layer)) is not None]
    with written_whole(output) as temporary:
        with temporary.open("wb") as pcm:
            pcm.truncate(samples * BYTES_PER_SAMPLE)

        def write_block(begin: int) -> None:
            stop.check()
            total = _sum(voices, begin, min(begin + _BLOCK_SAMPLES, samples))
            with temporary.open("r+b") as pcm:
                pcm.seek(begin * BYTES_PER_SAMPLE)
                pcm.write(total.astype("<f4", copy=False).tobytes())

        with ThreadPoolExecutor(min(_MOST_THREADS, os.cpu_count() or 1)) as pool:
            for _ in pool.map(write_block, range(0, samples, _BLOCK_SAMPLES)):
                pass


def _sum(voices: Sequence[_Voice], begin: int, end: int) -> Samples:
    """The film's samples `begin` … `end - 1`."""
    total = np.zeros((end - begin, 2), dtype=np.float32)
    for voice in voices:
        at = voice.layer.at
        first, last = max(begin, at), min(end, at + voice.length)
        if first < last:
            total[first - begin : last - begin] += voice.heard(first - at, last - at)
    return total


@dataclass(frozen=True, slots=True)
class _Voice:
    """A layer of which it is known how much material there is: `length` samples of it are heard."""

    layer: Layer
    material: int
    length: int
    fade_in: int
    fade_out: int

    @classmethod
    def of(cls, layer: Layer) -> _Voice | None:
        """A layer as it is heard; None where nothing of it is."""
        material = layer.pcm.stat().st_size // BYTES_PER_SAMPLE
        length = layer.samples if layer.loop and material else min(layer.samples, material)
        if not length:
            return None
        wanted = layer.fade_in + layer.fade_out
        fade_in = layer.fade_in if wanted <= length else layer.fade_in * length // wanted
        return cls(layer, material, length, fade_in, min(layer.fade_out, length - fade_in))

    def heard(self, first: int, last: int) -> Samples:
        """Samples `first` … `last - 1` of the slot."""
        heard = self._material(first, last)
        heard *= np.float32(10 ** (float(self.layer.gain_db) / 20))
        if first < self.fade_in:
            place = np.arange(first, min(last, self.fade_in))
            heard[: len(place)] *= _rising(place, self.fade_in)
        if last > self.length - self.fade_out:
            place = np.arange(max(first, self.length - self.fade_out), last)
            heard[last - first - len(place) :] *= _rising(self.length - 1 - place, self.fade_out)
        return heard

    def _material(self, first: int, last: int) -> Samples:
        """The same before gain and fades."""
        if not self.layer.loop:
            return _read(self.layer.pcm, first, last)
        overlap = min(_LOOP_FADE_SAMPLES, self.material // 2)
        period = self.material - overlap
        # Mapped anew for each block, so that no more than this is held. Left and right are one number of eight bytes.
        pairs = np.memmap(self.layer.pcm, dtype="<f8", mode="r")
        within = np.arange(first, last) % period
        heard = _stereo(pairs[within])
        crossing = np.flatnonzero((within < overlap) & (np.arange(first, last) >= period))
        if len(crossing):
            within = within[crossing]
            heard[crossing] *= _rising(within, overlap)
            heard[crossing] += _stereo(pairs[period + within]) * _rising(overlap - 1 - within, overlap)
        return heard


def _rising(place: npt.NDArray[np.int64], length: int) -> Samples:
    """Weights `(places, 1)` from 0 to 1 over `length` samples; their squares and the mirrored fade's add up to 1."""
    return np.sin((place[:, None] + 0.5) / length * (np.pi / 2)).astype(np.float32)


def _stereo(pairs: npt.NDArray[np.float64]) -> Samples:
    return pairs.view("<f4").reshape(-1, 2).astype(np.float32, copy=False)


def _read(pcm: Path, first: int, last: int) -> Samples:
    with pcm.open("rb") as file:
        file.seek(first * BYTES_PER_SAMPLE)
        found = np.frombuffer(file.read((last - first) * BYTES_PER_SAMPLE), dtype="<f4")
    return found.reshape(-1, 2).astype(np.float32)
