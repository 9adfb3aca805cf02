"""Storyboards with a mistake, and what is said about it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tasks.errors import Problem, StoryboardError
from tasks.storyboard.read import read_storyboard

SHOT_KEYS: Final = (
    "prompt, duration, boundary, first_frame, last_frame, reference_images, reference_videos, video, "
    "keep_original_sound, takes, select, output_format, output_quality, safety, ttl, "
    "transition, fit, gain_db, narration, narration_gain_db, caption"
)


@dataclass(frozen=True)
class Mistake:
    """One storyboard with one mistake, and what is said about it."""

    text: str
    line: int
    message: str
    accepted: str | None = None
    shot: str | None = None
    key: str | None = None


def shot(*lines: str) -> str:
    """A storyboard with two shots, the second with `lines` from line 6 on."""
    return "\n".join(
        [
            "assets:",
            "  hero: hero.png",
            "shots:",
            "  - {id: one, prompt: The first}",
            "  - id: two",
            *(f"    {line}" for line in lines),
            "",
        ]
    )


def on_two(lines: str | list[str], message: str, accepted: str | None, key: str, line: int = 6) -> Mistake:
    """A mistake in the second shot."""
    written = [lines] if isinstance(lines, str) else lines
    has_prompt = any(item.startswith(("prompt", "promt")) for item in written)
    text = shot(*written, *([] if has_prompt else ["prompt: The second"]))
    return Mistake(text, line, message, accepted, "two", key)


ONE: Final = "shots:\n  - id: one\n    prompt: x\n"
"""A storyboard of one shot, to which keys can be added from line 4 on."""


def problems_of(path: str) -> tuple[Problem, ...]:
    with pytest.raises(StoryboardError) as caught:
        read_storyboard(path)
    return caught.value.problems


def assert_told_once(mistake: Mistake, folder: Path) -> None:
    """Read the storyboard as `film.yaml` in `folder`, which is the current one: one problem is told, and all of it."""
    (folder / "film.yaml").write_text(mistake.text, encoding="utf-8")

    (problem,) = problems_of("film.yaml")

    assert problem == Problem(mistake.message, "film.yaml", mistake.line, mistake.key, mistake.shot, mistake.accepted)
