"""Parts to a checked film."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tasks.media.files import written_whole
from tasks.sequence.conform import Conformed
from tasks.sequence.join import join
from tasks.sequence.timeline import FilmLayout
from tasks.sequence.verify import FilmFacts, check_film

__all__ = ["make_film"]


async def make_film(
    parts: Sequence[Conformed],
    layout: FilmLayout,
    output: Path,
    *,
    metadata: Mapping[str, str] | None = None,
) -> FilmFacts:
    """Join conformed parts and check the result before it takes the name `output`.

    Raises:
        MediaError: The parts could not be joined.
        FilmWrong: The joined film is not what was planned; nothing appears under `output`.
    """
    with written_whole(output) as temporary:
        await join(parts, layout, temporary, metadata=metadata or {})
        return await check_film(
            temporary,
            layout,
            frames=sum(part.frames for part in parts),
            has_sound=any(part.sound for part in parts),
        )
