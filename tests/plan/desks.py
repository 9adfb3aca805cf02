"""The part of the emulator that takes orders and bills them, with clips of a few pixels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
from av.video.stream import VideoStream

from tasks.emulator.desk import Desk
from tasks.emulator.fates import Fate
from tasks.emulator.instant import InstantClips
from tasks.emulator.records import ResultRecord, TaskRecord
from tasks.emulator.renderers import Renderers
from tasks.emulator.settings import EmulatorSettings
from tasks.emulator.state import StateStore

ORIGIN = "http://127.0.0.1:9"


class TinyClips(InstantClips):
    """Clips of the right number of frames and of 16x16 pixels, made once in `kept`."""

    def __init__(self, store: StateStore, kept: Path) -> None:
        super().__init__(store)
        self._store = store
        self._kept = kept

    def hand_out(self, task: TaskRecord, result: ResultRecord) -> bool:
        frames = task.frame_count
        if task.mode == "edit":
            frames = round(task.sources[0].length_s * 24)
        shared = self._kept / f"{frames}.mp4"
        if not shared.exists():
            tiny_clip(shared, frames)
        self._store.video_path(task, result.video_uuid).hardlink_to(shared)
        return True


@contextmanager
def open_desk(folder: Path, kept: Path) -> Iterator[Desk]:
    """A desk whose state is in `folder`, with instant clips from `kept`."""
    store = StateStore(folder)
    renderers = Renderers(store, lambda *_: None, TinyClips(store, kept))
    try:
        yield Desk(EmulatorSettings(instant=True), store, renderers, lambda order: (Fate(),) * order.number_results)
    finally:
        renderers.stop()


def tiny_clip(path: Path, frames: int, *, rate: int = 24, codec: str = "libx264") -> Path:
    """A black video of 16x16 pixels; its name's suffix decides the container."""
    with av.open(path, "w") as container:
        stream = container.add_stream(codec, rate=rate)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "yuv420p"
        for _ in range(frames):
            container.mux(stream.encode(av.VideoFrame(16, 16, "yuv420p")))
        container.mux(stream.encode())
    return path
