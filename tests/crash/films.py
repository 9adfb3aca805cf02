"""Storyboards to be interrupted: one frame a second, so that a film of a minute is quick to make."""

from __future__ import annotations

import random

__all__ = ["TWELVE", "TWELVE_TAKES", "draw", "in_a_row"]

_HEAD = "title: {title}\nfps: 1\nshots:\n"

TWELVE = _HEAD.format(title="Twelve shots") + "".join(
    f"  - {{id: {name}, prompt: 'Shot {name}, a lighthouse in fog'{more}}}\n"
    for name, more in {
        # Three chains of three side by side, trimmed in different places, and three single shots. No shot has two
        # takes: which of two equal requests comes first decides how their pictures look.
        "a1": ", duration: 1",
        "a2": ", boundary: continue, duration: 2",
        "a3": ", boundary: continue, duration: 1",
        "b1": "",
        "b2": ", boundary: continue",
        "b3": ", boundary: continue, duration: 1",
        "c1": ", duration: 2",
        "c2": ", boundary: continue, duration: 1",
        "c3": ", boundary: continue, duration: 1",
        "d": ", duration: 1",
        "e": ", duration: 1",
        "f": ", duration: 1",
    }.items()
)
TWELVE_TAKES = 12


def in_a_row(count: int, *, edited: int | None = None, chains: bool = True) -> str:
    """`count` shots, the third of each three continuing from the second; `edited` has another prompt."""
    return _HEAD.format(title=f"{count} shots") + "".join(
        f"  - {{id: s{number:03}, prompt: 'Shot {number}, {'a gull' if number == edited else 'a lighthouse'} in fog'"
        f"{', boundary: continue' if chains and number % 3 == 2 else ''}}}\n"
        for number in range(count)
    )


def draw(random_source: random.Random) -> tuple[str, int]:
    """A small film with one chain and two takes of one shot, and the number of its takes."""
    count = random_source.randint(3, 6)
    chained = random_source.randint(1, count - 1)
    doubled = random_source.randrange(count)
    board = _HEAD.format(title="Drawn")
    for number in range(count):
        more = ", boundary: continue" if number == chained else ""
        more += ", takes: 2" if number == doubled else ""
        more += f", duration: {random_source.choice([1, 2, 5])}" if number + 1 != chained else ""
        board += f"  - {{id: s{number}, prompt: 'Shot {number}, a lighthouse in fog'{more}}}\n"
    return board, count + 1
