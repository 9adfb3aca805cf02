"""Circles among shots that need one another."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import TypeVar

__all__ = ["find_cycles"]

T = TypeVar("T", bound=Hashable)


def find_cycles(needs: Mapping[T, Iterable[T]]) -> list[tuple[T, ...]]:
    """Cycles of a graph, one for each step that closes one, so that undoing each breaks all there are.

    Args:
        needs: For each node, the nodes that must come before it. Nodes are visited in this order.

    Returns:
        Each cycle once, its nodes in the order in which they would have to happen, beginning with the node
        that stands first in `needs`.
    """
    order = {node: position for position, node in enumerate(needs)}
    done: set[T] = set()
    cycles: list[tuple[T, ...]] = []
    for start in needs:
        if start in done:
            continue
        # Depth first without recursion: chains of thousands of shots are fine.
        trail = [start]
        on_trail = {start}
        pending = [iter(dict.fromkeys(needs[start]))]
        while trail:
            following = next((node for node in pending[-1] if node in order and node not in done), None)
            if following is None:
                pending.pop()
                finished = trail.pop()
                on_trail.discard(finished)
                done.add(finished)
            elif following in on_trail:
                cycle = trail[trail.index(following) :][::-1]
                first = min(range(len(cycle)), key=lambda index: order[cycle[index]])
                cycles.append((*cycle[first:], *cycle[:first]))
            else:
                trail.append(following)
                on_trail.add(following)
                pending.append(iter(dict.fromkeys(needs[following])))
    return cycles
