"""Films as a run has made them, without the pictures: plans of real storyboards, clips of the lengths that they name."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from tasks.clips.store import Clip, Origin
from tasks.clips.taken import Taken
from tasks.plan.build import build_plan
from tasks.plan.lengths import exact_rate
from tasks.plan.model import Plan, PlannedCard, PlannedShot
from tasks.publish.editing.build import edit_of
from tasks.publish.editing.edit import Edit
from tasks.publish.editing.media import Media, media_files
from tasks.sequence.conform import Conformed
from tasks.sequence.cuts import card_cut, cut_of, slate_cut
from tasks.sequence.scenes import Scene, scenes_of
from tasks.sequence.sound.soundtrack import Laid
from tasks.sequence.timeline import Cut
from tasks.storyboard.model import Boundary, Card, MediaFile, Music, Shot, Storyboard, Transition, TransitionKind

STANDARD = "klingai:kling@o1-standard"
CLIP_RATES = [Fraction(24), Fraction(25), Fraction(30000, 1001)]
FILM_RATES = ["23.976", "24", "25", "29.97", "30", "48", "50", "59.94", "60"]
"""Those that every format knows."""
ODD_RATES = ["12", "12.5", "15", "100", "119.88"]
MUSIC = "file:///music.flac"


def dissolve(seconds: str) -> Transition:
    return Transition(TransitionKind.DISSOLVE, Decimal(seconds))


def fade(seconds: str) -> Transition:
    return Transition(TransitionKind.FADE, Decimal(seconds))


@dataclass
class Film:
    """A film that was made: its plan, the clips that there are, and where they lie."""

    plan: Plan
    scenes: list[Scene]
    takes: list[Taken]
    laid: dict[str, Laid] = field(default_factory=dict)
    local: dict[str, Path] = field(default_factory=dict)

    def media(self, folder: str = "clips") -> Media:
        return media_files(self.plan, self.scenes, self.takes, self.local, folder)

    def edit(self, folder: str = "clips") -> Edit:
        return edit_of(self.plan, self.scenes, self.takes, self.laid, self.media(folder))


def board(
    *shots: Shot,
    fps: str | None = None,
    title: str = "Film",
    music: Music | None = None,
    title_card: Card | None = None,
    end_card: Card | None = None,
) -> Storyboard:
    rate = None if fps is None else Decimal(fps)
    return Storyboard(
        title=title,
        model=STANDARD,
        width=1280,
        height=720,
        shots=shots,
        fps=rate,
        music=music,
        title_card=title_card,
        end_card=end_card,
        loudness_lufs=None,
    )


def made(
    storyboard: Storyboard,
    folder: Path = Path("store"),
    *,
    clips: Mapping[str, Mapping[str, object]] | None = None,
    missing: Sequence[str] = (),
    sounding: Sequence[str] = (),
    sounds: Mapping[str, int] | None = None,
) -> Film:
    """A film of which there is everything but the selected takes of `missing` shots.

    `clips` changes what there is of a shot's clips; `sounding` have sound; `sounds` are lengths by URI, in samples.
    """
    plan = build_plan(storyboard, {}, "emulator")
    takes: list[Taken] = []
    parts: list[tuple[Cut, Path | None]] = []
    for shot in plan.scenes:
        if isinstance(shot, PlannedCard):
            parts.append((card_cut(plan, shot, folder / f"drawn-{shot.frames}.mp4"), None))
            continue
        for take in shot.takes:
            if shot.id in missing and take.number == shot.select:
                continue
            changes = (clips or {}).get(shot.id, {})
            clip = _clip(plan, shot, take.number, folder, has_sound=shot.id in sounding, **changes)
            takes.append(Taken(shot.id, take.number, clip, reused=False, paid_usd=clip.origin.cost_usd))
        if shot.id in missing:
            slate = folder / f"slate-of-{shot.id}.mp4"
            parts.append((slate_cut(plan, shot, slate), None))
        else:
            selected = next(taken for taken in takes if (taken.shot, taken.take) == (shot.id, shot.select))
            sound = folder / "sound.f32" if shot.id in sounding else None
            parts.append((cut_of(plan, shot, selected.clip), sound))
    scenes = scenes_of(
        (cut, Conformed(cut.shot, folder / "part.mp4", sound, cut.frames, cut.lead, cut.tail)) for cut, sound in parts
    )
    laid = {uri: Laid(folder / "laid.f32", samples) for uri, samples in (sounds or {}).items()}
    local = {uri: folder / f"{hashlib.sha256(uri.encode()).hexdigest()}" for uri in laid}
    return Film(plan, scenes, takes, laid, local)


def write_media(film: Film) -> None:
    """Put something where each file of a film is said to be."""
    for copy in film.media().copies:
        copy.source.parent.mkdir(parents=True, exist_ok=True)
        copy.source.write_bytes(copy.name.encode())


def _clip(plan: Plan, shot: PlannedShot, take: int, folder: Path, *, has_sound: bool, **changes: object) -> Clip:
    digest = hashlib.sha256(f"{shot.id}/{take}".encode()).hexdigest()
    origin = Origin("emulator", plan.model, f"task-{digest[:8]}", f"video-{digest[:8]}", Decimal("0.42"), 2**63, False)
    clip = Clip(
        key=shot.takes[take - 1].content_key,
        path=folder / f"{digest}.mp4",
        sha256=digest,
        size_bytes=1000,
        frames=shot.clip_frames,
        width=plan.width,
        height=plan.height,
        rate=plan.clip_rate,
        has_sound=has_sound,
        origin=origin,
    )
    return replace(clip, **changes)  # type: ignore[arg-type]  # each test names fields that there are


TRANSITIONS = st.one_of(
    st.none(),
    st.sampled_from(["0.02", "0.1", "0.5", "0.55", "1", "1.2"]).map(dissolve),
    st.sampled_from(["0.02", "0.05", "0.5", "1"]).map(fade),
    st.sampled_from(["0.1", "0.5"]).map(lambda seconds: Transition(TransitionKind.WIPE_LEFT, Decimal(seconds))),
)


@st.composite
def films(
    draw: st.DrawFn,
    *,
    fps: Sequence[str] = FILM_RATES,
    fades: bool = True,
    mixed: bool = False,
    sounds: bool = False,
) -> Film:
    """Films with cards, seams, trims, dissolves and fades, of which clips came longer or shorter than planned, or not at all.

    `mixed`: clips have rates of their own; `sounds`: clips sound, somebody speaks, there is music.
    """
    film_fps = draw(st.sampled_from(fps))
    shots = []
    title_card = draw(st.none() | st.just(Card("title_card", ("Sea", "by us"), Decimal(3), "#000000")))
    end_card = None
    if draw(st.booleans()):
        into = draw(TRANSITIONS)
        into = None if into is not None and into.kind is TransitionKind.FADE and not fades else into
        end_card = Card("end_card", ("The End",), Decimal("2.5"), "#000000", None, into)
    for number in range(draw(st.integers(1, 5))):
        goes_on = number > 0 and draw(st.booleans())
        transition = None if goes_on else draw(TRANSITIONS)
        if transition is not None and transition.kind.overlaps and number == 0 and title_card is None:
            transition = None
        if transition is not None and transition.kind is TransitionKind.FADE and not fades:
            transition = None
        takes = draw(st.integers(1, 3))
        shots.append(
            Shot(
                id=f"s{number}",
                prompt="A tram climbs",
                boundary=Boundary.CONTINUE if goes_on else Boundary.CUT,
                duration_s=draw(st.sampled_from([None, Decimal("3.3"), Decimal("4.48"), Decimal(5)])),
                transition=transition,
                takes=takes,
                select=draw(st.integers(1, takes)),
                narration=MediaFile(f"file:///voice-{number}.wav") if sounds and draw(st.booleans()) else None,
            )
        )
    clips: dict[str, dict[str, Any]] = {}
    for shot in shots:
        rate = draw(st.sampled_from(CLIP_RATES)) if mixed else exact_rate(Decimal(film_fps))
        clips[shot.id] = {"rate": rate, "frames": round(5 * rate) + draw(st.integers(-2, 3))}
    lengths = {shot.narration.uri: draw(st.integers(1, 48_000 * 9)) for shot in shots if shot.narration}
    music = None
    if sounds and draw(st.booleans()):
        lengths[MUSIC] = draw(st.integers(1, 48_000 * 40))
        music = Music(MediaFile(MUSIC), Decimal(-12), Decimal(2))
    return made(
        replace(
            board(*shots, fps=film_fps, music=music, title_card=title_card, end_card=end_card),
            ending=draw(st.sampled_from([None, fade("0.02"), fade("0.5"), fade("1")])) if fades else None,
        ),
        clips=clips,
        missing=[shot.id for shot in shots if draw(st.integers(0, 5)) == 0],
        sounding=[shot.id for shot in shots if sounds and draw(st.booleans())],
        sounds=lengths,
    )
