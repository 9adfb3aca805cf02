"""The film's sound, made of the shots that there are while others are still being generated.

It takes the longest of what is left to do behind the last clip, and most of it is the same whatever that clip brings.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from flows.outcome import Made
from tasks.plan.model import Plan
from tasks.progress import Event, Observer, Stage
from tasks.redaction import redact
from tasks.sequence.cuts import planned_cut
from tasks.sequence.sound.soundtrack import Laid, Mixdown, Shown

__all__ = ["SoundAhead"]


class SoundAhead:
    """Works on a film's sound whenever half of the shots have come that were missing the last time.

    So the work that is done again, since one more shot makes all of the film louder or quieter, stays bounded.

    Args:
        plan: The film.
        laid: Music and narration.
        folder: Takes what is worked out.
        kept: Where finished sounds are kept for the next run.
        observe: Is told if it goes wrong. That keeps nobody from finishing the sound: if it was not by chance, it is
            met again then, and told for what it is.
    """

    def __init__(self, plan: Plan, laid: Mapping[str, Laid], folder: Path, kept: Path, observe: Observer) -> None:
        self._observe = observe
        self._plan = plan
        self._mixdown = Mixdown(plan, laid, folder, kept)
        self._missed = len(plan.shots)
        self._made: Made | None = None
        self._working: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    def conformed(self, made: Made) -> None:
        """Say that one more shot has come; `made` is what there is."""
        self._made = made
        if self._working is None and self._is_worth_it():
            self._working = asyncio.ensure_future(self._work())

    async def end(self) -> Mixdown:
        """Stop working ahead; gives what finishes the sound, now that all is there."""
        await self._stop()
        return self._mixdown

    def _is_worth_it(self) -> bool:
        return 0 < self._missing() <= self._missed / 2

    def _missing(self) -> int:
        return sum(self._made is None or shot.id not in self._made.parts for shot in self._plan.shots)

    async def _work(self) -> None:
        try:
            while self._made is not None and self._is_worth_it():
                self._missed = self._missing()
                await self._mixdown.ahead(self._shown(self._made), self._missed)
        except Exception as error:  # noqa: BLE001 -- a film that is paid for does not hang on work that is done to save time
            self._missed = 0
            self._observe(Event(Stage.NOTE, message=f"no sound is made ahead of the last clips: {redact(str(error))}"))
        finally:
            self._working = None

    def _shown(self, made: Made) -> list[Shown]:
        shown = []
        for scene in self._plan.scenes:
            part = made.parts.get(scene.id)
            cut = planned_cut(self._plan, scene) if part is None else made.cut(scene)
            shown.append(Shown(cut, None if part is None else part.value.sound))
        return shown

    async def _stop(self) -> None:
        working, self._made = self._working, None
        if working is None:
            return
        working.cancel()
        cancelled: asyncio.CancelledError | None = None
        while not working.done():
            try:
                await asyncio.wait([working])
            except asyncio.CancelledError as error:
                cancelled = error  # its threads still write into a folder that goes away when this is left
        if cancelled is not None:
            raise cancelled
