from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.media.probe import probe_video
from tasks.plan.lengths import film_frames
from tasks.sequence.conform import Conformed, conform
from tasks.sequence.timeline import Cut, FilmLayout

Conform = Callable[..., Awaitable[Conformed]]


def names(folder: Path) -> list[str]:
    """What is in a folder, hidden files too; nothing where there is no folder."""
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def cut_of(clip: Path, count: int, **changed: Any) -> Cut:
    """All `count` frames of a clip as so many of the film, but for what is `changed`."""
    whole = {"start": 0, "stop": count, "frames": count}
    fields: dict[str, Any] = {"shot": clip.stem, "clip": clip, "clip_id": str(clip)} | whole | changed
    return Cut(**fields)


@pytest.fixture
def conform_clip(tmp_path: Path) -> Conform:
    """Conform `clip[start:stop]` to a layout, as long as it lasts."""

    async def conform_it(clip: Path, layout: FilmLayout, start: int = 0, stop: int = 121) -> Conformed:
        frames = film_frames(stop - start, probe_video(clip).rate, layout.rate)
        cut = Cut(shot=clip.stem, clip=clip, clip_id=str(clip), start=start, stop=stop, frames=frames)
        return await conform(cut, layout, tmp_path / "conformed")

    return conform_it
