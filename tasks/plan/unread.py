"""Tells which files could not be read, so that nobody pays for what is not known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from tasks.plan.model import Unpinned, shown_uri
from tasks.storyboard.inputs import InputFacts
from tasks.storyboard.model import MediaFile

__all__ = ["unread"]


def unread(uses: Iterable[tuple[str | None, object]], facts: Mapping[str, InputFacts]) -> Iterator[Unpinned]:
    """The files without known content among what is used.

    Args:
        uses: Who uses what: the id of a shot, None for the film as a whole; only files outside the film count.
        facts: What was found out about each file, by URI.
    """
    for shot, source in uses:
        if not isinstance(source, MediaFile):
            continue
        found = facts.get(source.uri)
        if found is None or found.sha256 is None:
            yield Unpinned(shot, shown_uri(source.uri), (found.unpinned if found else None) or "not read")
