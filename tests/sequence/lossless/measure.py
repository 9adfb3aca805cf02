"""Joins clips in a process of its own, and says as JSON what came of it and what it took.

python -m tests.sequence.lossless.measure FOLDER CLIPS < lines of clip files
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from fractions import Fraction
from pathlib import Path

from tasks.media.probe import probe_video
from tasks.sequence.lossless.joined import join_lossless
from tasks.sequence.timeline import Cut, FilmLayout


def main() -> None:
    """Join the clips whose names come in, as often as it takes; each is another one for what is kept."""
    folder, count = Path(sys.argv[1]), int(sys.argv[2])
    files = [Path(line.rstrip("\n")) for line in sys.stdin]
    facts = probe_video(files[0])
    layout = FilmLayout(facts.width, facts.height, Fraction(facts.rate))
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
    said = []
    for _ in ("all has to be made", "all was prepared"):
        began = time.monotonic()
        joined = asyncio.run(join_lossless(cuts, layout, folder / "film.mp4", folder / "kept"))
        said.append(time.monotonic() - began)
    sys.stdout.write(
        json.dumps(
            {
                "frames": joined.frames,
                "copied": joined.copied,
                "made_s": said[0],
                "copied_s": said[1],
                "peak_mb": _peak_mb(),
            }
        )
    )


def _peak_mb() -> float:
    """The most memory that this process had; `getrusage` would count what its parent had when it began, too."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) / 1024


if __name__ == "__main__":
    main()
