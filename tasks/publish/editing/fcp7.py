"""A timeline as Final Cut Pro 7 XML, which Premiere and Resolve open, too. Written by OpenTimelineIO's adapter.

The adapter is given what it knows to write, and in its own metadata what only this format has: the frame's size, how
loud a sound is, where in a transition the cut stands. What it cannot know is put into what it has written: which files
have pictures and which have sound, and that a transition between sounds is none between pictures.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

import opentimelineio as otio

from tasks.errors import MediaError
from tasks.publish.editing.edit import Edit, Lane, Piece, Source, before_cut
from tasks.publish.editing.timeline import frames_at, range_of, timeline_of, url_of

__all__ = ["fcp7_xml"]

_ADAPTER: Final = "fcp_xml"
_LOUDEST_DB: Final = Decimal(12)
"""By so much these editors raise a sound at most."""
_PREMIERE_TICKS: Final = 254_016_000_000
"""In a second."""
_EFFECTS: Final = {
    "video": {"name": "Cross Dissolve", "effectid": "Cross Dissolve", "effectcategory": "Dissolve"},
    "audio": {"name": "Cross Fade (+3dB)", "effectid": "KGAudioTransCrossFade3dB"},
}


def fcp7_xml(edit: Edit) -> tuple[str, list[str]]:
    """The timeline as XML, and in words what of it the format cannot hold.

    Media are named by URLs relative to the file (`./clips/lake-take1.mp4`).

    Raises:
        MediaError: The film has a rate of which the format has no timecode.
    """
    if not _has_timecode(edit.rate):
        raise MediaError(f"it has no timecode at {float(edit.rate):g} frames a second")
    losses = [
        f"the dissolve of one frame into '{piece.shot}' is a cut" for piece in edit.pictures.pieces if piece.lead == 1
    ]
    edit = replace(edit, pictures=_cut_short(edit.pictures, edit.rate))
    edit = replace(edit, sounds=tuple(_cut_short(lane, edit.rate) for lane in edit.sounds))
    timeline = timeline_of(edit)
    timeline.metadata[_ADAPTER] = _sequence(edit)
    pieces = [(lane, piece) for lane in (edit.pictures, *edit.sounds) for piece in lane.pieces]
    for number, (clip, (lane, piece)) in enumerate(zip(timeline.find_clips(), pieces, strict=True), start=1):
        _count_in_one_rate(clip, piece, edit.rate, losses)
        # Clips that are alike would be written once, without their places; with names of their own they are not.
        clip.metadata[_ADAPTER] = {"@id": f"clipitem-{number}", **_clip_facts(lane, piece, losses)}
    for track in timeline.tracks:
        if track.kind == otio.schema.TrackKind.Audio:
            track.metadata[_ADAPTER] = {"@currentExplodedTrackIndex": "0", "@premiereTrackType": "Stereo"}
        _prepare_transitions(track)
    return _completed(otio.adapters.write_to_string(timeline, _ADAPTER), edit), list(dict.fromkeys(losses))


def _cut_short(lane: Lane, rate: Fraction) -> Lane:
    """A dissolve of one frame would lie before the cut alone, and be taken for a fade out: it becomes a cut."""
    return replace(lane, pieces=tuple(_without_short(piece, rate) for piece in lane.pieces))


def _without_short(piece: Piece, rate: Fraction) -> Piece:
    if piece.tail == 1:
        piece = replace(piece, tail=0)
    if piece.lead != 1:
        return piece
    # The frame that both show is the earlier one's: the cut stands behind it.
    skipped = before_cut(1)
    begin, frames, start_s = piece.begin + skipped, piece.frames - skipped, piece.start_s + skipped / rate
    return replace(piece, lead=0, begin=begin, frames=frames, start_s=start_s)


def _sequence(edit: Edit) -> dict[str, Any]:
    picture = {"width": str(edit.width), "height": str(edit.height), "pixelaspectratio": "square"}
    facts = {**picture, "anamorphic": "FALSE", "fielddominance": "none"}
    return {"media": {"video": {"format": {"samplecharacteristics": facts}}}}


def _clip_facts(lane: Lane, piece: Piece, losses: list[str]) -> dict[str, Any]:
    if lane.role == "picture":
        return {"logginginfo": {"scene": piece.shot, "shottake": piece.take, "description": piece.note}}
    if piece.gain_db > _LOUDEST_DB:
        losses.append(f"'{piece.source.file}' is {piece.gain_db} dB louder in the film, and {_LOUDEST_DB} dB here")
    level = 10 ** (float(min(piece.gain_db, _LOUDEST_DB)) / 20)
    return {
        "@premiereChannelType": "stereo",
        "sourcetrack": {"mediatype": "audio", "trackindex": "1"},
        "filter": {
            "effect": {
                "name": "Audio Levels",
                "effectid": "audiolevels",
                "effectcategory": "audiolevels",
                "effecttype": "audiolevels",
                "mediatype": "audio",
                "parameter": {
                    "parameterid": "level",
                    "name": "Level",
                    "valuemin": "0",
                    "valuemax": "3.98109",
                    "value": f"{level:.5f}",
                },
            }
        },
    }


def _has_timecode(rate: Fraction) -> bool:
    return bool(otio.opentime.RationalTime.is_valid_timecode_rate(float(rate)))


def _count_in_one_rate(clip: otio.schema.Clip, piece: Piece, film_rate: Fraction, losses: list[str]) -> None:
    """The adapter counts all of a clip's range at one rate: here its own, as that of its file."""
    source, span = piece.source, clip.source_range
    rate, begins = source.rate, span.start_time
    if not _has_timecode(rate):
        told = f"times in '{source.file}' are of the film's frames: it has no timecode at its {float(rate):g} a second"
        losses.append(told)
        rate = film_rate
        # The first frame of the film at which the clip's own is shown.
        begins = frames_at(math.ceil(piece.start_s * rate) + piece.first - piece.begin, rate)
        length = math.ceil(source.frames / source.rate * rate)
        clip.media_reference.available_range = range_of(0, length, rate)
    clip.source_range = otio.opentime.TimeRange(begins, span.duration.rescaled_to(float(rate)))


def _prepare_transitions(track: otio.schema.Track) -> None:
    for before, here, behind in zip([None, *track[:-1]], track[:], [*track[1:], None], strict=True):
        if not isinstance(here, otio.schema.Transition):
            continue
        if track.kind == otio.schema.TrackKind.Video:
            ticks = here.in_offset.to_seconds() * _PREMIERE_TICKS
            here.metadata[_ADAPTER] = {"cutPointTicks": f"{ticks:.0f}"}
        # What the adapter adds to a clip's end is counted as the clip is, and so what it takes from a beginning.
        if isinstance(behind, otio.schema.Clip):
            here.in_offset = here.in_offset.rescaled_to(behind.source_range.duration)
        if isinstance(before, otio.schema.Clip):
            here.out_offset = here.out_offset.rescaled_to(before.source_range.duration)


def _completed(written: str, edit: Edit) -> str:
    root = ET.fromstring(written)  # noqa: S314 -- ours: the adapter wrote it a moment ago
    sources = {url_of(source): source for source in edit.sources}
    for file in root.iter("file"):
        path = file.find("pathurl")
        if path is not None:
            source = sources[path.text or ""]
            path.text = f"./{path.text}"
            _tell_streams(file, source)
    for duration in root.iterfind("./project/children/sequence/duration"):
        # Where a source has more frames a second than the film, the adapter counts the film in those.
        duration.text = str(edit.frames)
    for kind, effect in _EFFECTS.items():
        for written_effect in root.iterfind(f".//media/{kind}/track/transitionitem/effect"):
            for name in ("name", "effectid", "effectcategory", "mediatype"):
                for found in written_effect.findall(name):
                    written_effect.remove(found)
            for name, value in {**effect, "mediatype": kind}.items():
                ET.SubElement(written_effect, name).text = value
    ET.indent(root)
    body = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE xmeml>\n{body}\n'


def _tell_streams(file: ET.Element, source: Source) -> None:
    for media in file.findall("media"):
        file.remove(media)
    media = ET.SubElement(file, "media")
    if source.has_picture:
        video = ET.SubElement(media, "video")
        facts = ET.SubElement(video, "samplecharacteristics")
        ET.SubElement(facts, "width").text = str(source.width)
        ET.SubElement(facts, "height").text = str(source.height)
    if source.has_sound:
        ET.SubElement(media, "audio")
