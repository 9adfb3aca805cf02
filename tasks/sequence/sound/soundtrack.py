"""The film's sound: which sounds are heard when, mixed, brought to its loudness and coded once."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Final

from tasks.errors import MediaError
from tasks.media.thread import Stop, in_thread
from tasks.plan.model import Plan, PlannedSound
from tasks.rounding import round_half_up
from tasks.sequence.scenes import Scene, total_frames
from tasks.sequence.sound.decode import write_file_sound
from tasks.sequence.sound.master import Loudness, master
from tasks.sequence.sound.mix import Layer, mix
from tasks.sequence.timeline import SAMPLE_RATE, FilmLayout, sample_at

__all__ = ["Laid", "Soundtrack", "coded", "lay_files", "layers_of", "make_soundtrack"]

_EDGE_SAMPLES: Final = SAMPLE_RATE * 5 // 1000
"""Every sound that begins or ends does so over 5 ms, so that no seam clicks."""
# Clips may come out longer than planned.
_LONGER_PERCENT: Final = 10
_LONGER_SAMPLES: Final = SAMPLE_RATE * 10
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
    laying = [
        asyncio.ensure_future(in_thread(_lay, one, local[uri], folder / f"{number}.f32"))
        for number, (uri, one) in enumerate(wanted.items())
    ]
    try:
        return dict(zip(wanted, await asyncio.gather(*laying), strict=True))
    except BaseException:
        for one_laying in laying:
            one_laying.cancel()
        await asyncio.gather(*laying, return_exceptions=True)
        raise


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


def layers_of(plan: Plan, scenes: Sequence[Scene], laid: Mapping[str, Laid], layout: FilmLayout) -> list[Layer]:
    """All sounds of the film in their places, counted in samples from its start, so that rounding does not add up."""
    end = sample_at(total_frames(scenes), layout.rate)
    shots = {scene.id: scene for scene in plan.scenes}
    layers: list[Layer] = []
    for scene in scenes:
        shot, sound = shots[scene.cut.shot], scene.conformed.sound
        at = sample_at(scene.begin, layout.rate)
        if sound is not None:
            samples = sample_at(scene.end, layout.rate) - at
            fade_in, fade_out = _edges(scene, layout)
            layers.append(Layer(sound, at, samples, gain_db=shot.gain_db, fade_in=fade_in, fade_out=fade_out))
        if shot.narration is not None:
            found = laid[shot.narration.media.uri]
            layers.append(Layer(found.pcm, at, min(found.samples, end - at), gain_db=shot.narration.gain_db))
    if plan.music is not None:
        layers.append(_music(plan.music, laid[plan.music.media.uri], end))
    return layers


def _music(music: PlannedSound, laid: Laid, end: int) -> Layer:
    fade_out = max(_EDGE_SAMPLES, round_half_up(Fraction(music.fade_out_s) * SAMPLE_RATE))
    return Layer(laid.pcm, 0, end, gain_db=music.gain_db, fade_out=fade_out, loop=True)


def _edges(scene: Scene, layout: FilmLayout) -> tuple[int, int]:
    """Samples over which a shot's own sound comes and goes: with its picture where that does, else over 5 ms."""
    cut = scene.cut
    coming, going = max(cut.lead, cut.fade_in), max(cut.tail, cut.fade_out)
    begin, end = sample_at(scene.begin, layout.rate), sample_at(scene.end, layout.rate)
    return (
        max(_EDGE_SAMPLES, sample_at(scene.begin + coming, layout.rate) - begin),
        max(_EDGE_SAMPLES, end - sample_at(scene.end - going, layout.rate)),
    )


async def make_soundtrack(
    plan: Plan, scenes: Sequence[Scene], laid: Mapping[str, Laid], layout: FilmLayout, folder: Path
) -> Soundtrack | None:
    """Mix the film's sound and bring it to the plan's loudness; None for a film in which nothing is heard.

    Raises:
        MediaError: It could not be mixed or coded.
        StorageUnreachable: There is no room for it.
    """
    samples = sample_at(total_frames(scenes), layout.rate)
    return await coded(layers_of(plan, scenes, laid, layout), samples, plan.loudness_lufs, folder)


async def coded(
    layers: Sequence[Layer], samples: int, loudness_lufs: Decimal | None, folder: Path
) -> Soundtrack | None:
    """Mix layers to one sound of so many samples, bring it to a loudness, and code it; None without layers.

    Raises:
        MediaError: It could not be mixed or coded.
        StorageUnreachable: There is no room for it.
    """
    if not layers:
        return None
    mixed, track = folder / "mixed.f32", folder / "sound.m4a"
    await in_thread(_mix, layers, samples, mixed)
    try:
        return Soundtrack(track, await master(mixed, samples, loudness_lufs, track))
    finally:
        mixed.unlink(missing_ok=True)


def _mix(stop: Stop, layers: Sequence[Layer], samples: int, output: Path) -> None:
    mix(layers, samples, output, stop)
