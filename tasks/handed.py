"""What one Prefect task hands to the next, in a wrapper that Prefect does not look into.

Prefect draws an edge of the run's graph wherever a task is given the very object that another returned, and looks for
such objects inside lists, mappings and dataclasses. There it also finds numbers and short texts, which Python shares
between unrelated values, and draws edges that do not exist. A wrapped result is one object: one result, one edge.
"""

from __future__ import annotations

from typing import Generic, TypeVar

__all__ = ["Handed"]

T = TypeVar("T")


class Handed(Generic[T]):
    """A value on its way from one task to another. Wrapped anew, it is handed on without an edge."""

    __slots__ = ("value",)

    def __init__(self, value: T) -> None:
        self.value = value
