"""A film's sound, coded with one set of gains after another; each time only what changed is coded and measured."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import count, pairwise
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from tasks.sequence.sound.aac import Coded, agreed, code, reach, read_aac, write_aac
from tasks.sequence.sound.cells import CELL_SAMPLES
from tasks.sequence.sound.decode import Samples
from tasks.sequence.sound.kept import Kept
from tasks.sequence.sound.limiter import with_gains
from tasks.sequence.sound.loudness import Measured, joined, measure, reach_of_measuring
from tasks.sequence.sound.spans import Cores, Span, spans_of

__all__ = ["Bench", "Coder", "Sound"]

Gains = npt.NDArray[np.float32]


class Sound(Protocol):
    """A sound of `samples` samples that can be read, and of which can be told whether it is another one."""

    @property
    def samples(self) -> int:
        """How long it is."""

    def read(self, first: int, last: int) -> Iterable[Samples]:
        """Give it from one sample to before another, block by block."""

    def made_of(self, first: int, last: int) -> Hashable:
        """Give what is equal only where the sound is equal, too."""


class Bench:
    """What was worked out of a film's sound so far: for the next round, and for when more of the film is there.

    Args:
        folder: Takes the coded spans. Made if missing; to be there as long as this is used.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = count()
        self.measured: Kept[Measured] = Kept()
        self.coded: Kept[Coded] = Kept(lambda coded: coded.path.unlink(missing_ok=True))
        self.left: Kept[int | None] = Kept()
        self.heard: Kept[Measured] = Kept()

    def new_path(self) -> Path:
        """Where one more span can be coded to."""
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder / f"{next(self._numbers)}.aac"

    def tidy(self) -> None:
        """Forget what was of no use since the last time."""
        for kept in (self.measured, self.coded, self.left, self.heard):
            kept.tidy()


class Coder:
    """Measures a sound, and codes it as often as is wanted.

    Args:
        sound: The sound.
        bench: Where what is worked out is kept.
        cores: What works.
    """

    def __init__(self, sound: Sound, bench: Bench, cores: Cores) -> None:
        self._sound = sound
        self._bench = bench
        self._cores = cores
        self._spans = spans_of(sound.samples)
        self._parts: list[Coded] = []
        self._left: list[int] = []

    def measured(self) -> Measured:
        """What is measured of the sound as it is."""
        samples = self._sound.samples
        reaches = [reach_of_measuring(span, samples) for span in self._spans]
        items = [
            ((span, there, self._sound.made_of(*there)), span) for span, there in zip(self._spans, reaches, strict=True)
        ]
        return joined(
            self._bench.measured.all_of(items, lambda span: measure(self._sound.read, span, samples), self._cores)
        )

    def code(self, gains: Gains | None) -> Measured:
        """Code the sound with these gains, or as it is, on all cores, and give what is heard of it. Blocks."""
        while True:
            items = [(self._key(span, gains), span) for span in self._spans]
            self._parts = self._bench.coded.all_of(items, lambda span: self._coded(span, gains), self._cores)
            pairs = [((earlier.path, later.path), (earlier, later)) for earlier, later in pairwise(self._parts)]
            left = self._bench.left.all_of(pairs, lambda pair: agreed(*pair), self._cores)
            if None not in left:
                self._left = [frame for frame in left if frame is not None]
                return joined(self._heard())
            at = left.index(None)
            self._spans[at : at + 2] = [Span(self._spans[at].begin, self._spans[at + 1].end)]

    def write(self, output: Path) -> None:
        """Write what was coded last as an MP4 of nothing else."""
        write_aac(self._parts, self._left, output)

    def _key(self, span: Span, gains: Gains | None) -> Hashable:
        there = reach(span, self._sound.samples)
        louder = None if gains is None else hashlib.blake2b(gains[_edges_of(there)].tobytes()).digest()
        return span, there, self._sound.made_of(*there), louder

    def _coded(self, span: Span, gains: Gains | None) -> Coded:
        def mastered(first: int, last: int) -> Iterator[Samples]:
            for block in self._sound.read(first, last):
                there = Span(first, first + len(block))
                yield block if gains is None else with_gains(block, gains[_edges_of(there)])
                first = there.end

        return code(mastered, span, self._sound.samples, self._bench.new_path())

    def _heard(self) -> Sequence[Measured]:
        """What is heard of each span: its own coding, and behind its beginning the end of the one before."""
        items = []
        for place, span in enumerate(self._spans):
            before = max(0, place - 1)
            parts, left = self._parts[before : place + 1], self._left[before:place]
            items.append(((span, *(part.path for part in parts)), (parts, left, span)))
        return self._bench.heard.all_of(items, self._measure_coded, self._cores)

    def _measure_coded(self, heard: tuple[Sequence[Coded], Sequence[int], Span]) -> Measured:
        parts, left, span = heard
        return measure(read_aac(parts, left), span, self._sound.samples)


def _edges_of(span: Span) -> slice:
    """The edges of the cells in a span that begins with a cell."""
    return slice(span.begin // CELL_SAMPLES, -(-span.end // CELL_SAMPLES) + 1)
