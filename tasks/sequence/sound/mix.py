"""Layers of sound, each with its place, gain and fades, summed to the film's one sound."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from tasks.errors import BadInput, MediaError
from tasks.sequence.sound.decode import BYTES_PER_SAMPLE, Samples
from tasks.sequence.sound.duck import BEFORE, BEHIND, WINDOW_SAMPLES, heard_in, lowered
from tasks.sequence.timeline import SAMPLE_RATE

__all__ = ["Layer", "Mix"]

_BLOCK_SAMPLES: Final = SAMPLE_RATE
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

    With `duck_db`, it goes down by so many decibels while layers without that are heard.

    Raises:
        BadInput: A slot, a fade, or a ducking of less than none.
    """

    pcm: Path
    at: int
    samples: int
    gain_db: Decimal = Decimal(0)
    fade_in: int = 240
    fade_out: int = 240
    loop: bool = False
    duck_db: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        if min(self.samples, self.fade_in, self.fade_out) < 0 or self.duck_db < 0:
            raise BadInput(f"a sound cannot be heard for {self.samples} samples, nor fade for less than none")


class Mix:
    """Layers summed to one sound, worked out wherever it is read.

    Nothing is limited: floats have room for what is louder than full scale, and mastering brings it down.

    Args:
        layers: In any order; each holds its exact place.
        samples: How long the film's sound is.

    Attributes:
        layers: The same.
        samples: The same.

    Raises:
        MediaError: A layer's material cannot be read.
    """

    def __init__(self, layers: Sequence[Layer], samples: int) -> None:
        self.layers = tuple(layers)
        self.samples = samples
        voices = [voice for layer in layers if (voice := _Voice.of(layer)) is not None]
        self._leading = [voice for voice in voices if not voice.layer.duck_db]
        self._ducked = [voice for voice in voices if voice.layer.duck_db]
        self._heard: dict[int, npt.NDArray[np.bool_]] = {}

    def read(self, first: int, last: int) -> Iterator[Samples]:
        """Give the sound from one sample to before another, in blocks of a second. Blocks; holds some of these."""
        for begin in range(first, last, _BLOCK_SAMPLES):
            yield self._sum(begin, min(begin + _BLOCK_SAMPLES, last))

    def made_of(self, first: int, last: int) -> Hashable:
        """What is heard from one sample to before another: where this is equal in two mixes, so is the sound."""
        leading, ducked = _parts(self._leading, first, last), _parts(self._ducked, first, last)
        if not ducked:
            return leading
        begin, end = _windows(first, last)
        return leading, ducked, _parts(self._leading, begin * WINDOW_SAMPLES, end * WINDOW_SAMPLES)

    def _sum(self, begin: int, end: int) -> Samples:
        total = _summed(self._leading, begin, end)
        ducked = [voice for voice in self._ducked if voice.part(begin, end) is not None]
        if ducked:
            first, last = _windows(begin, end)
            heard = np.concatenate([self._heard_in(second) for second in range(first // 100, -(-last // 100))])
            heard = heard[first % 100 :][: last - first]
            within = begin % WINDOW_SAMPLES
            for voice in ducked:
                factors = lowered(heard, float(voice.layer.duck_db))
                total += _summed([voice], begin, end) * factors[within : within + end - begin]
        return total

    def _heard_in(self, second: int) -> npt.NDArray[np.bool_]:
        """Whether leading layers are heard in each hundredth of a second of the film; not before and behind it."""
        if second not in self._heard:
            begin = second * SAMPLE_RATE
            self._heard[second] = heard_in(_summed(self._leading, begin, begin + SAMPLE_RATE))
        return self._heard[second]


def _windows(begin: int, end: int) -> tuple[int, int]:
    """The windows that decide about ducked sound from one sample to before another."""
    return begin // WINDOW_SAMPLES - BEHIND, -(-end // WINDOW_SAMPLES) + BEFORE


def _parts(voices: Sequence[_Voice], first: int, last: int) -> tuple[Hashable, ...]:
    return tuple(part for voice in voices if (part := voice.part(first, last)) is not None)


def _summed(voices: Sequence[_Voice], begin: int, end: int) -> Samples:
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
        with _reading(layer.pcm):
            material = layer.pcm.stat().st_size // BYTES_PER_SAMPLE
        length = layer.samples if layer.loop and material else min(layer.samples, material)
        if not length:
            return None
        wanted = layer.fade_in + layer.fade_out
        fade_in = layer.fade_in if wanted <= length else layer.fade_in * length // wanted
        return cls(layer, material, length, fade_in, min(layer.fade_out, length - fade_in))

    def part(self, first: int, last: int) -> Hashable | None:
        """What decides about the film's samples `first` … `last - 1`; None where nothing of this is heard there."""
        at = self.layer.at
        first, last = max(first, at), min(last, at + self.length)
        if first >= last:
            return None
        # How long it is, is of no matter until it begins to go.
        going = (self.length, self.fade_out) if last - at > self.length - self.fade_out else None
        coming = self.fade_in if first - at < self.fade_in else None
        layer = self.layer
        return layer.pcm, layer.gain_db, layer.duck_db, layer.loop, at, self.material, first, last, coming, going

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
        with _reading(self.layer.pcm):
            pairs = np.memmap(self.layer.pcm, dtype="<f8", mode="r")
        within = np.arange(first, last) % period
        heard = _stereo(pairs[within])
        crossing = np.flatnonzero((within < overlap) & (np.arange(first, last) >= period))
        if len(crossing):
            within = within[crossing]
            heard[crossing] *= _rising(within, overlap)
            heard[crossing] += _stereo(pairs[period + within]) * _rising(overlap - 1 - within, overlap)
        return heard


@contextmanager
def _reading(pcm: Path) -> Iterator[None]:
    try:
        yield
    except OSError as cause:
        raise MediaError(
            f"sound that was laid ready cannot be read: {cause.strerror}",
            file=str(pcm),
            advice="Run again: clips that are made cost nothing more.",
        ) from cause


def _rising(place: npt.NDArray[np.int64], length: int) -> Samples:
    """Weights `(places, 1)` from 0 to 1 over `length` samples; their squares and the mirrored fade's add up to 1."""
    return np.sin((place[:, None] + 0.5) / length * (np.pi / 2)).astype(np.float32)


def _stereo(pairs: npt.NDArray[np.float64]) -> Samples:
    return pairs.view("<f4").reshape(-1, 2).astype(np.float32, copy=False)


def _read(pcm: Path, first: int, last: int) -> Samples:
    with _reading(pcm), pcm.open("rb") as file:
        file.seek(first * BYTES_PER_SAMPLE)
        found = np.frombuffer(file.read((last - first) * BYTES_PER_SAMPLE), dtype="<f4")
    return found.reshape(-1, 2).astype(np.float32)
