"""A timeline as an edit decision list (CMX 3600): pictures alone, in timecode. Written by OpenTimelineIO's adapter."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from typing import Final

import opentimelineio as otio

from tasks.errors import MediaError
from tasks.publish.editing.edit import Edit, Lane, Piece
from tasks.publish.editing.timeline import frames_at, timeline_of

__all__ = ["edl"]

_ADAPTER: Final = "cmx_3600"
_MOST_EVENTS: Final = 999


def edl(edit: Edit) -> tuple[str, list[str]]:
    """The timeline as text, and in words what of it the format cannot hold.

    Reels are `S001T1` for take 1 of the first shot, `S002SL` for a slate, `TITLE` and `END` for cards; each event names
    its file in a comment.

    Raises:
        MediaError: A rate of which there is no timecode, or more events than a list can have.
    """
    if not otio.opentime.RationalTime.is_valid_timecode_rate(float(edit.rate)):
        raise MediaError(f"there is no timecode at {float(edit.rate):g} frames a second")
    # Black into which a shot fades is an event, too.
    events = sum(2 if piece.fade_out else 1 for piece in edit.pictures.pieces)
    if events > _MOST_EVENTS:
        raise MediaError(f"it has at most {_MOST_EVENTS} events, and the film would be {events}")
    losses = []
    if edit.sounds:
        losses.append("it has pictures alone, without sound")
    if edit.captions:
        losses.append("it has no captions")
    edit = replace(edit, pictures=_without_short_fades(edit.pictures, losses))
    timeline = timeline_of(edit)
    del timeline.tracks[1:]
    track = timeline.tracks[0]
    pieces, shots = iter(edit.pictures.pieces), 0
    for index, item in enumerate(track):
        if isinstance(item, otio.schema.Clip):
            piece = next(pieces)
            shots += piece.take != "card"
            _count_in_film_frames(item, piece, edit.rate)
            item.metadata[_ADAPTER] = {"reel": _reel(shots, piece)}
        elif isinstance(item, otio.schema.Gap) and index:
            # The adapter lengthens what is behind a transition towards its beginning, and black begins at 0.
            item.source_range = otio.opentime.TimeRange(track[index - 1].duration(), item.source_range.duration)
    mixed = [piece for piece in edit.pictures.pieces if piece.source.rate != edit.rate]
    if mixed:
        names = ", ".join(f"'{piece.source.file}'" for piece in mixed)
        losses.append(f"times in {names} are of the film's frames, since their own frames are others")
    written = otio.adapters.write_to_string(timeline, _ADAPTER, rate=float(edit.rate))
    return _with_count(written, edit.rate), losses


def _without_short_fades(lane: Lane, losses: list[str]) -> Lane:
    """A fade of one frame begins the later shot alone. Here a shot fades in from another event, which is not there."""
    pieces: list[Piece] = []
    for piece in lane.pieces:
        if pieces and piece.fade_in and not pieces[-1].fade_out:
            losses.append(f"the fade of one frame into '{piece.shot}' is a cut")
            pieces.append(replace(piece, fade_in=0))
        else:
            pieces.append(piece)
    return replace(lane, pieces=tuple(pieces))


def _count_in_film_frames(clip: otio.schema.Clip, piece: Piece, rate: Fraction) -> None:
    """A list counts sources, too, in frames of the film: the first of them that shows the clip's frame."""
    begins = math.ceil((piece.start_s + (piece.first - piece.begin) / rate) * rate)
    clip.source_range = otio.opentime.TimeRange(frames_at(begins, rate), clip.source_range.duration)


def _reel(number: int, piece: Piece) -> str:
    if piece.take == "card":
        return str(piece.shot).removesuffix(" card").upper()
    kind = "SL" if piece.take == "slate" else f"T{piece.take.removeprefix('take-')}"
    return f"S{number:03}{kind}"


def _with_count(written: str, rate: Fraction) -> str:
    """Say how timecode is counted, which readers take for dropping frames or not as they please otherwise."""
    drops = ";" in otio.opentime.to_timecode(frames_at(0, rate))
    title, _, events = written.partition("\n")
    return f"{title}\nFCM: {'DROP FRAME' if drops else 'NON-DROP FRAME'}\n{events}"
