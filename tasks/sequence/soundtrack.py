"""The film's sound: which sounds are heard when, mixed, brought to its loudness and coded once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Final

from tasks.media.thread import finish_in_thread
from tasks.plan.model import Plan, PlannedSound
from tasks.rounding import round_half_up
from tasks.sequence.master import Loudness, master
from tasks.sequence.mix import Layer, mix
from tasks.sequence.scenes import Scene, total_frames
from tasks.sequence.sound import write_file_sound
from tasks.sequence.timeline import SAMPLE_RATE, FilmLayout, sample_at

__all__ = ["Laid", "Soundtrack", "coded", "lay_files", "layers_of", "make_soundtrack"]

_EDGE_SAMPLES: Final = SAMPLE_RATE * 5 // 1000
"""Every sound that begins or ends does so over 5 ms, so that no seam clicks."""


@dataclass(frozen=True, slots=True)
class Laid:
    """A sound file as raw samples, and how many there are."""

    pcm: Path
    samples: int


@dataclass(frozen=True, slots=True)
class Soundtrack:
    """The film's sound as it goes into the film, and what was measured of it."""

    path: Path
    loudness: Loudness


async def lay_files(plan: Plan, local: Mapping[str, Path], folder: Path) -> dict[str, Laid]:
    """Decode music and narration; each file once.

    Args:
        plan: Says which files.
        local: Where the bytes of each URI can be read.
        folder: Takes the raw samples. Made if missing.

    Returns:
        What was laid, by URI.

    Raises:
        MediaError: A file has no sound, or cannot be decoded.
    """
    sounds = [sound for sound in (plan.music, *(shot.narration for shot in plan.shots)) if sound is not None]
    uris = dict.fromkeys(sound.media.uri for sound in sounds)
    laid: dict[str, Laid] = {}
    for number, uri in enumerate(uris):
        pcm = folder / f"{number}.f32"
        laid[uri] = Laid(pcm, await finish_in_thread(write_file_sound, local[uri], pcm))
    return laid


def layers_of(plan: Plan, scenes: Sequence[Scene], laid: Mapping[str, Laid], layout: FilmLayout) -> list[Layer]:
    """All sounds of the film in their places, counted in samples from its start, so that rounding does not add up."""
    end = sample_at(total_frames(scenes), layout.rate)
    shots = {shot.id: shot for shot in plan.shots}
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
    """
    samples = sample_at(total_frames(scenes), layout.rate)
    return await coded(layers_of(plan, scenes, laid, layout), samples, plan.loudness_lufs, folder)


async def coded(
    layers: Sequence[Layer], samples: int, loudness_lufs: Decimal | None, folder: Path
) -> Soundtrack | None:
    """Mix layers to one sound of so many samples, bring it to a loudness, and code it; None without layers.

    Raises:
        MediaError: It could not be mixed or coded.
    """
    if not layers:
        return None
    mixed, track = folder / "mixed.f32", folder / "sound.m4a"
    await finish_in_thread(mix, layers, samples, mixed)
    try:
        return Soundtrack(track, await master(mixed, samples, loudness_lufs, track))
    finally:
        mixed.unlink(missing_ok=True)
