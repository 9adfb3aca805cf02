"""Films of parts that stand one behind the other, without a plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path

from tasks.sequence.captions import Caption
from tasks.sequence.chapters import Chapter
from tasks.sequence.conform import Conformed
from tasks.sequence.film import Film, make_film
from tasks.sequence.join import Stretch
from tasks.sequence.sound.coder import Bench
from tasks.sequence.sound.master import master
from tasks.sequence.sound.mix import Layer, Mix
from tasks.sequence.sound.soundtrack import Soundtrack
from tasks.sequence.timeline import FilmLayout, sample_at, starts
from tasks.sequence.verify import FilmFacts


def row_of(parts: Sequence[Conformed]) -> list[Stretch]:
    return [Stretch(part.picture, part.body) for part in parts]


async def sound_of_row(
    parts: Sequence[Conformed], layout: FilmLayout, folder: Path, loudness_lufs: Decimal | None = None
) -> Soundtrack | None:
    """Each part's sound where its pictures begin; brought to no loudness unless one is given."""
    begins = [sample_at(frame, layout.rate) for frame in starts(part.frames for part in parts)]
    layers = [
        Layer(part.sound, begin, end - begin)
        for part, begin, end in zip(parts, begins[:-1], begins[1:], strict=True)
        if part.sound is not None
    ]
    if not layers:
        return None
    mix = Mix(layers, begins[-1])
    return Soundtrack(folder / "sound.m4a", await master(mix, loudness_lufs, Bench(folder), folder / "sound.m4a"))


async def film_of(
    parts: Sequence[Conformed],
    layout: FilmLayout,
    output: Path,
    *,
    tags: Mapping[str, str] | None = None,
    captions: Sequence[Caption] = (),
    chapters: Sequence[Chapter] = (),
) -> FilmFacts:
    """Make a film of parts without transitions."""
    soundtrack = await sound_of_row(parts, layout, output.parent / "sound")
    film = Film(pictures=row_of(parts), soundtrack=soundtrack, tags=tags or {}, captions=captions, chapters=chapters)
    return await make_film(film, layout, output)
