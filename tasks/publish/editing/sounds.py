"""The film's sounds, laid out for editors: what is heard over which of its frames. Pure.

Editors place sound by frames, so a sound begins with a frame, and the last one that it begins is its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from typing import Final

from tasks.plan.model import Plan, PlannedSound, shown_uri
from tasks.publish.editing.edit import Lane, Piece, Source
from tasks.publish.editing.media import Media
from tasks.sequence.scenes import Scene
from tasks.sequence.sound.soundtrack import Laid
from tasks.sequence.timeline import SAMPLE_RATE

__all__ = ["lost_of_music", "sound_lanes"]

_LOOP_OVERLAP_SAMPLES: Final = SAMPLE_RATE * 10 // 1000
"""By so much a round of music is shorter than its material; see `tasks.sequence.sound.mix.Layer`."""
_SHORTEST_ROUND_S: Final = 1


def sound_lanes(
    plan: Plan,
    scenes: Sequence[Scene],
    pictures: Sequence[Piece],
    laid: Mapping[str, Laid],
    media: Media,
    frames: int,
) -> Iterator[Lane]:
    """The layers of a film's sound: the clips' own, narration, music; nothing for those that it has not.

    Args:
        plan: The film.
        scenes: Its shots, in their places.
        pictures: What it shows of each.
        laid: Music and narration, by URI: of them, how long they are.
        media: How the files are named.
        frames: How long the film is.
    """
    if own := tuple(_own_sounds(plan, scenes, pictures)):
        yield Lane("Clip sound", "effects", own)
    spoken = [
        _spoken(plan, shot.id, scene.begin, shot.narration, laid, media, frames)
        for shot, scene in zip(plan.scenes, scenes, strict=True)
        if shot.narration is not None
    ]
    for number, pieces in enumerate(_apart(spoken), start=1):
        yield Lane("Narration" if number == 1 else f"Narration {number}", "dialogue", pieces)
    if plan.music is not None:
        yield Lane("Music", "music", tuple(_rounds(plan, plan.music, laid, media, frames)))


def _own_sounds(plan: Plan, scenes: Sequence[Scene], pictures: Sequence[Piece]) -> Iterator[Piece]:
    """The clips' own sound. It crosses to a neighbour's where that sounds, too, and else goes with its picture."""
    gains = {scene.id: scene.gain_db for scene in plan.scenes}
    silent = [scene.conformed.sound is None for scene in scenes]
    around = pairwise([True, *silent, True])
    for index, ((before, here), picture) in enumerate(zip(around, pictures, strict=False)):
        if here:
            continue
        behind = silent[index + 1] if index + 1 < len(silent) else True
        yield replace(
            picture,
            lead=0 if before else picture.lead,
            fade_in=max(picture.fade_in, picture.lead if before else 0),
            tail=0 if behind else picture.tail,
            fade_out=max(picture.fade_out, picture.tail if behind else 0),
            gain_db=gains[str(picture.shot)],
        )


def _spoken(
    plan: Plan,
    shot: str,
    begin: int,
    sound: PlannedSound,
    laid: Mapping[str, Laid],
    media: Media,
    frames: int,
) -> Piece:
    source = _sound_source(plan, sound, laid, media)
    length = min(source.frames, frames - begin)
    return Piece(source=source, begin=begin, frames=length, gain_db=sound.gain_db, facts={"narration_of": shot})


def _rounds(plan: Plan, music: PlannedSound, laid: Mapping[str, Laid], media: Media, frames: int) -> Iterator[Piece]:
    """Music begins again until the film is over; each round at the frame nearest to where it does in the film."""
    source = _sound_source(plan, music, laid, media)
    samples = laid[music.media.uri].samples
    round_s = Fraction(samples - min(_LOOP_OVERLAP_SAMPLES, samples // 2), SAMPLE_RATE)
    begin, number = 0, 1
    while begin < frames:
        # Thousands of pieces of a sound that is over in a moment would be of no use to anybody.
        behind = source.frames if round_s < _SHORTEST_ROUND_S else _nearest(number * round_s * plan.rate)
        length = min(behind, frames) - begin
        yield Piece(
            source=source,
            begin=begin,
            frames=length,
            fade_out=min(_faded_frames(plan, music), length) if behind >= frames else 0,
            gain_db=music.gain_db,
            facts={"round": number, "fade_out_s": str(music.fade_out_s)},
        )
        if round_s < _SHORTEST_ROUND_S:
            return
        begin, number = behind, number + 1


def lost_of_music(plan: Plan, sounds: Sequence[Lane], frames: int) -> Iterator[str]:
    """In words, what of the film's music no timeline has."""
    if plan.music is None:
        return
    if plan.music.duck_db:
        yield f"in the film, music goes down by {plan.music.duck_db} dB under other sounds; in a timeline it does not"
    wanted, last = _faded_frames(plan, plan.music), sounds[-1].pieces[-1]
    if last.end < frames:
        yield "the music is shorter than a second: the film plays it again and again, a timeline has it once"
    elif last.fade_out < wanted:
        yield (
            f"the music fades out over the last {last.fade_out} frames, not {wanted}: it begins anew within them, "
            "and a fade is of one piece"
        )


def _faded_frames(plan: Plan, music: PlannedSound) -> int:
    return _nearest(Fraction(music.fade_out_s) * plan.rate)


def _nearest(frames: Fraction) -> int:
    return math.floor(frames + Fraction(1, 2))


def _sound_source(plan: Plan, sound: PlannedSound, laid: Mapping[str, Laid], media: Media) -> Source:
    samples = laid[sound.media.uri].samples
    return Source(
        name=media.sounds[sound.media.uri],
        frames=max(1, math.ceil(samples * plan.rate / SAMPLE_RATE)),
        rate=plan.rate,
        has_picture=False,
        has_sound=True,
        facts={"uri": shown_uri(sound.media.uri), "sha256": sound.sha256, "samples": samples},
    )


def _apart(pieces: Iterable[Piece]) -> list[tuple[Piece, ...]]:
    """Pieces in as few lanes as can be without one over another."""
    lanes: list[list[Piece]] = []
    for piece in pieces:
        lane = next((lane for lane in lanes if lane[-1].end <= piece.begin), None)
        if lane is None:
            lanes.append([piece])
        else:
            lane.append(piece)
    return [tuple(lane) for lane in lanes]
