"""One deliverable of a finished film: made once for the same film and preset, decoded, and kept with proof of it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.deliver.check import check_deliverable
from tasks.deliver.codecs import CODINGS, SOUNDS, VERSION, WORDS, options_of
from tasks.deliver.encode import FilmSource, encoding_of, read_film
from tasks.deliver.outline import Outline, outline_of
from tasks.deliver.presets import Preset
from tasks.media.ffmpeg import run, version
from tasks.media.files import mark_used, written_whole
from tasks.media.thread import finish_in_thread, in_thread
from tasks.plan.model import number
from tasks.sequence.parts import Progress, is_proven, proof_of, prove
from tasks.sequence.verify import FilmFacts

__all__ = ["Delivered", "copy_of", "deliver"]


@dataclass(frozen=True, slots=True)
class Delivered:
    """A deliverable that was decoded and is what it was to be. `reused` says that it was there before this run."""

    preset: Preset
    path: Path
    outline: Outline
    sound: str | None
    captions: str | None
    reused: bool

    def facts(self) -> Mapping[str, Any]:
        """What the manifest tells of it beside name, digest and length of its file; JSON-ready."""
        layout = self.outline.layout
        return {
            "preset": self.preset.name,
            "settings": self.preset.as_dict(),
            "container": str(self.preset.container),
            "codec": str(self.preset.codec),
            "sound_codec": self.sound,
            "captions_codec": self.captions,
            "width": layout.width,
            "height": layout.height,
            "pix_fmt": CODINGS[self.preset.codec].pix_fmt,
            "fps": number(layout.rate),
            "frames": self.outline.frames,
            "duration_s": number(self.outline.duration_s),
        }


async def deliver(
    path: Path,
    facts: FilmFacts,
    preset: Preset,
    captions: Path | None,
    folder: Path,
    on_frames: Progress | None = None,
) -> Delivered:
    """Make a deliverable of a film, or find it made.

    Args:
        path: The film.
        facts: What it was found to be.
        preset: What is to be made of it.
        captions: The film's captions as WebVTT, if it has any.
        folder: Where results are kept, under names made from content. Made if missing.
        on_frames: Told how many frames are encoded, now and then.

    Raises:
        MediaError: ffmpeg failed, or what it made is not what it was to be; nothing is kept.
        StorageUnreachable: There is no room for it.
    """
    outline = outline_of(facts, preset)
    film = await asyncio.to_thread(read_film, path, captions)
    made = folder / f"{await asyncio.to_thread(_key, film, facts, preset)}.{preset.suffix}"
    reused = await asyncio.to_thread(is_proven, made)
    if not reused:
        await _make(film, preset, outline, made, on_frames)
    mark_used(made)
    mark_used(proof_of(made))
    sound = SOUNDS.get(preset.container) if film.has_sound else None
    words = WORDS.get(preset.container) if film.captions else None
    return Delivered(preset, made, outline, sound.decoded_as if sound else None, words, reused)


def copy_of(delivered: Delivered, path: Path) -> None:
    """Copy a deliverable to where more is put into it: what is kept stays as its proof says. Blocks.

    Raises:
        StorageUnreachable: There is no room for it.
    """
    with written_whole(path) as temporary:
        shutil.copyfile(delivered.path, temporary)


async def _make(film: FilmSource, preset: Preset, outline: Outline, made: Path, on_frames: Progress | None) -> None:
    with written_whole(made) as temporary:
        await run(encoding_of(film, preset, outline, temporary), what=f"encode '{preset.name}'", on_frames=on_frames)
        await in_thread(check_deliverable, temporary, film, preset, outline)
    await finish_in_thread(prove, made)


def _key(film: FilmSource, facts: FilmFacts, preset: Preset) -> str:
    """A hash of all that a deliverable depends on."""
    known = {
        "film": facts.sha256,
        "captions": None if film.captions is None else hashlib.sha256(film.captions.read_bytes()).hexdigest(),
        "preset": preset.as_dict(),
        "options": options_of(preset, float(facts.rate)),
        "ffmpeg": version(),
        "version": VERSION,
    }
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:40]
