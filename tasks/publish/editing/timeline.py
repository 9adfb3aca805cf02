"""A film's timeline as OpenTimelineIO holds it. Pure.

Dissolves are transitions: the later shot begins N frames before the earlier ends, so the cut stands in the middle of
these, the transition reaches over all N, and both clips have just the frames beyond the cut that it shows of them. The
timeline is as long as the film, and the same frames stand under each transition.

A transition that only the film has a name for (`wipeleft`) is a dissolve here, with that name in its metadata.

Fades are transitions, too, that reach over one side alone: from a gap or into one. Between a fade out and a fade in
that gap has no frames, since the film has none there that belong to no shot.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any, Final
from urllib.parse import quote

import opentimelineio as otio

from tasks.publish.editing.edit import Edit, Lane, Piece, Source, after_cut, before_cut, legible, one_line
from tasks.redaction import redact
from tasks.sequence.captions import Caption

__all__ = ["METADATA", "frames_at", "range_of", "timeline_of", "url_of"]

METADATA: Final = "shotchain"
"""The name under which our own data stands in a timeline's metadata."""

_DISSOLVE: Final = otio.schema.TransitionTypes.SMPTE_Dissolve
_NAMES: Final = {True: ("Cross Dissolve", "Fade In", "Fade Out"), False: ("Cross Fade", "Fade In", "Fade Out")}


def timeline_of(edit: Edit) -> otio.schema.Timeline:
    """Lay an edit out: one track of pictures, one a layer of sound, captions as markers over all of them.

    A picture's media references are its takes, by name (`take-1`), with the selected one active; a slate is one more
    (`slate`). Times are exact: sources at their own rate, the timeline at the film's. Media are named relative to the
    timeline's folder. Clips, references and the timeline itself tell under `metadata["shotchain"]` what they are.
    """
    timeline = otio.schema.Timeline(name=edit.title)
    _tell(timeline, edit.facts)
    timeline.global_start_time = frames_at(0, edit.rate)
    timeline.tracks.append(_track(edit.pictures, edit.rate))
    timeline.tracks.extend(_track(lane, edit.rate) for lane in edit.sounds)
    timeline.tracks.markers.extend(_marker(caption, edit.rate) for caption in edit.captions)
    return timeline


def frames_at(frames: Fraction | int, rate: Fraction) -> otio.opentime.RationalTime:
    """So many frames at a rate."""
    return otio.opentime.RationalTime(float(frames), float(rate))


def range_of(begin: int, frames: int, rate: Fraction) -> otio.opentime.TimeRange:
    """Frames `begin` … `begin + frames - 1` at a rate."""
    return otio.opentime.TimeRange(frames_at(begin, rate), frames_at(frames, rate))


def url_of(source: Source) -> str:
    """Where a source lies, as a URL relative to the timeline's folder."""
    return quote(source.name)


def _track(lane: Lane, rate: Fraction) -> otio.schema.Track:
    is_picture = lane.role == "picture"
    kind = otio.schema.TrackKind.Video if is_picture else otio.schema.TrackKind.Audio
    track = otio.schema.Track(name=lane.name, kind=kind)
    _tell(track, {"role": lane.role})
    track.extend(_items(lane.pieces, rate, *_NAMES[is_picture]))
    return track


def _items(
    pieces: tuple[Piece, ...], rate: Fraction, cross: str, fade_in: str, fade_out: str
) -> Iterator[otio.core.Composable]:
    before: Piece | None = None
    for piece in pieces:
        at = 0 if before is None else before.last
        # Where a fade meets another piece, the gap says that it goes through black, and not into that piece.
        touches = before is not None and piece.first == at
        if piece.first > at or (touches and before is not None and (before.fade_out or piece.fade_in)):
            yield otio.schema.Gap(source_range=range_of(0, piece.first - at, rate))
        if piece.lead:
            crossing = _transition(cross, before_cut(piece.lead), after_cut(piece.lead), rate)
            if piece.crossing:
                _tell(crossing, {"transition": piece.crossing})
            yield crossing
        if piece.fade_in:
            yield _transition(fade_in, 0, piece.fade_in, rate)
        yield _clip(piece, rate)
        if piece.fade_out:
            yield _transition(fade_out, piece.fade_out, 0, rate)
        before = piece


def _transition(name: str, before: int, behind: int, rate: Fraction) -> otio.schema.Transition:
    return otio.schema.Transition(
        name=name,
        transition_type=_DISSOLVE,
        in_offset=frames_at(before, rate),
        out_offset=frames_at(behind, rate),
    )


def _clip(piece: Piece, rate: Fraction) -> otio.schema.Clip:
    source = piece.source
    begins = (piece.start_s + (piece.first - piece.begin) / rate) * source.rate
    clip = otio.schema.Clip(
        name=source.file,
        # The source counts in its own frames, the timeline in the film's.
        source_range=otio.opentime.TimeRange(frames_at(begins, source.rate), frames_at(piece.last - piece.first, rate)),
    )
    _tell(clip, {**piece.facts, "gain_db": str(piece.gain_db)})
    takes = piece.takes or {otio.schema.Clip.DEFAULT_MEDIA_KEY: source}
    active = piece.take or otio.schema.Clip.DEFAULT_MEDIA_KEY
    clip.set_media_references({name: _reference(take) for name, take in takes.items()}, active)
    return clip


def _reference(source: Source) -> otio.schema.ExternalReference:
    reference = otio.schema.ExternalReference(
        target_url=url_of(source),
        available_range=range_of(0, source.frames, source.rate),
    )
    _tell(reference, source.facts)
    reference.name = source.file
    return reference


def _marker(caption: Caption, rate: Fraction) -> otio.schema.Marker:
    marker = otio.schema.Marker(
        name=one_line(caption.text),
        comment=legible(caption.text),
        color=otio.schema.MarkerColor.GREEN,
        marked_range=range_of(caption.begin, caption.end - caption.begin, rate),
    )
    _tell(marker, {"kind": "caption"})
    return marker


def _tell(item: otio.core.SerializableObjectWithMetadata, facts: Mapping[str, Any]) -> None:
    """Put our own data into an item that is made already.

    Given metadata while it makes an item, the library keeps a function of Python's until after Python has ended, and
    some processes that end so are aborted.
    """
    told = {name: legible(value) if isinstance(value, str) else value for name, value in facts.items()}
    item.metadata[METADATA] = redact(told)
