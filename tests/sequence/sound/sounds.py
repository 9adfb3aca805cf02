"""Sounds that the tests of mixing and mastering are made of, and ffmpeg's own opinion of them."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tasks.media.ffmpeg import binary
from tasks.sequence.parts import prove
from tasks.sequence.sound.decode import Reader

SECOND = 48_000

Sound = npt.NDArray[np.float32]


def pcm(path: Path, sound: npt.ArrayLike) -> Path:
    """Write raw PCM as decoding does."""
    np.asarray(sound, dtype="<f4").tofile(path)
    prove(path)
    return path


def reader(sound: Sound) -> Reader:
    """What gives a sound that is in memory."""

    def read(first: int, last: int) -> Iterator[Sound]:
        for at in range(first, last, SECOND):
            yield sound[at : min(last, at + SECOND)]

    return read


@dataclass(frozen=True)
class Held:
    """A sound that is in memory."""

    sound: Sound

    @property
    def samples(self) -> int:
        return len(self.sound)

    def read(self, first: int, last: int) -> Iterator[Sound]:
        yield from reader(self.sound)(first, last)

    def made_of(self, first: int, last: int) -> bytes:
        return hashlib.sha256(self.sound[first:last].tobytes()).digest()


def seconds(samples: int) -> npt.NDArray[np.float64]:
    """The time of each sample."""
    return np.arange(samples) / SECOND


def stereo(wave: npt.NDArray[np.float64]) -> Sound:
    return np.asarray(np.stack([wave, wave], axis=1), dtype="<f4")


def tone(samples: int, hz: float, amplitude: float = 0.5, phase: float = 0) -> Sound:
    return stereo(amplitude * np.sin(2 * np.pi * hz * seconds(samples) + phase))


def white(samples: int, level: float = 0.2, seed: int = 0) -> Sound:
    return (level * np.random.default_rng(seed).standard_normal((samples, 2))).astype("<f4")


def pink(samples: int, level: float = 0.1) -> Sound:
    """Noise with as much power in each octave, as rain and crowds have."""
    spectrum = np.fft.rfft(np.random.default_rng(1).standard_normal((samples, 2)), axis=0)
    spectrum /= np.sqrt(np.maximum(1, np.arange(len(spectrum))))[:, None]
    wave = np.fft.irfft(spectrum, samples, axis=0)
    return np.asarray(level * wave / wave.std(), dtype="<f4")


def bursts(samples: int, level: float = 0.1) -> Sound:
    """Syllables: a buzz with the spectrum of a voice that comes and goes, now and then with a pause."""
    at = seconds(samples)
    buzz = sum((np.sin(2 * np.pi * 140 * k * at + k * k) / k for k in range(1, 30)), np.zeros(samples))
    pauses = np.repeat(np.random.default_rng(2).random(samples // 9600 + 1) > 0.4, 9600)[:samples]
    return stereo(level * buzz * np.abs(np.sin(2 * np.pi * 2.5 * at)) * pauses)


def square_with_peaks(samples: int) -> Sound:
    """Loud throughout, with single samples that are louder still."""
    wave = 0.5 * np.sign(np.sin(2 * np.pi * 220 * seconds(samples)))
    wave[:: SECOND // 2] = 1
    return stereo(wave)


def music(samples: int) -> Sound:
    """Chords that fade, with drums in them, up to full scale."""
    dice = np.random.default_rng(3)
    sound = np.zeros((samples, 2))
    for begin in range(0, samples - SECOND, SECOND // 3):
        at = seconds(SECOND)
        note = sum(
            (np.sin(2 * np.pi * hz * k * at) / k for hz in dice.choice(NOTES_HZ, 3) for k in range(1, 8)), 0 * at
        )
        sound[begin : begin + SECOND] += (note * np.exp(-3 * at))[:, None] * dice.uniform(0.2, 1, 2)
    for begin in range(0, samples - 4800, SECOND // 4):
        sound[begin : begin + 4800] += 4 * dice.standard_normal((4800, 2)) * np.exp(-120 * seconds(4800))[:, None]
    return np.asarray(sound / np.abs(sound).max(), dtype="<f4")


NOTES_HZ = (110.0, 146.8, 196.0, 220.0, 293.7, 329.6, 392.0, 440.0, 587.3, 659.3)


def clicks(samples: int, at: tuple[int, ...]) -> Sound:
    """Silence with clicks of twelve samples, the middle of which is the sample named."""
    sound = np.zeros((samples, 2), dtype="<f4")
    for place in at:
        sound[place - 6 : place + 6] = 0.7
    return sound


def heard_at(sound: Sound, near: int) -> float:
    """Where the click near a sample is: the middle of what is loud there."""
    window = np.abs(sound[max(0, near - 2000) : near + 2000]).max(axis=1)
    loud = np.flatnonzero(window > window.max() / 2)
    return float(max(0, near - 2000) + loud.mean() + 0.5)


def opinion(path: Path, *before: str) -> tuple[float, float]:
    """What ffmpeg's own meter says of a file: integrated LUFS, -70 for none, and dBTP."""
    command = [binary(), "-nostdin", "-nostats", *before, "-i", str(path), "-af", "ebur128=peak=true:framelog=quiet"]
    said = subprocess.run([*command, "-f", "null", "-"], check=True, capture_output=True).stderr.decode()
    return float(said.split("I:")[-1].split()[0]), float(said.split("Peak:")[-1].split()[0])


def opinion_of_pcm(path: Path) -> tuple[float, float]:
    return opinion(path, "-f", "f32le", "-ar", str(SECOND), "-ac", "2")


def decoded(path: Path) -> Sound:
    """A file's sound as ffmpeg's binary decodes it: another program, of another version, than what is tested."""
    command = [binary(), "-nostdin", "-v", "error", "-i", str(path), "-map", "0:a", "-f", "f32le", "-"]
    return np.frombuffer(subprocess.run(command, check=True, capture_output=True).stdout, "<f4").reshape(-1, 2)


def true_peak_dbtp(sound: Sound, times: int = 16) -> float:
    """By a Fourier transform of all of it at once, which is exact for a sound that is silent at its ends."""
    spectrum = np.fft.rfft(sound.astype(float), axis=0)
    longer = np.concatenate([spectrum, np.zeros((len(sound) * times // 2 + 1 - len(spectrum), 2))])
    wave = np.fft.irfft(longer, len(sound) * times, axis=0) * times
    return float(20 * np.log10(np.abs(wave).max()))


def under_20_khz(sound: Sound) -> Sound:
    """What AAC of this rate holds of a sound, which is also what the peaks are right for."""
    spectrum = np.fft.rfft(sound, axis=0)
    spectrum[int(len(spectrum) * 20 / 24) :] = 0
    return np.fft.irfft(spectrum, len(sound), axis=0).astype("<f4")


def faded(sound: Sound) -> Sound:
    edge = np.minimum(1, np.arange(len(sound)) / 2000)[:, None]
    return (sound * edge * edge[::-1]).astype("<f4")
