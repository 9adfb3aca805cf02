"""What was worked out of spans of sound, kept under all that decides about it, for whoever needs it again."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

from tasks.sequence.sound.spans import Cores

__all__ = ["Kept"]

Item = TypeVar("Item")
Result = TypeVar("Result")


class Kept(Generic[Result]):
    """Results by their keys. Used by one mastering at a time.

    Args:
        dropped: Told of each result that is kept no longer.
    """

    def __init__(self, dropped: Callable[[Result], None] = lambda _: None) -> None:
        self._dropped = dropped
        self._results: dict[Hashable, Result] = {}
        self._asked_for: set[Hashable] = set()

    def all_of(
        self, items: Sequence[tuple[Hashable, Item]], work: Callable[[Item], Result], cores: Cores
    ) -> list[Result]:
        """The result for each item, under its key; what is not known is worked out on all cores. Blocks.

        Raises:
            CancelledError: It was stopped on the way. What was done by then is kept.
        """
        self._asked_for.update(key for key, _ in items)
        missing = {key: item for key, item in items if key not in self._results}

        def one(item: tuple[Hashable, Item]) -> None:
            self._results[item[0]] = work(item[1])

        cores.each(one, missing.items())
        return [self._results[key] for key, _ in items]

    def tidy(self) -> None:
        """Forget what nobody has asked for since the last time."""
        for key in self._results.keys() - self._asked_for:
            self._dropped(self._results.pop(key))
        self._asked_for.clear()
