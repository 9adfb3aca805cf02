"""The media that a timeline refers to, and the names under which they lie beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import urlsplit

from tasks.clips.taken import Taken
from tasks.plan.model import Plan, PlannedCard, PlannedShot, PlannedSound
from tasks.sequence.scenes import Scene

__all__ = ["CLIPS_FOLDER", "Media", "MediaCopy", "is_slate", "media_files"]

CLIPS_FOLDER: Final = "clips"

_SOUND_SUFFIXES: Final = frozenset(
    [".wav", ".mp3", ".flac", ".ogg", ".oga", ".opus", ".m4a", ".aac", ".aif", ".aiff", ".mp4", ".mov", ".webm", ".mkv"]
)
# What a file begins with, from which byte on. Names lie, and files that were fetched have none.
_SOUND_HEADS: Final = (
    (0, b"RIFF", ".wav"),
    (0, b"ID3", ".mp3"),
    (0, b"\xff\xfb", ".mp3"),
    (0, b"\xff\xf3", ".mp3"),
    (0, b"\xff\xf1", ".aac"),
    (0, b"fLaC", ".flac"),
    (0, b"OggS", ".ogg"),
    (0, b"FORM", ".aiff"),
    (4, b"ftyp", ".m4a"),
    (0, b"\x1a\x45\xdf\xa3", ".webm"),
)


@dataclass(frozen=True, slots=True)
class MediaCopy:
    """A file to copy beside the timeline: to `name`, relative to its folder, with slashes. `sha256` where known."""

    name: str
    source: Path
    sha256: str | None


@dataclass(frozen=True, slots=True)
class Media:
    """All media of a timeline, in the film's order, and their names.

    Attributes:
        copies: What would be copied. Sounds that cannot be read here are named and not among them.
        takes: The name of each take that there is, by shot and number.
        slates: The name of the slate that stands for a missing shot, by the shot.
        sounds: The name of music and narration, by URI.
        cards: The name of each card, by its id.
    """

    copies: tuple[MediaCopy, ...]
    takes: Mapping[tuple[str, int], str]
    slates: Mapping[str, str]
    sounds: Mapping[str, str]
    cards: Mapping[str, str] = field(default_factory=dict)


def media_files(
    plan: Plan,
    scenes: Sequence[Scene],
    takes: Iterable[Taken],
    local: Mapping[str, Path],
    folder: str = CLIPS_FOLDER,
) -> Media:
    """Name every file that a film's timeline refers to. Blocks: the first bytes of sounds may be read.

    Clips are named by shot and take (`clips/lake-take1.mp4`), slates, cards, narration and music by what they are
    (`clips/lake-slate.mp4`, `clips/title-card.mp4`, `clips/lake-narration.wav`, `clips/music.mp3`). Shot ids have
    letters, digits, `-` and `_` alone, so the names mean the same on every file system; where two ids differ by case
    alone, one gets a number.

    Args:
        plan: The film.
        scenes: Its shots and cards, in their places.
        takes: The takes that there are.
        local: Where the bytes of music and narration can be read, by URI.
        folder: Where they go, relative to the timeline.
    """
    naming = _Naming(folder)
    made = {(taken.shot, taken.take): taken for taken in takes}
    named_takes: dict[tuple[str, int], str] = {}
    slates: dict[str, str] = {}
    sounds: dict[str, str] = {}
    cards: dict[str, str] = {}
    for shot, scene in zip(plan.scenes, scenes, strict=True):
        if isinstance(shot, PlannedCard):
            cards[shot.id] = naming.add(shot.id.replace(" ", "-"), scene.cut.clip.suffix, scene.cut.clip, None)
            continue
        for taken in _takes_of(shot, made):
            clip = taken.clip
            named_takes[shot.id, taken.take] = naming.add(
                f"{shot.id}-take{taken.take}", clip.path.suffix, clip.path, clip.sha256
            )
        if is_slate(shot, scene, made):
            slates[shot.id] = naming.add(f"{shot.id}-slate", scene.cut.clip.suffix, scene.cut.clip, None)
        if shot.narration is not None:
            _name_sound(naming, shot.narration, f"{shot.id}-narration", local, sounds)
    if plan.music is not None:
        _name_sound(naming, plan.music, "music", local, sounds)
    return Media(tuple(naming.copies), named_takes, slates, sounds, cards)


def is_slate(shot: PlannedShot, scene: Scene, made: Mapping[tuple[str, int], Taken]) -> bool:
    """Whether a scene shows a slate, and not the shot's selected take."""
    selected = made.get((shot.id, shot.select))
    return selected is None or scene.cut.clip_id != selected.clip.sha256


class _Naming:
    """Gives names that are unique on file systems that know no case, and notes what is copied."""

    def __init__(self, folder: str) -> None:
        self._folder = PurePosixPath(folder)
        self._used: set[str] = set()
        self.copies: list[MediaCopy] = []

    def add(self, stem: str, suffix: str, source: Path | None, sha256: str | None) -> str:
        name = next(name for name in _numbered(stem, suffix.lower()) if name.casefold() not in self._used)
        self._used.add(name.casefold())
        path = str(self._folder / name)
        if source is not None:
            self.copies.append(MediaCopy(path, source, sha256))
        return path


def _takes_of(shot: PlannedShot, made: Mapping[tuple[str, int], Taken]) -> Iterator[Taken]:
    return (made[shot.id, take.number] for take in shot.takes if (shot.id, take.number) in made)


def _name_sound(
    naming: _Naming, sound: PlannedSound, stem: str, local: Mapping[str, Path], sounds: dict[str, str]
) -> None:
    uri = sound.media.uri
    if uri not in sounds:
        source = local.get(uri)
        sounds[uri] = naming.add(stem, _sound_suffix(uri, source), source, sound.sha256)


def _sound_suffix(uri: str, source: Path | None) -> str:
    """The suffix by which editors know what a sound file is; none where nobody can tell."""
    written = "" if uri[:5].casefold() == "data:" else PurePosixPath(urlsplit(uri).path).suffix.lower()
    if written in _SOUND_SUFFIXES:
        return written
    if source is None:
        return ""
    with source.open("rb") as file:
        head = file.read(12)
    return next((suffix for at, begin, suffix in _SOUND_HEADS if head[at:].startswith(begin)), source.suffix)


def _numbered(stem: str, suffix: str) -> Iterator[str]:
    yield f"{stem}{suffix}"
    number = 2
    while True:
        yield f"{stem}-{number}{suffix}"
        number += 1
