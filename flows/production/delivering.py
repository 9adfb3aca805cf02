"""A film that is joined, to its deliverables: side by side, each marked and signed as the film is."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.outcome import Made
from flows.production.studio import Studio
from tasks.clips.store import Clip
from tasks.deliver.deliver import Delivered, copy_of
from tasks.deliver.presets import Preset
from tasks.deliver.task import deliver_film
from tasks.errors import ShotchainError, StorageUnreachable
from tasks.handed import Handed
from tasks.media.thread import finish_in_thread
from tasks.progress import Event, Stage
from tasks.provenance.credit import Provenance
from tasks.provenance.task import credit_film
from tasks.publish.sidecars import Sidecar
from tasks.publish.targets import DeliverableKind, Targets
from tasks.sequence.verify import FilmFacts

__all__ = ["Deliverable", "deliver_all", "told_of_file"]


@dataclass(frozen=True)
class Deliverable:
    """A deliverable as it is to be published: what was made, what it says of its origin, and the file with both."""

    made: Handed[Delivered]
    provenance: Handed[Provenance]
    path: Path

    @property
    def preset(self) -> Preset:
        """What it was made by."""
        return self.made.value.preset

    @property
    def sidecar(self) -> Sidecar:
        """The file that goes beside the film."""
        return Sidecar(DeliverableKind(self.preset.name, self.preset.suffix), self.path)

    def facts(self, targets: Targets) -> Mapping[str, Any]:
        """What the manifest tells of it. Blocks."""
        told = self.provenance.value.as_dict()
        said = {name: told[name] for name in ("marked", "signed", "why")}
        return {**self.sidecar.facts(targets), **self.made.value.facts(), **said}


def told_of_file(error: OSError) -> StorageUnreachable:
    """What the system says of a file on the way to a film that is paid for, most often that there is no room for it."""
    where = "" if error.filename is None else f"{error.filename}: "
    return StorageUnreachable(
        f"a file cannot be used: {where}{error.strerror or error}",
        advice="Mend what it says, then run the same command again: what is paid is kept.",
    )


async def deliver_all(
    studio: Studio, made: Made, facts: Handed[FilmFacts], captions: Path | None, presets: Sequence[Preset]
) -> Sequence[Deliverable]:
    """Make the deliverables that are asked for. One that fails takes along neither the film nor the others.

    Args:
        studio: What the run works with; its film is joined.
        made: What it was joined of; takes what fails.
        facts: What the film was found to be when it was joined.
        captions: The film's captions as WebVTT, if it has any.
        presets: What is asked for, as it was when the run began.
    """
    # Presets that differ in their names alone make one file, once.
    turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
    work = (_deliver(studio, made, facts, captions, preset, turns[repr(preset.as_dict())]) for preset in presets)
    # With exceptions as results it waits, when cancelled, until the last child process is gone.
    ended = await asyncio.gather(*work, return_exceptions=True)
    for outcome in ended:
        if isinstance(outcome, BaseException):
            raise outcome
    return [outcome for outcome in ended if isinstance(outcome, Deliverable)]


async def _deliver(
    studio: Studio, made: Made, facts: Handed[FilmFacts], captions: Path | None, preset: Preset, turn: asyncio.Lock
) -> Deliverable | None:
    def tell(frames: int) -> None:
        studio.observe(Event(Stage.DELIVERING, message=f"{preset.name}: {frames} frames"))

    try:
        async with turn:
            wanted = Handed(preset)
            delivered = await deliver_film(studio.film, facts, wanted, captions, studio.conformed, on_frames=tell)
        path = studio.scratch / f"delivered.{preset.name}.{preset.suffix}"
        await finish_in_thread(copy_of, delivered.value, path)
        credit = credit_film.with_options(task_run_name=f"{preset.name} · provenance")
        clips: Mapping[str, Clip] = {shot.id: made.selected(shot).clip for shot in made.whole()}
        finish, signing = Handed(studio.settings.finish), Handed(studio.settings.signing)
        told = Handed(made.plan), Handed(clips), list(made.slates), finish, signing
        provenance = await credit(*told, delivered, path)
    except (ShotchainError, OSError) as cause:
        error = told_of_file(cause) if isinstance(cause, OSError) else cause
        error.message = f"'{preset.name}' is not delivered: {error.message}"
        made.undelivered[preset.name] = error
        studio.observe(Event(Stage.NOTE, message=error.message))
        return None
    studio.observe(Event(Stage.DELIVERED, message=preset.name))
    return Deliverable(delivered, provenance, path)
