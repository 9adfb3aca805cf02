"""The page of one run while it lasts and when it is over: progress, log, shots, pictures, film."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from flows.outcome import Made
from flows.page.film import film_of
from flows.page.pictures import ends_of
from flows.page.sheet import layout_for, sheet_of
from flows.page.tables import bill_of, progress_of, shots_of
from flows.page.words import line_of, plain
from flows.page.writer import Careful, Log, careful_artifacts, run_log
from tasks.errors import MediaError
from tasks.plan.model import Plan, PlannedScene, PlannedShot
from tasks.progress import Event, Observer, Stage
from tasks.publish.targets import Targets
from tasks.together import together

__all__ = ["RunPage", "open_page", "page_of_run"]

_PACE_S: Final = 1.0
# What is left to write when a run is over takes so long at most; a run that is stopped ends at once.
_CLOSE_S: Final = 10.0
_STOP_S: Final = 1.0
_PICTURES_S: Final = 5.0
_STEPS: Final = MappingProxyType(
    {
        Stage.JOINING: "joining the film",
        Stage.DELIVERING: "making deliverables",
        Stage.PUBLISHING: "publishing",
        Stage.DONE: "published",
    }
)
_current: ContextVar[RunPage | None] = ContextVar("shotchain_page", default=None)


@asynccontextmanager
async def open_page(plan: Plan, observe: Observer) -> AsyncIterator[RunPage]:
    """The page of the current run, kept up to date while the block lasts and completed at its end.

    Args:
        plan: What is made.
        observe: Whoever else watches; told first, and what it raises is not held back.
    """
    page = RunPage(plan, observe, careful_artifacts(), run_log())
    page.begin()
    token = _current.set(page)
    try:
        yield page
    except Exception:
        await page.close(_CLOSE_S)
        raise
    except BaseException:
        await page.close(_STOP_S)
        raise
    else:
        await page.close(_CLOSE_S)
    finally:
        _current.reset(token)


def page_of_run() -> RunPage | None:
    """The page that is open for the current run; None where there is none."""
    return _current.get()


class RunPage:
    """What watches a run and shows it.

    Args:
        plan: What is made.
        observe: Whoever else watches.
        artifacts: Where artifacts go; None where there are none.
        log: Where the steps are told in words; None where nobody reads them.
    """

    def __init__(self, plan: Plan, observe: Observer, artifacts: Careful | None, log: Log | None) -> None:
        self._plan = plan
        self._inner = observe
        self._artifacts = artifacts
        self._log = log
        self._many_takes = {shot.id for shot in plan.shots if len(shot.takes) > 1}
        self._said: dict[tuple[str | None, int | None], str] = {}
        self._step = ""
        self._made: Made | None = None
        self._published: tuple[Mapping[str, Any], Targets] | None = None
        self._shown: tuple[str, float] | None = None
        self._layout = layout_for(len(plan.scenes))
        self._places = {scene.id: place for place, scene in enumerate(plan.scenes)}
        self._pictures: dict[str, tuple[str, ...]] = {}
        self._woken = asyncio.Event()
        self._closing = asyncio.Event()
        self._pump: asyncio.Task[None] | None = None

    def observe(self, event: Event) -> None:
        """Take note of a step, and pass it on."""
        self._inner(event)
        self._step = _STEPS.get(event.stage, self._step)
        self._woken.set()
        said = line_of(event, self._many_takes)
        if said is None or self._log is None or self._said.get((event.shot, event.take)) == said[1]:
            return
        self._said[event.shot, event.take] = said[1]
        self._log.log(*said)

    def follow(self, made: Made) -> None:
        """Show what is made, as it is made."""
        self._made = made
        self._woken.set()

    def published(self, manifest: Mapping[str, Any], targets: Targets) -> None:
        """Show what was published, and where: the film with its manifest, or the manifest alone."""
        self._published = manifest, targets
        if self._log is not None:
            film, place = manifest["film"], targets.film.shown
            if film is None:
                self._log.warning("film: not made; what there is stands in %s", targets.manifest.shown)
            else:
                self._log.info("film: published to %s, %s frames, $%s", place, film["frames"], manifest["cost_usd"])

    def begin(self) -> None:
        """Start showing progress."""
        if self._artifacts is not None:
            self._pump = asyncio.create_task(self._keep_up(self._artifacts), name="run page")

    async def close(self, most_s: float) -> None:
        """Show how it ended, within so many seconds. Raises nothing of its own."""
        if self._artifacts is None or self._pump is None:
            return
        self._closing.set()
        self._woken.set()
        try:
            async with asyncio.timeout(most_s):
                await asyncio.shield(self._pump)
                await self._complete(self._artifacts)
        except TimeoutError:
            self._artifacts.note(f"the last of it could not be shown within {most_s:.0f} s")
        except Exception as error:  # noqa: BLE001 -- a mistake of the page's own must not fail a film either
            self._artifacts.note(f"{type(error).__name__}: {error}")
        finally:
            self._pump.cancel()
            await asyncio.wait([self._pump])

    async def _keep_up(self, artifacts: Careful) -> None:
        """Show how far the run is, at most once a second, and make the pictures of what is there."""
        while not self._closing.is_set():
            await self._show_progress(artifacts)
            await self._take_pictures(artifacts)
            await self._woken.wait()
            self._woken.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(_PACE_S):
                    await self._closing.wait()

    async def _complete(self, artifacts: Careful) -> None:
        await self._show_progress(artifacts)
        writing = []
        if self._made is not None:
            writing.append(artifacts.table("shotchain-shots", *shots_of(self._made)))
        if self._published is not None:
            manifest, targets = self._published
            place = targets.manifest if manifest["film"] is None else targets.film
            writing.append(artifacts.table("shotchain-bill", *bill_of(manifest, place.shown)))
            if manifest["film"] is not None:
                film = film_of(manifest, targets)
                if film.url is None:
                    writing.append(artifacts.markdown("shotchain-film", film.figures, film.markdown))
                else:
                    writing.append(artifacts.link("shotchain-film", film.figures, film.url, film.name))
        await together(writing)
        with suppress(TimeoutError):  # a sheet that lacks some pictures is better than none
            async with asyncio.timeout(_PICTURES_S):
                await self._take_pictures(artifacts, is_closing=True)
        if self._pictures:
            ids = [scene.id for scene in self._plan.scenes]
            sheet = sheet_of(self._plan.title, ids, self._pictures, self._layout)
            says = f"**{plain(self._plan.title)}**: how each shot begins and ends"
            await artifacts.markdown("shotchain-contact-sheet", says, sheet)

    async def _show_progress(self, artifacts: Careful) -> None:
        now = progress_of(self._plan, self._made, self._step)
        if now != self._shown:
            self._shown = now
            await artifacts.progress("shotchain-progress", *now)

    async def _take_pictures(self, artifacts: Careful, *, is_closing: bool = False) -> None:
        if self._made is None:
            return
        shots: list[PlannedScene] = [*self._made.whole(), *self._made.drawn()]
        for shot in shots:
            if shot.id in self._pictures or self._places[shot.id] not in self._layout.shots:
                continue
            if not _is_here(self._made, shot):
                continue  # its clip lies in the store alone, and is not fetched for a picture
            if self._closing.is_set() and not is_closing:
                return
            try:
                self._pictures[shot.id] = await asyncio.to_thread(
                    ends_of,
                    _video_of(self._made, shot),
                    width=self._layout.width,
                    most_chars=self._layout.most_chars,
                    both=self._layout.pictures > 1,
                )
            except (MediaError, OSError) as error:
                self._pictures[shot.id] = ()
                artifacts.note(f"the pictures of '{shot.id}': {error}")


def _is_here(made: Made, scene: PlannedScene) -> bool:
    """Whether there is something on this machine to take a picture of."""
    return not isinstance(scene, PlannedShot) or scene.id in made.parts or made.selected(scene).is_here


def _video_of(made: Made, scene: PlannedScene) -> Path:
    """The shot or card as the film shows it; where no film is made, the shot's selected clip."""
    part = made.parts.get(scene.id)
    return made.cut(scene).clip if part is None else part.value.picture
