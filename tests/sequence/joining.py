"""Conforms and joins clips in a process of its own, and says as JSON what that took.

python -m tests.sequence.joining FOLDER CLIPS < lines of clip files
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from tasks.sequence.conform import conform
from tasks.sequence.film import Film, make_film
from tasks.sequence.timeline import Cut, FilmLayout
from tests.children import pids_of_children, told_of
from tests.sequence.rows import row_of, sound_of_row

LAYOUT = FilmLayout(1280, 720, Fraction(24))
_EACH_S = 0.02


def main() -> None:
    """Join the clips whose names come in, as often as it takes; each is another one for what is kept."""
    folder, count = Path(sys.argv[1]), int(sys.argv[2])
    files = [Path(line.rstrip("\n")) for line in sys.stdin]
    memory = Memory()
    took = asyncio.run(_join(folder, files, count))
    sys.stdout.write(json.dumps({**took, "peak_mb": memory.peak_mb()}))


async def _join(folder: Path, files: list[Path], count: int) -> dict[str, Any]:
    cuts = [
        Cut(
            shot=str(number),
            clip=files[number % len(files)],
            clip_id=f"{number}",
            start=1 if number else 0,
            stop=121,
            frames=120 if number else 121,
        )
        for number in range(count)
    ]
    parts = await asyncio.gather(*(conform(cut, LAYOUT, folder / "conformed") for cut in cuts))
    began_s = time.monotonic()
    soundtrack = await sound_of_row(parts, LAYOUT, folder / "sound", Decimal(-16))
    mastered_s = time.monotonic() - began_s
    facts = await make_film(Film(pictures=row_of(parts), soundtrack=soundtrack), LAYOUT, folder / "film.mp4")
    return {
        "frames": facts.frames,
        "loudness": facts.loudness.as_dict() if facts.loudness else None,
        "sound_s": mastered_s,
        "joined_s": time.monotonic() - began_s - mastered_s,
    }


class Memory:
    """The most that this process and its children have had together, looked at all the time."""

    def __init__(self) -> None:
        self._peak_kb = 0
        self._ended = threading.Event()
        self._looking = threading.Thread(target=self._look, daemon=True)
        self._looking.start()

    def peak_mb(self) -> float:
        self._ended.set()
        self._looking.join()
        return self._peak_kb / 1024

    def _look(self) -> None:
        while not self._ended.wait(_EACH_S):
            self._peak_kb = max(self._peak_kb, sum(_rss_kb(pid) for pid in ("self", *pids_of_children())))


def _rss_kb(pid: str) -> int:
    """What a process has that is its own or a share of what others have, too; 0 of one that is gone."""
    for line in told_of(pid, "smaps_rollup").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0


if __name__ == "__main__":
    main()
