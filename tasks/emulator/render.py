"""One result of a task, from its record to a finished file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from tasks.emulator.encode import write_clip
from tasks.emulator.fates import Look
from tasks.emulator.footage import read_clip_facts
from tasks.emulator.label import Label
from tasks.emulator.picture import Frame
from tasks.emulator.records import ResultRecord, TaskRecord
from tasks.emulator.scenes import Scene, scene_of
from tasks.emulator.state import StateStore

__all__ = ["RenderStoppedError", "render", "write_scene"]

_MODE_NAMES = {
    "text": "TEXT",
    "frames": "FRAMES",
    "referenceImages": "REFERENCE IMAGES",
    "referenceVideos": "REFERENCE VIDEOS",
    "edit": "EDIT",
}


class RenderStoppedError(Exception):
    """The emulator is being stopped; the result can be rendered again later."""


def render(task: TaskRecord, result: ResultRecord, store: StateStore, is_stopped: Callable[[], bool]) -> Path:
    """Render one result and put it in its place, whole.

    Args:
        task: The accepted task.
        result: Which of its results.
        store: Where inputs are and the video goes.
        is_stopped: Asked before every frame.

    Raises:
        RenderStoppedError: `is_stopped` said so.
    """
    scene = scene_of(task, result.seed, store)
    title = f"{_MODE_NAMES[task.mode]}  |  {task.model}  |  seed {result.seed}"
    size = (scene.width, scene.height)
    label = Label(title, task.prompt, size, scene.frame_count, round(scene.rate / 4))
    target = store.video_path(task, result.video_uuid)
    write_scene(target, replace(scene, frames=_labelled(scene, label, is_stopped)), task, result, store)
    return target


def write_scene(target: Path, scene: Scene, task: TaskRecord, result: ResultRecord, store: StateStore) -> None:
    """Encode a scene as a result's fate and its task's format say, and put it at `target`, whole."""
    look = result.fate.look or Look()
    part = store.part(f".{look.container}" if look.container else task.suffix)
    try:
        write_clip(
            part,
            scene.frames,
            width=scene.width,
            height=scene.height,
            rate=scene.rate,
            frame_count=scene.frame_count,
            output_quality=task.output_quality,
            sound_from=_sound_of(task, store),
            look=look,
        )
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _labelled(scene: Scene, label: Label, is_stopped: Callable[[], bool]) -> Iterator[Frame]:
    for index, frame in enumerate(scene.frames):
        if is_stopped():
            raise RenderStoppedError
        yield label.draw(frame, index)


def _sound_of(task: TaskRecord, store: StateStore) -> Path | None:
    if task.keep_original_sound:
        for source in task.sources:
            if source.kind == "video" and source.file is not None:
                path = store.path(source.file)
                if read_clip_facts(path).has_sound:
                    return path
    return None
