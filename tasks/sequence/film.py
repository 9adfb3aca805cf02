"""Everything that a film is made of, to a checked film."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from tasks.media.files import written_whole
from tasks.sequence.captions import Caption, vtt
from tasks.sequence.chapters import Chapter, ffmetadata
from tasks.sequence.join import Beside, Stretch, join, put_beside
from tasks.sequence.sound.soundtrack import Soundtrack
from tasks.sequence.timeline import FilmLayout
from tasks.sequence.verify import FilmFacts, check_film

__all__ = ["Film", "make_film"]

# What converts captions to the film's own kind of track takes braces for commands, and shows others in their place.
_BRACES: Final = str.maketrans("{}", "()")


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """What a film is made of.

    `pictures` is its row of parts, each decoded and found right when it was made; `is_one` says that it is a single
    part which is the whole film already, with its times as they have to be.
    """

    pictures: Sequence[Stretch]
    is_one: bool = False
    soundtrack: Soundtrack | None = None
    captions: Sequence[Caption] = ()
    chapters: Sequence[Chapter] = ()
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def frames(self) -> int:
        """How many it has."""
        return sum(stretch.frames for stretch in self.pictures)


async def make_film(film: Film, layout: FilmLayout, output: Path) -> FilmFacts:
    """Join a film, and check the result before it takes the name `output`.

    Raises:
        MediaError: The parts could not be joined.
        FilmWrong: The joined film is not what was planned; nothing appears under `output`.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    sound = film.soundtrack.path if film.soundtrack else None
    with (
        written_whole(output) as temporary,
        tempfile.TemporaryDirectory(dir=output.parent, prefix=".film-") as folder,
    ):
        beside = _written(film, layout, sound, Path(folder))
        if film.is_one:
            await put_beside(film.pictures[0].picture, layout, temporary, beside)
        else:
            await join(film.pictures, layout, temporary, beside)
        facts = await check_film(temporary, layout, film.pictures, sound, has_captions=bool(film.captions))
    return replace(facts, loudness=film.soundtrack.loudness if film.soundtrack else None)


def _written(film: Film, layout: FilmLayout, sound: Path | None, folder: Path) -> Beside:
    metadata, captions = folder / "metadata.txt", None
    text = ffmetadata(film.chapters, film.frames, layout.rate, film.tags)
    metadata.write_text(text, encoding="utf-8", newline="\n")
    if film.captions:
        captions = folder / "captions.vtt"
        text = vtt([replace(it, text=it.text.translate(_BRACES)) for it in film.captions], layout.rate)
        captions.write_text(text, encoding="utf-8", newline="\n")
    return Beside(sound, captions, metadata)
