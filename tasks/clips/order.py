"""What is wanted of an attempt: the take that it is for, and how its request is built."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Order"]


@dataclass(frozen=True, slots=True)
class Order:
    """A take to be had: whose it is, and how to build its request when it is about to leave."""

    shot: str
    take: int
    build: Callable[[], Awaitable[Mapping[str, Any]]]
