"""Decides in what order shots can be made, and which of those that are ready goes first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from graphlib import TopologicalSorter
from typing import TypeAlias

__all__ = ["Graph", "in_order", "priorities"]

Graph: TypeAlias = Mapping[str, Sequence[str]]
"""Shot id -> ids of the shots that it takes a frame or a clip of."""


def in_order(depends_on: Graph) -> list[str]:
    """The ids so that each comes after all that it needs. The graph has no cycle."""
    return list(TopologicalSorter(depends_on).static_order())


def priorities(depends_on: Graph) -> dict[str, int]:
    """For each shot the number of shots on the longest path from it to the end, itself included.

    Ready shots take slots longest remaining path first, so that the wall clock is the critical path. The greatest
    value is the length of the critical path, in shots.
    """
    remaining = dict.fromkeys(depends_on, 1)
    for node in reversed(in_order(depends_on)):
        for need in depends_on[node]:
            remaining[need] = max(remaining[need], remaining[node] + 1)
    return remaining
