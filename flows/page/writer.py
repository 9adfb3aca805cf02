"""Writes artifacts, or lets it be: whoever looks at a run must not be able to stop it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol, TypeAlias
from uuid import UUID

from prefect.artifacts import (
    LinkArtifact,
    MarkdownArtifact,
    ProgressArtifact,
    TableArtifact,
    aupdate_progress_artifact,
)
from prefect.context import FlowRunContext
from prefect.logging import get_run_logger
from prefect.settings import get_current_settings

from tasks.redaction import redact

__all__ = ["Artifacts", "Careful", "Log", "Rows", "careful_artifacts", "run_log", "write_to"]

Log: TypeAlias = "logging.Logger | logging.LoggerAdapter[logging.Logger]"
Rows: TypeAlias = Sequence[Mapping[str, str | int]]

_WRITE_S = 5.0


class Artifacts(Protocol):
    """Where a run's artifacts go. `key` has lower-case letters, digits and dashes; `description` is Markdown."""

    async def table(self, key: str, description: str, rows: Rows) -> None:
        """Leave a table."""

    async def markdown(self, key: str, description: str, markdown: str) -> None:
        """Leave a page of Markdown."""

    async def link(self, key: str, description: str, url: str, text: str) -> None:
        """Leave a link that a browser can follow."""

    async def progress(self, key: str, description: str, percent: float) -> None:
        """Show how far something is, 0 to 100; the first time anew, later in its place."""


class _Prefect:
    """The artifacts of the flow run of the current context."""

    def __init__(self) -> None:
        self._bars: dict[str, UUID] = {}

    async def table(self, key: str, description: str, rows: Rows) -> None:
        await TableArtifact(key=key, description=description, table=[dict(row) for row in rows]).acreate()

    async def markdown(self, key: str, description: str, markdown: str) -> None:
        await MarkdownArtifact(key=key, description=description, markdown=markdown).acreate()

    async def link(self, key: str, description: str, url: str, text: str) -> None:
        await LinkArtifact(key=key, description=description, link=url, link_text=text).acreate()

    async def progress(self, key: str, description: str, percent: float) -> None:
        if key in self._bars:
            await aupdate_progress_artifact(self._bars[key], percent, description)
            return
        made = await ProgressArtifact(key=key, description=description, progress=percent).acreate()
        self._bars[key] = made.id


class Careful:
    """Artifacts that never raise and never take long: the first that cannot be written is noted, later ones are not.

    Args:
        artifacts: Where they go.
        log: Where the note goes.
    """

    def __init__(self, artifacts: Artifacts, log: Log | None) -> None:
        self._artifacts = artifacts
        self._log = log
        self._is_noted = False

    async def table(self, key: str, description: str, rows: Rows) -> None:
        """See `Artifacts`; a table without rows is left out."""
        if rows:
            await self._try(self._artifacts.table(key, description, rows))

    async def markdown(self, key: str, description: str, markdown: str) -> None:
        """See `Artifacts`."""
        await self._try(self._artifacts.markdown(key, description, markdown))

    async def link(self, key: str, description: str, url: str, text: str) -> None:
        """See `Artifacts`."""
        await self._try(self._artifacts.link(key, description, url, text))

    async def progress(self, key: str, description: str, percent: float) -> None:
        """See `Artifacts`."""
        await self._try(self._artifacts.progress(key, description, percent))

    def note(self, what: str) -> None:
        """Say, once a run, that something is lacking on the page."""
        if not self._is_noted and self._log is not None:
            self._log.warning("this page is not complete, and the run goes on: %s", redact(" ".join(what.split())))
        self._is_noted = True

    async def _try(self, writing: Awaitable[None]) -> None:
        try:
            async with asyncio.timeout(_WRITE_S):
                await writing
        except TimeoutError:
            self.note(f"the Prefect server took longer than {_WRITE_S:.0f} s")
        except Exception as error:  # noqa: BLE001 -- whatever it is, a page must not fail a film
            self.note(f"{type(error).__name__}: {error}"[:300])


_given: ContextVar[Artifacts | None] = ContextVar("shotchain_artifacts", default=None)


@contextmanager
def write_to(artifacts: Artifacts) -> Iterator[None]:
    """Let the runs that are started in this block leave their artifacts elsewhere than with Prefect."""
    token = _given.set(artifacts)
    try:
        yield
    finally:
        _given.reset(token)


def run_log() -> Log | None:
    """The log of the current flow run; None outside one."""
    return None if FlowRunContext.get() is None else get_run_logger()


def careful_artifacts() -> Careful | None:
    """Where the current run's artifacts go; None where nobody could see them."""
    given = _given.get()
    if given is None:
        # A server without pages is the private one of a command, which is gone with the run.
        if FlowRunContext.get() is None or not get_current_settings().server.ui.enabled:
            return None
        given = _Prefect()
    return Careful(given, run_log())
