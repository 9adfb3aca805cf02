"""What is seen in a placeholder clip, mode by mode: frames without words, one after another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from PIL import Image

from tasks.emulator.backdrop import Backdrop, number_of, placeholder_picture
from tasks.emulator.footage import read_clip_facts, read_frames
from tasks.emulator.picture import Frame, Zoom, blend, fit, from_image, paste, planes
from tasks.emulator.records import Source, TaskRecord
from tasks.emulator.state import StateStore
from tasks.emulator.stills import open_image

__all__ = ["Scene", "scene_of"]

_DRIFT = 0.08  # how much a still is enlarged at most
_PLACEHOLDER_RATE = Fraction(24)


@dataclass(frozen=True)
class Scene:
    """The frames of one clip: size in pixels, how many, frames a second, and the frames themselves."""

    width: int
    height: int
    frame_count: int
    rate: Fraction
    frames: Iterator[Frame]


def scene_of(task: TaskRecord, seed: int, store: StateStore) -> Scene:
    """The scene of one result of a task.

    Args:
        task: What was asked for.
        seed: The result's own.
        store: Where its inputs are.
    """
    if task.mode == "edit":
        return _edit(task, seed, store)
    width, height, count = task.width, task.height, task.frame_count
    if task.mode == "frames":
        stills = [from_image(fit(_image(source, store), width, height)) for source in task.sources]
        frames = _between(stills, width, height, count, seed)
    else:
        frames = _with_references(task, seed, store)
    return Scene(width, height, count, task.frames_per_second, frames)


def _image(source: Source, store: StateStore) -> Image.Image:
    if source.file is None:
        return placeholder_picture(source.url or "", source.width, source.height)
    return open_image(store.path(source.file))


def _footage(source: Source, store: StateStore, width: int, height: int) -> tuple[int, Fraction, Iterator[Frame]]:
    """Frame count, rate and frames of a video input, real or a placeholder."""
    if source.file is not None:
        path = store.path(source.file)
        facts = read_clip_facts(path)
        return facts.frame_count, facts.rate, read_frames(path, width, height)
    count = max(1, round(source.length_ms * _PLACEHOLDER_RATE / 1000))
    ground = Backdrop(number_of(source.url or ""), width, height)
    return (
        count,
        _PLACEHOLDER_RATE,
        (ground.at(index / float(_PLACEHOLDER_RATE) / 24) for index in range(count)),
    )


def _between(stills: list[Frame], width: int, height: int, count: int, seed: int) -> Iterator[Frame]:
    """From the first still, exactly, to the last one, exactly; with one still, away from it."""
    zooms = [Zoom(still, width, height) for still in stills]
    # Seeds differ in how far they go.
    reach = max(width, height) * _DRIFT * (0.6 + 0.4 * (seed % 1009) / 1008) / 4
    for index in range(count):
        way = index / (count - 1) if count > 1 else 0.0
        if len(zooms) == 1:
            yield zooms[0].at(reach * way)
            continue
        fade = min(1.0, max(0.0, (way - 0.3) / 0.4))
        fade = fade * fade * (3 - 2 * fade)
        if fade == 0:
            yield zooms[0].at(reach * way)
        elif fade == 1:
            yield zooms[1].at(reach * (1 - way))
        else:
            yield blend(zooms[0].at(reach * way), zooms[1].at(reach * (1 - way)), fade)


def _with_references(task: TaskRecord, seed: int, store: StateStore) -> Iterator[Frame]:
    """A moving ground with the reference pictures in a strip and the reference videos below it."""
    size = width, height = task.width, task.height
    ground = Backdrop(seed, width, height)
    stickers = _strip(task, store, size)
    videos = [source for source in task.sources if source.kind == "video"][:3]
    top = max((at[1] + patch_size[1] for _patch, patch_size, at in stickers), default=0)
    insets = [_Inset(source, store, size, (index, len(videos), top)) for index, source in enumerate(videos)]
    for index in range(task.frame_count):
        frame = ground.at(index / float(task.frames_per_second) / 40)
        for patch, patch_size, at in stickers:
            paste(frame, size, patch, patch_size, at)
        for inset in insets:
            inset.paste_next(frame)
        yield frame


def _even(value: float) -> int:
    return max(2, int(value) // 2 * 2)


def _strip(
    task: TaskRecord, store: StateStore, size: tuple[int, int]
) -> list[tuple[Frame, tuple[int, int], tuple[int, int]]]:
    """The reference pictures, side by side along the top: frames, their sizes, their places."""
    width, height = size
    images = [_image(source, store) for source in task.sources if source.kind == "image"]
    gap = _even(width / 60)
    if not images:
        return []
    aspects = sum(image.width / image.height for image in images)
    tall = min(height * 0.24, (width - gap * (len(images) + 1)) / aspects)
    placed = []
    left = gap
    for image in images:
        patch_size = (_even(tall * image.width / image.height), _even(tall))
        if left + patch_size[0] <= width and gap + patch_size[1] <= height:
            placed.append((from_image(fit(image, *patch_size)), patch_size, (left, gap)))
        left += patch_size[0] + gap
    return placed


class _Inset:
    """A reference video, played in its place; after its end its last frame stands."""

    def __init__(self, source: Source, store: StateStore, size: tuple[int, int], place: tuple[int, int, int]) -> None:
        width, height = size
        index, of, top = place
        cell = width / of
        scale = min(cell * 0.9 / source.width, height * 0.4 / source.height)
        self._frame_size = size
        self._size = (_even(source.width * scale), _even(source.height * scale))
        self._at = (_even(cell * index + (cell - self._size[0]) / 2), _even(top + height * 0.03))
        self._frames = _footage(source, store, *self._size)[2]
        self._shown: Frame | None = None

    def paste_next(self, frame: Frame) -> None:
        self._shown = next(self._frames, self._shown)
        if self._shown is not None:
            paste(frame, self._frame_size, self._shown, self._size, self._at)


def _edit(task: TaskRecord, seed: int, store: StateStore) -> Scene:
    """The source's own frames, tinted."""
    source = next(source for source in task.sources if source.role == "video")
    size = width, height = _even(source.width), _even(source.height)
    count, rate, frames = _footage(source, store, width, height)
    stickers = _strip(task, store, size)
    random = np.random.default_rng(seed)
    levels = np.arange(256, dtype=np.float32) - 128
    tints = [(128 + 0.55 * levels + random.uniform(-28, 28)).clip(16, 240).astype(np.uint8) for _plane in range(2)]

    def tinted() -> Iterator[Frame]:
        for frame in frames:
            drawn = frame.copy()
            for plane, tint in zip(planes(drawn, width, height)[1:], tints, strict=True):
                plane[:] = tint[plane]
            for patch, patch_size, at in stickers:
                paste(drawn, size, patch, patch_size, at)
            yield drawn

    return Scene(width, height, count, rate, tinted())
