"""One cut to the film's layout: size, rate, pixel format, colours, sound. Kept by content, so made once."""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import ffmpeg

from tasks.errors import BadInput, MediaError
from tasks.media.ffmpeg import version
from tasks.media.files import mark_used
from tasks.media.probe import probe_picture
from tasks.media.thread import Stop, in_thread
from tasks.sequence.encoding import ENCODER, VERSION, encoded, laid_out, laid_over, parameter_sets
from tasks.sequence.parts import Progress, is_proven, made_part, proof_of, prove
from tasks.sequence.sound.decode import write_sound
from tasks.sequence.source import Source, inspect, on_film_grid
from tasks.sequence.timeline import Cut, FilmLayout, sample_at

__all__ = ["Conformed", "conform", "conformed_key", "content_key", "overlay_id", "pictures_of"]


@dataclass(frozen=True, slots=True)
class Conformed:
    """A cut in the film's layout.

    `picture` is H.264 without sound that shows the shot alone: `body` frames, between `lead` frames in which it
    dissolves with the shot before and `tail` frames in which it does with the one behind. `sound`, if any, is PCM as
    long as all `frames`.
    """

    shot: str
    picture: Path
    sound: Path | None
    frames: int
    lead: int = 0
    tail: int = 0

    @property
    def body(self) -> int:
        """How many frames `picture` has."""
        return self.frames - self.lead - self.tail


async def conform(
    cut: Cut,
    layout: FilmLayout,
    folder: Path,
    *,
    overlay: Path | None = None,
    on_frames: Progress | None = None,
) -> Conformed:
    """Bring a cut to the film's layout, or find it done.

    The frames are the clip's own where they fall on the film's frames, else resampled by time, the last one held if
    they run short. A clip whose pictures are coded as this would code them is copied.

    Of `fade_in` frames, the first is black and frame i has the weight i / fade_in; of `fade_out`, the last is black,
    and the frame i before it has the weight i / fade_out.

    Args:
        cut: Which frames of which clip, and how they begin and end.
        layout: What they are brought to.
        folder: Where results are kept, under names made from content. Made if missing.
        overlay: A PNG of the film's size with alpha, which is put over every frame, and fades with it.
        on_frames: Told how many frames are encoded, now and then; not when they are found or copied.

    Raises:
        MediaError: The clip has too few frames, or it or the overlay cannot be decoded or converted.
        BadInput: The cut fades and dissolves at one end.
    """
    if (cut.lead and cut.fade_in) or (cut.tail and cut.fade_out):
        raise BadInput("a shot cannot fade where it dissolves", shot=cut.shot, advice="leave one of the two out")
    laid = None if overlay is None else await asyncio.to_thread(overlay_id, overlay, layout)
    # In a thread, as the first key asks ffmpeg for its version.
    picture = folder / f"{await asyncio.to_thread(conformed_key, cut, layout, laid)}.mp4"
    try:
        source = await asyncio.to_thread(inspect, cut, layout)
        sound = await _sound_of(cut, layout, source, folder)
        is_copied = await _is_copied(cut, layout, source, overlay)

        def graph(output: Path) -> Any:
            if is_copied:
                return _copied(cut, layout, source, output)
            return _encoded(cut, layout, source, overlay, output)

        await made_part(picture, graph, layout, cut.body, what=f"conform {cut.clip.name}", on_frames=on_frames)
    except MediaError as error:
        error.shot = cut.shot
        raise
    return Conformed(cut.shot, picture, sound, cut.frames, cut.lead, cut.tail)


def conformed_key(cut: Cut, layout: FilmLayout, overlay: str | None = None) -> str:
    """The name of a picture: a hash of all on which it depends; `overlay` is what `overlay_id` gives."""
    return content_key(
        layout,
        clip=cut.clip_id,
        frames=[cut.start, cut.stop, cut.frames],
        transitions=[cut.lead, cut.tail, cut.fade_in, cut.fade_out],
        fit=cut.fit,
        overlay=overlay,
    )


def content_key(layout: FilmLayout, **facts: object) -> str:
    """A hash of facts, together with the layout and the encoder."""
    known = {
        "layout": [layout.width, layout.height, str(layout.rate)],
        "encoder": ENCODER,
        "ffmpeg": _version(),
        "version": VERSION,
    }
    return hashlib.sha256(json.dumps(known | facts, sort_keys=True).encode()).hexdigest()[:40]


def overlay_id(overlay: Path, layout: FilmLayout) -> str:
    """The sha256 of a picture that is to be put over the film's. Blocks.

    Raises:
        MediaError: It is not there, no picture, or of another size.
    """
    facts = probe_picture(overlay)
    if (facts.width, facts.height) != (layout.width, layout.height):
        raise MediaError(
            f"this picture of {facts.width}x{facts.height} cannot be put over a film of {layout.width}x{layout.height}",
            file=str(overlay),
        )
    return hashlib.sha256(overlay.read_bytes()).hexdigest()


def pictures_of(cut: Cut, layout: FilmLayout, source: Source, first: int, frames: int, *, again: bool = False) -> Any:
    """Frames `first` … `first + frames - 1` of the film, counted from the cut's first, laid out.

    `again`: see `on_film_grid`.
    """
    stream = on_film_grid(cut, layout, source, again=again).filter("trim", start_frame=first, end_frame=first + frames)
    return laid_out(stream, source.picture, layout, cut.fit)


def _encoded(cut: Cut, layout: FilmLayout, source: Source, overlay: Path | None, output: Path) -> Any:
    stream = pictures_of(cut, layout, source, cut.lead, cut.body)
    if overlay is not None:
        stream = laid_over(stream, overlay, layout)
    if cut.fade_in:
        stream = stream.filter("fade", type="in", start_frame=0, nb_frames=cut.fade_in)
    if cut.fade_out:
        # The filter's first frame is not darkened yet, and the one behind its last is black.
        stream = stream.filter("fade", type="out", start_frame=cut.body - 1 - cut.fade_out, nb_frames=cut.fade_out)
    return encoded(stream, layout, output)


async def _is_copied(cut: Cut, layout: FilmLayout, source: Source, overlay: Path | None) -> bool:
    if source.parameter_sets is None or overlay is not None or cut.body != cut.frames or cut.fade_in or cut.fade_out:
        return False
    return source.parameter_sets == await parameter_sets(layout)


def _copied(cut: Cut, layout: FilmLayout, source: Source, output: Path) -> Any:
    stream = ffmpeg.input(str(cut.clip.absolute()))[str(source.stream_index)]
    return stream.output(
        str(output.absolute()),
        vcodec="copy",
        video_track_timescale=layout.timescale,
        map_metadata=-1,
        map_chapters=-1,
        fflags="+bitexact",
    )


async def _sound_of(cut: Cut, layout: FilmLayout, source: Source, folder: Path) -> Path | None:
    """The cut's sound, kept under a name of its own: it is the same however the pictures are shown."""
    if not source.has_sound:
        return None
    key = content_key(layout, clip=cut.clip_id, sound_frames=[cut.start, cut.frames])
    sound, samples = folder / f"{key}.f32", sample_at(cut.frames, layout.rate)
    if not await asyncio.to_thread(is_proven, sound):
        await in_thread(_write_proven, cut.clip, source.start_s, samples, sound)
    mark_used(sound)
    mark_used(proof_of(sound))
    return sound


def _write_proven(stop: Stop, clip: Path, start_s: Fraction, samples: int, sound: Path) -> None:
    write_sound(clip, start_s, samples, sound, stop)
    prove(sound)


@cache
def _version() -> str:
    # Another ffmpeg may encode otherwise, and parts of two would not be one film's.
    return version()
