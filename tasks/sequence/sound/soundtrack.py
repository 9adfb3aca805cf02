"""The film's sound: which sounds are heard when, mixed, brought to its loudness and coded once."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

from tasks.errors import MediaError
from tasks.media.thread import Stop, in_thread
from tasks.plan.model import Plan, PlannedSound
from tasks.rounding import round_half_up
from tasks.sequence.parts import prove
from tasks.sequence.sound.coder import Bench
from tasks.sequence.sound.decode import write_file_sound
from tasks.sequence.sound.finished import keep_loudness, kept_loudness, track_key
from tasks.sequence.sound.master import Loudness, master, master_ahead
from tasks.sequence.sound.mix import Layer, Mix
from tasks.sequence.timeline import SAMPLE_RATE, Cut, FilmLayout, sample_at, starts
from tasks.together import together

__all__ = ["Laid", "Mixdown", "Shown", "Soundtrack", "lay_files"]

_EDGE_SAMPLES: Final = SAMPLE_RATE * 5 // 1000
"""Every sound that begins or ends does so over 5 ms, so that no seam clicks."""
# Clips may come out longer than planned.
_LONGER_PERCENT: Final = 10
_LONGER_SAMPLES: Final = SAMPLE_RATE * 10
# What so few shots rarely change of the loudness of the whole film. More may change anything.
_FEW: Final = 0.05
_MAY_CHANGE_DB: Final = 0.2
_BLOCK_BYTES: Final = 1 << 20
_RUN_AGAIN: Final = "run again: clips that are made cost nothing more"


@dataclass(frozen=True, slots=True)
class Laid:
    """A sound file as raw samples, and how many there are: all, or as many as the film can need."""

    pcm: Path
    samples: int


@dataclass(frozen=True, slots=True)
class Soundtrack:
    """The film's sound as it goes into the film, and what was measured of it."""

    path: Path
    loudness: Loudness


@dataclass(frozen=True, slots=True)
class Shown:
    """What the film shows for a shot, and what is heard of it: raw samples, or None where it is silent or not there."""

    cut: Cut
    sound: Path | None


@dataclass(slots=True)
class _Wanted:
    """A sound file, the shot that first needs it, None for music, and how many of its samples the film can need."""

    sound: PlannedSound
    shot: str | None
    most: int


async def lay_files(plan: Plan, local: Mapping[str, Path], folder: Path) -> dict[str, Laid]:
    """Decode music and narration, each file once and side by side, no further than the film can need.

    Args:
        plan: Says which files, and how long the film is expected to be.
        local: Where the bytes of each URI can be read.
        folder: Takes the raw samples. Made if missing.

    Returns:
        What was laid, by URI.

    Raises:
        MediaError: A file is gone, is another one than was planned, has no sound, or cannot be decoded.
        StorageUnreachable: There is no room for the samples.
    """
    wanted: dict[str, _Wanted] = {}
    for one in _wanted(plan):
        known = wanted.setdefault(one.sound.media.uri, one)
        known.most = max(known.most, one.most)
    laid = await together(
        in_thread(_lay, one, local[uri], folder / f"{number}.f32") for number, (uri, one) in enumerate(wanted.items())
    )
    return dict(zip(wanted, laid, strict=True))


def _wanted(plan: Plan) -> Iterator[_Wanted]:
    if plan.music is not None:
        yield _Wanted(plan.music, None, _most(plan, 0))
    begins = plan.begins
    for shot in plan.shots:
        if shot.narration is not None:
            yield _Wanted(shot.narration, shot.id, _most(plan, begins[shot.id]))


def _most(plan: Plan, begin: int) -> int:
    """How many samples there can be from a frame of the film to its end."""
    return sample_at(plan.frames - begin, plan.rate) * (100 + _LONGER_PERCENT) // 100 + _LONGER_SAMPLES


def _lay(stop: Stop, wanted: _Wanted, source: Path, pcm: Path) -> Laid:
    """Decode a file, of which it is looked at before and behind whether it is the planned one."""
    try:
        before = _planned(stop, wanted.sound, source)
        laid = Laid(pcm, write_file_sound(source, pcm, wanted.most, stop))
        prove(pcm)
        with _reading(source):
            is_touched = _state(source) != before
        if is_touched:
            _planned(stop, wanted.sound, source)
    except MediaError as error:
        error.shot = wanted.shot
        error.advice = error.advice or f"see whether it is there, and plays, and {_RUN_AGAIN}"
        raise
    return laid


def _planned(stop: Stop, sound: PlannedSound, source: Path) -> tuple[int, int, int]:
    """Give the state of a file that has the bytes that were planned."""
    digest = hashlib.sha256()
    with _reading(source):
        state = _state(source)
        with source.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                stop.check()
                digest.update(block)
    if sound.sha256 not in {None, digest.hexdigest()}:
        raise MediaError("this sound is another one than was planned", file=str(source), advice=_RUN_AGAIN)
    return state


def _state(source: Path) -> tuple[int, int, int]:
    found = source.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


@contextmanager
def _reading(source: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as cause:
        raise MediaError(
            "this sound is not there any more",
            file=str(source),
            advice=f"put it back, or name another, and {_RUN_AGAIN}",
        ) from cause
    except OSError as cause:
        raise MediaError(f"this sound cannot be read: {cause.strerror}", file=str(source)) from cause


def _layers_of(plan: Plan, shown: Sequence[Shown], laid: Mapping[str, Laid], layout: FilmLayout) -> list[Layer]:
    """All sounds of the film in their places, counted in samples from its start, so that rounding does not add up."""
    end = _samples(shown, layout)
    shots = {scene.id: scene for scene in plan.scenes}
    layers: list[Layer] = []
    for begin, one in zip(_begins(shown), shown, strict=True):
        shot, at = shots[one.cut.shot], sample_at(begin, layout.rate)
        if one.sound is not None:
            samples = sample_at(begin + one.cut.frames, layout.rate) - at
            fade_in, fade_out = _edges(one.cut, begin, layout)
            layers.append(Layer(one.sound, at, samples, gain_db=shot.gain_db, fade_in=fade_in, fade_out=fade_out))
        if shot.narration is not None:
            found = laid[shot.narration.media.uri]
            layers.append(Layer(found.pcm, at, min(found.samples, end - at), gain_db=shot.narration.gain_db))
    if plan.music is not None:
        layers.append(_music(plan.music, laid[plan.music.media.uri], end))
    return layers


def _begins(shown: Sequence[Shown]) -> list[int]:
    """The frame of the film at which each begins: the first of those that it shares with the one before."""
    own = starts(one.cut.frames - one.cut.lead for one in shown)[:-1]
    return [begin - one.cut.lead for begin, one in zip(own, shown, strict=True)]


def _samples(shown: Sequence[Shown], layout: FilmLayout) -> int:
    return sample_at(starts(one.cut.frames - one.cut.lead for one in shown)[-1], layout.rate)


def _music(music: PlannedSound, laid: Laid, end: int) -> Layer:
    fade_out = max(_EDGE_SAMPLES, round_half_up(Fraction(music.fade_out_s) * SAMPLE_RATE))
    return Layer(laid.pcm, 0, end, gain_db=music.gain_db, fade_out=fade_out, loop=True, duck_db=music.duck_db)


def _edges(cut: Cut, begin: int, layout: FilmLayout) -> tuple[int, int]:
    """Samples over which a shot's own sound comes and goes: with its picture where that does, else over 5 ms."""
    coming, going, end = max(cut.lead, cut.fade_in), max(cut.tail, cut.fade_out), begin + cut.frames
    return (
        max(_EDGE_SAMPLES, sample_at(begin + coming, layout.rate) - sample_at(begin, layout.rate)),
        max(_EDGE_SAMPLES, sample_at(end, layout.rate) - sample_at(end - going, layout.rate)),
    )


class Mixdown:
    """The sound of one film, made as far as it can be while clips of it are still being generated.

    Args:
        plan: Says what is heard, and how loud.
        laid: Music and narration.
        folder: Takes what is worked out. Made if missing.
        kept: Where finished sounds are kept, by what they are made of. Made if missing.
    """

    def __init__(self, plan: Plan, laid: Mapping[str, Laid], folder: Path, kept: Path) -> None:
        self._plan = plan
        self._laid = laid
        self._layout = FilmLayout(plan.width, plan.height, plan.rate)
        self._kept = kept
        self._bench = Bench(folder)

    async def ahead(self, shown: Sequence[Shown], missing: int) -> None:
        """Work out what will be right of the finished film.

        Args:
            shown: The whole film; what is not there yet is silent, and as long as it is planned to be.
            missing: How many of its shots are not there yet.

        Raises:
            StorageUnreachable: There is no room for it.
        """
        if layers := _layers_of(self._plan, shown, self._laid, self._layout):
            mix = Mix(layers, _samples(shown, self._layout))
            _, loudness = await asyncio.to_thread(self._found, mix)
            if loudness is None:
                may_change_db = _MAY_CHANGE_DB if missing <= _FEW * len(shown) else 0.0
                await master_ahead(mix, self._plan.loudness_lufs, self._bench, may_change_db)

    async def finish(self, shown: Sequence[Shown]) -> Soundtrack | None:
        """Make the film's sound, or find it made; None for a film in which nothing is heard.

        Raises:
            StorageUnreachable: There is no room for it.
        """
        layers = _layers_of(self._plan, shown, self._laid, self._layout)
        if not layers:
            return None
        mix = Mix(layers, _samples(shown, self._layout))
        track, loudness = await asyncio.to_thread(self._found, mix)
        if loudness is None:
            loudness = await master(mix, self._plan.loudness_lufs, self._bench, track)
            await asyncio.to_thread(keep_loudness, track, loudness)
        return Soundtrack(track, loudness)

    def _found(self, mix: Mix) -> tuple[Path, Loudness | None]:
        """Where the sound of a mix is kept, and what was measured of it if it is there."""
        track = self._kept / f"{track_key(mix, self._plan.loudness_lufs)}.m4a"
        return track, kept_loudness(track)
