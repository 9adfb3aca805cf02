"""A film's sound, coded with one set of gains after another; each time only what changed is coded and measured."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Event

import numpy as np
import numpy.typing as npt

from tasks.sequence.sound.aac import Coded, code, reach, read_aac, write_aac
from tasks.sequence.sound.cells import CELL_SAMPLES
from tasks.sequence.sound.decode import Reader, Samples
from tasks.sequence.sound.limiter import with_gains
from tasks.sequence.sound.loudness import Measured, joined, measure
from tasks.sequence.sound.spans import Span, side_by_side, spans_of

__all__ = ["Coder"]

Gains = npt.NDArray[np.float32]


class Coder:
    """Codes a sound to `output`, as often as is wanted.

    Args:
        read: The sound.
        samples: How long it is.
        output: The MP4.
        folder: Takes the coded spans, for as long as this is used.
        stop: Ends the work early, with a `CancelledError`.
    """

    def __init__(self, read: Reader, samples: int, output: Path, folder: Path, stop: Event) -> None:
        self._read = read
        self._samples = samples
        self._output = output
        self._folder = folder
        self._stop = stop
        self._spans = spans_of(samples)
        self._gains: Gains | None = None
        self._parts: dict[int, Coded] = {}
        self._measured: dict[int, Measured] = {}

    def code(self, gains: Gains | None) -> Measured:
        """Code the sound with these gains, or as it is, on all cores, and give what is heard of it. Blocks."""
        before, self._gains = self._gains, gains
        places = range(len(self._spans))
        changed = [place for place in places if place not in self._parts or self._differs(before, place)]
        coded = side_by_side(self._coded, changed, self._stop)
        self._parts.update(zip(changed, coded, strict=True))
        if not write_aac([self._parts[place] for place in places], self._output):
            self._spans, self._parts, self._measured = [Span(0, self._samples)], {}, {}
            return self.code(gains)
        # A span's coding is left a little behind its end, and what is momentary reaches back.
        renewed = sorted({place + more for place in changed for more in (0, 1)} & set(places))
        self._measured.update(zip(renewed, side_by_side(self._heard, renewed, self._stop), strict=True))
        return joined([self._measured[place] for place in places])

    def _differs(self, before: Gains | None, place: int) -> bool:
        if before is None or self._gains is None:
            return before is not self._gains
        edges = _edges_of(reach(self._spans[place], self._samples))
        return not np.array_equal(before[edges], self._gains[edges])

    def _coded(self, place: int) -> Coded:
        return code(self._mastered, self._spans[place], self._samples, self._folder / f"{place}.aac")

    def _heard(self, place: int) -> Measured:
        return measure(read_aac(self._output), self._spans[place], self._samples)

    def _mastered(self, first: int, last: int) -> Iterator[Samples]:
        for block in self._read(first, last):
            span = Span(first, first + len(block))
            yield block if self._gains is None else with_gains(block, self._gains[_edges_of(span)])
            first = span.end


def _edges_of(span: Span) -> slice:
    """The edges of the cells in a span that begins with a cell."""
    return slice(span.begin // CELL_SAMPLES, -(-span.end // CELL_SAMPLES) + 1)
