"""Loudness by EBU R128 and true peaks, measured span by span on all cores."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import av
import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame
from av.filter import Graph

from tasks.sequence.sound.cells import CELL_SAMPLES, MARGIN_SAMPLES, levels
from tasks.sequence.sound.decode import Reader, Samples
from tasks.sequence.sound.spans import Span
from tasks.sequence.timeline import SAMPLE_RATE

__all__ = ["HOP_SAMPLES", "Measured", "integrated_lufs", "joined", "measure", "reach_of_measuring"]

HOP_SAMPLES: Final = SAMPLE_RATE // 10
"""Momentary loudness, that of the last 400 ms, is taken so often."""

_GATE_LUFS: Final = -70.0
_RELATIVE_GATE_LU: Final = 10.0
_OFFSET_LU: Final = 0.691
# How much sound before a span its first values hang on, with what the weighting filter still remembers.
_WARM_UP_SAMPLES: Final = 8 * HOP_SAMPLES
_BLOCK_SAMPLES: Final = 4 * HOP_SAMPLES


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured of a stretch of sound.

    `momentary_lufs` `(hops,)` is the momentary loudness at the end of each whole tenth of a second; `peaks` `(cells,)`
    is the true peak and `energy` `(cells,)` the weighted energy of each cell, as `levels` gives them.
    """

    momentary_lufs: npt.NDArray[np.float64]
    peaks: npt.NDArray[np.float32]
    energy: npt.NDArray[np.float32]


def measure(read: Reader, span: Span, samples: int) -> Measured:
    """Measure a span of a sound of `samples` samples. Blocks; holds some seconds."""
    meter = _Meter()
    begin, end = reach_of_measuring(span, samples)
    warm_up = span.begin - begin
    momentary: list[float] = []
    peaks: list[npt.NDArray[np.float32]] = []
    energy: list[npt.NDArray[np.float32]] = []
    at = begin
    for padded in _padded(read(begin, end), span.end - begin):
        block = padded[MARGIN_SAMPLES:-MARGIN_SAMPLES]
        momentary += meter.push(block)
        if at >= span.begin:
            short = -len(block) % CELL_SAMPLES
            found = levels(np.pad(padded, ((0, short), (0, 0))) if short else padded)
            peaks.append(found[0])
            energy.append(found[1])
        at += len(block)
    return Measured(
        np.array(momentary[warm_up // HOP_SAMPLES :]),
        np.concatenate(peaks),
        np.concatenate(energy),
    )


def reach_of_measuring(span: Span, samples: int) -> Span:
    """What is read for a span: some of what lies before and behind it, too."""
    return Span(span.begin - min(span.begin, _WARM_UP_SAMPLES), min(span.end + MARGIN_SAMPLES, samples))


def joined(spans: Sequence[Measured]) -> Measured:
    """What was measured of spans that follow one another, as one."""
    return Measured(
        np.concatenate([span.momentary_lufs for span in spans]),
        np.concatenate([span.peaks for span in spans]),
        np.concatenate([span.energy for span in spans]),
    )


def integrated_lufs(momentary_lufs: npt.NDArray[np.float64]) -> float | None:
    """The loudness of a whole sound, gated as EBU R128 says; None where nothing is louder than -70 LUFS.

    A sound of less than 400 ms has none either.
    """
    heard = momentary_lufs[momentary_lufs > _GATE_LUFS]
    if not len(heard):
        return None
    heard = heard[heard > _mean_lufs(heard) - _RELATIVE_GATE_LU]
    return _mean_lufs(heard)


def _mean_lufs(momentary_lufs: npt.NDArray[np.float64]) -> float:
    power = np.mean(10 ** ((momentary_lufs + _OFFSET_LU) / 10))
    return float(10 * np.log10(power) - _OFFSET_LU)


class _Meter:
    """ffmpeg's meter, in this process."""

    def __init__(self) -> None:
        self._graph = Graph()
        source = self._graph.add_abuffer(sample_rate=SAMPLE_RATE, format="flt", layout="stereo")
        scanner = self._graph.add("ebur128", "metadata=1:framelog=quiet")
        self._graph.link_nodes(source, scanner, self._graph.add("abuffersink")).configure()
        self._pushed = 0

    def push(self, block: Samples) -> list[float]:
        """Go on measuring; gives the momentary loudness, in LUFS, at each step that is complete now."""
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(block).reshape(1, -1), format="flt", layout="stereo")
        frame.sample_rate, frame.pts = SAMPLE_RATE, self._pushed
        self._pushed += len(block)
        self._graph.push(frame)
        found = []
        while (measured := self._pull()) is not None:
            if "lavfi.r128.M" in measured.metadata:
                found.append(float(measured.metadata["lavfi.r128.M"]))
        return found

    def _pull(self) -> AudioFrame | None:
        try:
            frame = self._graph.pull()
        except av.BlockingIOError:
            return None
        return frame if isinstance(frame, AudioFrame) else None


def _padded(blocks: Iterable[Samples], wanted: int) -> Iterator[Samples]:
    """Sound in equal blocks, each with `MARGIN_SAMPLES` of what comes before and behind it; `wanted` in all."""
    held, length = [np.zeros((MARGIN_SAMPLES, 2), dtype=np.float32)], MARGIN_SAMPLES
    whole = _BLOCK_SAMPLES + 2 * MARGIN_SAMPLES
    for block in blocks:
        held.append(block)
        length += len(block)
        while length >= whole and wanted > _BLOCK_SAMPLES:
            row = np.concatenate(held)
            yield row[:whole]
            held, length, wanted = [row[_BLOCK_SAMPLES:]], length - _BLOCK_SAMPLES, wanted - _BLOCK_SAMPLES
    last = wanted + 2 * MARGIN_SAMPLES
    yield np.pad(np.concatenate(held), ((0, max(0, last - length)), (0, 0)))[:last]
