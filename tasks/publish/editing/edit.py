"""What editors open, before any of their formats: which media is seen or heard over which frames of the film. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any, Final, Literal, TypeAlias

from tasks.clips.generate import Taken
from tasks.clips.store import Clip
from tasks.plan.model import Plan, PlannedShot, PlannedSound, shown_uri, usd
from tasks.publish.editing.media import Media, is_slate
from tasks.sequence.captions import Caption
from tasks.sequence.scenes import Scene, captions_of, total_frames
from tasks.sequence.soundtrack import Laid
from tasks.sequence.timeline import SAMPLE_RATE

__all__ = ["Edit", "Lane", "Piece", "Source", "after_cut", "before_cut", "edit_of", "legible", "one_line"]

Role: TypeAlias = Literal["picture", "effects", "dialogue", "music"]

_LOOP_OVERLAP_SAMPLES: Final = SAMPLE_RATE * 10 // 1000
"""By so much a round of music is shorter than its material; see `tasks.sequence.mix.Layer`."""
_SHORTEST_ROUND_S: Final = 1
# What XML has no way to write, and a lone half of a character, which UTF-8 has none to.
_ILLEGIBLE: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A media file beside the timeline.

    `name` is where it lies, relative to the timeline's folder. It has `frames` frames at `rate` frames a second; a
    sound is counted in frames of the film, the last of them begun. `facts` are ours, JSON-ready.
    """

    name: str
    frames: int
    rate: Fraction
    has_picture: bool
    has_sound: bool
    width: int = 0
    height: int = 0
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def file(self) -> str:
        """The name of the file alone: by that, editors find media that moved."""
        return self.name.rpartition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A stretch of a lane: `frames` frames of the film from `begin` on show or play `source` from `start_s` on.

    It shares its first `lead` frames with the piece before in its lane and its last `tail` with the one behind: there
    they cross. Its first `fade_in` frames come out of black or silence, its last `fade_out` go into it.

    Attributes:
        shot: Whose it is, if a shot's.
        takes: All that there is to choose from, by name, in order; `source` is one of them.
        take: Under which name `source` is among them.
        fit: How a picture of another shape than the film's is brought to that: `fit`, `fill` or `blur`.
        note: What it was made from, for people.
    """

    source: Source
    begin: int
    frames: int
    start_s: Fraction = Fraction(0)
    lead: int = 0
    tail: int = 0
    fade_in: int = 0
    fade_out: int = 0
    gain_db: Decimal = Decimal(0)
    shot: str | None = None
    takes: Mapping[str, Source] = field(default_factory=dict)
    take: str = ""
    fit: str = "fit"
    note: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def end(self) -> int:
        """The frame behind its last one."""
        return self.begin + self.frames

    @property
    def first(self) -> int:
        """The first frame from which it stands in its lane, where a cut would be: in the middle of the dissolve."""
        return self.begin + before_cut(self.lead)

    @property
    def last(self) -> int:
        """The frame behind the last one for which it stands in its lane."""
        return self.end - after_cut(self.tail)


@dataclass(frozen=True, slots=True)
class Lane:
    """Pieces that follow one another, with or without a rest between them."""

    name: str
    role: Role
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """A film as an editor lays it out: its pictures, a lane a layer of sound, its captions. All counted in frames.

    `losses` says in words what of the film no timeline holds.
    """

    title: str
    width: int
    height: int
    rate: Fraction
    frames: int
    pictures: Lane
    sounds: tuple[Lane, ...]
    captions: tuple[Caption, ...]
    losses: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sources(self) -> list[Source]:
        """Every media file once, in the film's order; takes that are not shown, too."""
        found: dict[str, Source] = {}
        for lane in (self.pictures, *self.sounds):
            for piece in lane.pieces:
                for source in (*piece.takes.values(), piece.source):
                    found.setdefault(source.name, source)
        return list(found.values())

    def reshaped(self, *fits: str) -> list[Piece]:
        """Pictures of another shape than the film's, of those that are brought to it in one of these ways."""
        return [
            piece
            for piece in self.pictures.pieces
            if piece.fit in fits and piece.source.width * self.height != piece.source.height * self.width
        ]


def before_cut(shared: int) -> int:
    """How many of the frames that two pieces share lie before the cut between them: half, the odd one too.

    That is where Final Cut puts the cut.
    """
    return (shared + 1) // 2


def after_cut(shared: int) -> int:
    """How many lie behind it."""
    return shared // 2


def edit_of(
    plan: Plan,
    scenes: Sequence[Scene],
    takes: Iterable[Taken],
    laid: Mapping[str, Laid],
    media: Media,
) -> Edit:
    """Lay a film out for editors. The film's own arithmetic: as long, and with the same frames of the same clips.

    Args:
        plan: The film.
        scenes: Its shots, in their places.
        takes: The takes that there are.
        laid: Music and narration, by URI: of them, how long they are.
        media: How the files are named.
    """
    made = {(taken.shot, taken.take): taken for taken in takes}
    pictures = tuple(_picture(plan, shot, scene, made, media) for shot, scene in zip(plan.shots, scenes, strict=True))
    frames = total_frames(scenes)
    sounds = tuple(_sounds(plan, scenes, pictures, laid, media, frames))
    return Edit(
        title=one_line(plan.title),
        width=plan.width,
        height=plan.height,
        rate=plan.rate,
        frames=frames,
        pictures=Lane("Pictures", "picture", pictures),
        sounds=sounds,
        captions=tuple(captions_of(plan, scenes)),
        losses=tuple(_losses(plan, sounds, frames)),
        facts={
            "provider": plan.provider,
            "model": plan.model,
            "width": plan.width,
            "height": plan.height,
            "fps": str(plan.rate),
            "frames": frames,
            "loudness_lufs": None if plan.loudness_lufs is None else str(plan.loudness_lufs),
        },
    )


def legible(text: str) -> str:
    """Text without what no XML file can hold: control characters, and halves of characters."""
    return _ILLEGIBLE.sub("", text)


def one_line(text: str) -> str:
    """The same on one line, for names."""
    return " ".join(legible(text).split())


def _picture(plan: Plan, shot: PlannedShot, scene: Scene, made: Mapping[tuple[str, int], Taken], media: Media) -> Piece:
    cut = scene.cut
    takes = {
        f"take-{take.number}": _take(made[shot.id, take.number], media.takes[shot.id, take.number])
        for take in shot.takes
        if (shot.id, take.number) in made
    }
    selected = f"take-{shot.select}"
    is_missing = is_slate(shot, scene, made)
    if is_missing:
        selected = "slate"
        takes[selected] = Source(
            name=media.slates[shot.id],
            frames=cut.stop,
            rate=plan.rate,
            has_picture=True,
            has_sound=False,
            width=plan.width,
            height=plan.height,
            facts={"slate": True},
        )
    source = takes[selected]
    return Piece(
        source=source,
        begin=scene.begin,
        frames=cut.frames,
        start_s=cut.start / source.rate,
        lead=cut.lead,
        tail=cut.tail,
        fade_in=cut.fade_in,
        fade_out=cut.fade_out,
        shot=shot.id,
        takes=takes,
        take=selected,
        fit=str(shot.fit),
        note=legible(shot.prompt),
        facts={
            "shot": shot.id,
            "slate": is_missing,
            "prompt": shot.prompt,
            "caption": shot.caption,
            "mode": str(shot.mode),
            "boundary": str(shot.boundary),
            "seam": shot.seam,
            "fit": str(shot.fit),
            "select": shot.select,
            "begin_frame": scene.begin,
            "frames": cut.frames,
            "first_clip_frame": cut.start,
            "last_clip_frame": cut.stop - 1,
            "overlap_frames": cut.lead,
            "fade_in_frames": cut.fade_in,
            "fade_out_frames": cut.fade_out,
        },
    )


def _take(taken: Taken, name: str) -> Source:
    clip: Clip = taken.clip
    return Source(
        name=name,
        frames=clip.frames,
        rate=clip.rate,
        has_picture=True,
        has_sound=clip.has_sound,
        width=clip.width,
        height=clip.height,
        facts={
            "take": taken.take,
            "content_key": clip.key,
            "sha256": clip.sha256,
            "taskUUID": clip.origin.task_uuid,
            "videoUUID": clip.origin.video_uuid,
            "cost_usd": usd(clip.origin.cost_usd),
            "seed": None if clip.origin.seed is None else str(clip.origin.seed),
            "nsfw": clip.origin.nsfw,
        },
    )


def _sounds(
    plan: Plan,
    scenes: Sequence[Scene],
    pictures: Sequence[Piece],
    laid: Mapping[str, Laid],
    media: Media,
    frames: int,
) -> Iterator[Lane]:
    if own := tuple(_own_sounds(plan, scenes, pictures)):
        yield Lane("Clip sound", "effects", own)
    spoken = [
        _spoken(plan, shot.id, scene.begin, shot.narration, laid, media, frames)
        for shot, scene in zip(plan.shots, scenes, strict=True)
        if shot.narration is not None
    ]
    for number, pieces in enumerate(_apart(spoken), start=1):
        yield Lane("Narration" if number == 1 else f"Narration {number}", "dialogue", pieces)
    if plan.music is not None:
        yield Lane("Music", "music", tuple(_rounds(plan, plan.music, laid, media, frames)))


def _own_sounds(plan: Plan, scenes: Sequence[Scene], pictures: Sequence[Piece]) -> Iterator[Piece]:
    """The clips' own sound. It crosses to a neighbour's where that sounds, too, and else goes with its picture."""
    gains = {shot.id: shot.gain_db for shot in plan.shots}
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


def _losses(plan: Plan, sounds: Sequence[Lane], frames: int) -> Iterator[str]:
    if plan.music is None:
        return
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
