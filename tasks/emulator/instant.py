"""Clips that many results share: made once a shape, then only linked."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

from tasks.emulator.backdrop import Backdrop
from tasks.emulator.picture import Frame
from tasks.emulator.records import ResultRecord, TaskRecord
from tasks.emulator.render import RenderStoppedError, write_scene
from tasks.emulator.scenes import Scene, scene_of
from tasks.emulator.state import StateStore

__all__ = ["VARIANTS", "InstantClips"]

VARIANTS = 4
"""Clips of one shape that differ, so that takes are told apart by their bytes."""


class InstantClips:
    """Shared clips of one state folder.

    A clip has the size, length, rate, format and sound that its task asks for, and stands still, which makes it small
    and quick to decode. An edit shows its source.

    Args:
        store: Where they are kept.
    """

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self._making = threading.Lock()

    def hand_out(self, task: TaskRecord, result: ResultRecord) -> bool:
        """Give a result its clip, if that was made before."""
        shared = self._shared(task, result)
        if not shared.exists():
            return False
        target = self._store.video_path(task, result.video_uuid)
        part = self._store.part(task.suffix)
        try:
            part.hardlink_to(shared)
        except OSError:
            # Some file systems have no links, and some only so many of one file.
            shutil.copyfile(shared, part)
        part.replace(target)
        return True

    def make(self, task: TaskRecord, result: ResultRecord, is_stopped: Callable[[], bool]) -> None:
        """Give a result its clip, which is made now if it was not before.

        Raises:
            RenderStoppedError: `is_stopped` said so.
        """
        with self._making:
            if not self.hand_out(task, result):
                scene = self._scene(task, result)
                frames = _until_stopped(scene.frames, is_stopped)
                write_scene(self._shared(task, result), replace(scene, frames=frames), task, result, self._store)
                self.hand_out(task, result)

    def _shared(self, task: TaskRecord, result: ResultRecord) -> Path:
        is_edit = task.mode == "edit"
        has_sound = task.keep_original_sound and any(source.kind == "video" for source in task.sources)
        shape = {
            "size": [task.width, task.height],
            "frames": [task.frame_count, task.rate],
            "format": [task.output_format, task.output_quality],
            "look": asdict(result.fate.look) if result.fate.look else None,
            "sources": [source.content for source in task.sources] if is_edit or has_sound else [],
            "sound": has_sound,
            "variant": result.seed % VARIANTS,
        }
        key = hashlib.sha256(json.dumps(shape).encode()).hexdigest()
        return self._store.path(f"instant/{key}{task.suffix}")

    def _scene(self, task: TaskRecord, result: ResultRecord) -> Scene:
        variant = result.seed % VARIANTS
        if task.mode == "edit":
            return scene_of(task, variant, self._store)
        still = Backdrop(variant, task.width, task.height).at(variant / VARIANTS)
        frames = (still for _ in range(task.frame_count))
        return Scene(task.width, task.height, task.frame_count, task.frames_per_second, frames)


def _until_stopped(frames: Iterator[Frame], is_stopped: Callable[[], bool]) -> Iterator[Frame]:
    for frame in frames:
        if is_stopped():
            raise RenderStoppedError
        yield frame
