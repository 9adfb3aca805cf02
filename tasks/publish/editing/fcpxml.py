"""A timeline as Final Cut Pro's XML (FCPXML 1.8), which Resolve opens, too. Pure.

It is written here and not by OpenTimelineIO's adapter, which leaves transitions out, names no size, and has no exact
times at television's rates: Final Cut takes no file whose times fall between its frames. What is written is what Final
Cut itself writes: dissolves stand over the cut between clips that meet there, and take what they show beyond it from
the clips' own frames; fades are of the clip's opacity or volume; sounds hang on the clip over which they begin.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Final

from tasks.publish.editing.edit import Edit, Piece, Source, before_cut, one_line
from tasks.publish.editing.timeline import url_of
from tasks.sequence.timeline import SAMPLE_RATE

__all__ = ["fcpxml"]

_VERSION: Final = "1.8"
_CROSS_DISSOLVE: Final = ("Cross Dissolve", "FxPlug:4731E73A-8DAC-4113-9A30-AE85B1761265")
_AUDIO_CROSSFADE: Final = ("Audio Crossfade", "FFAudioTransition")
# The rates that the format has names for; a clip of any other is conformed without being told so.
_NAMED_RATES: Final = {
    Fraction(24000, 1001): "23.98",
    Fraction(24): "24",
    Fraction(25): "25",
    Fraction(30000, 1001): "29.97",
    Fraction(30): "30",
    Fraction(48000, 1001): "47.95",
    Fraction(48): "48",
    Fraction(50): "50",
    Fraction(60000, 1001): "59.94",
    Fraction(60): "60",
}


def fcpxml(edit: Edit) -> tuple[str, list[str]]:
    """The timeline as XML, and in words what of it the format cannot hold.

    Media are named by URLs relative to the file (`./clips/lake-take1.mp4`). Takes that are not shown are clips of the
    event, beside the project.
    """
    return _Document(edit).text(), _losses(edit)


def _losses(edit: Edit) -> list[str]:
    return [
        f"'{piece.source.file}' is shown between black bars, not over a blurred ground"
        for piece in edit.reshaped("blur")
    ]


class _Document:
    """One document while it is built: its resources come before what refers to them."""

    def __init__(self, edit: Edit) -> None:
        self._edit = edit
        self._root = ET.Element("fcpxml", version=_VERSION)
        self._resources = ET.SubElement(self._root, "resources")
        self._formats: dict[tuple[int, int, Fraction], str] = {}
        self._assets: dict[str, str] = {}
        self._effects: dict[str, str] = {}
        self._filled = edit.reshaped("fill")
        self._used_s = {piece.source.name: piece.start_s + piece.frames / edit.rate for piece in edit.pictures.pieces}
        self._own_sound = {piece.shot: piece for lane in edit.sounds if lane.role == "effects" for piece in lane.pieces}
        self._film_format = self._format(edit.width, edit.height, edit.rate)

    def text(self) -> str:
        edit = self._edit
        library = ET.SubElement(self._root, "library")
        event = ET.SubElement(library, "event", name=edit.title)
        spine = self._spine()
        for source in edit.sources:
            self._asset(source)
        shown = {piece.source.name for piece in edit.pictures.pieces}
        for source in edit.sources:
            if source.has_picture and source.name not in shown:
                ET.SubElement(event, "asset-clip", self._asset_clip(source, self._duration_s(source)))
        project = ET.SubElement(event, "project", name=edit.title)
        sequence = ET.SubElement(
            project,
            "sequence",
            format=self._film_format,
            duration=self._time(edit.frames),
            tcStart="0s",
            tcFormat="NDF",
            audioLayout="stereo",
            audioRate="48k",
        )
        sequence.append(spine)
        ET.indent(self._root)
        body = ET.tostring(self._root, encoding="unicode")
        return f'<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE fcpxml>\n{body}\n'

    def _spine(self) -> ET.Element:
        spine = ET.Element("spine")
        sounds = list(self._connected())
        captions = {caption.begin: caption.text for caption in self._edit.captions}
        before: Piece | None = None
        for piece in self._edit.pictures.pieces:
            if before is not None and piece.lead:
                spine.append(self._transition(before, piece))
            clip = self._shot(piece)
            for lane, role, sound in sounds:
                if piece.first <= sound.begin < piece.last:
                    clip.append(self._sound(piece, sound, lane, role))
            if (words := captions.get(piece.begin)) is not None:
                start = _seconds(self._source_time(piece, piece.first))
                ET.SubElement(clip, "marker", start=start, duration=self._time(1), value=one_line(words))
            metadata = ET.SubElement(clip, "metadata")
            for key, value in (("scene", piece.shot or ""), ("shot", piece.take)):
                ET.SubElement(metadata, "md", key=f"com.apple.proapps.studio.{key}", value=value)
            spine.append(clip)
            before = piece
        return spine

    def _connected(self) -> Iterator[tuple[int, str, Piece]]:
        """Sounds that are no clip's own, each with its lane below the pictures."""
        lanes = [lane for lane in self._edit.sounds if lane.role != "effects"]
        for number, lane in enumerate(lanes, start=1):
            for piece in lane.pieces:
                yield -number, lane.role, piece

    def _shot(self, piece: Piece) -> ET.Element:
        edit, source = self._edit, piece.source
        facts = self._asset_clip(source, Fraction(piece.last - piece.first) / edit.rate)
        facts |= {"offset": self._time(piece.first), "start": _seconds(self._source_time(piece, piece.first))}
        clip = ET.Element("asset-clip", facts)
        if piece.note:
            ET.SubElement(clip, "note").text = piece.note
        if source.rate != edit.rate:
            # It is shown as fast as it was generated, and not frame for frame.
            named = _NAMED_RATES.get(source.rate)
            told = {} if named is None else {"srcFrameRate": named}
            ET.SubElement(clip, "conform-rate", {"scaleEnabled": "0", **told})
        if piece in self._filled:
            ET.SubElement(clip, "adjust-conform", type="fill")
        if piece.fade_in or piece.fade_out:
            self._fade(ET.SubElement(clip, "adjust-blend"), piece.fade_in, piece.fade_out)
        if (own := self._own_sound.get(piece.shot)) is not None:
            # Where pictures dissolve, so does the sound, with the transition.
            self._volume(clip, own.gain_db, piece.fade_in, piece.fade_out)
        return clip

    def _sound(self, over: Piece, sound: Piece, lane: int, role: str) -> ET.Element:
        # Sound need not end with a frame, and an edit must not reach beyond its media.
        duration_s = min(sound.frames / self._edit.rate, self._duration_s(sound.source))
        facts = self._asset_clip(sound.source, duration_s)
        # It is placed in the time of the clip on which it hangs.
        offset = _seconds(self._source_time(over, sound.begin))
        facts |= {"lane": str(lane), "offset": offset, "start": "0s", "audioRole": role}
        clip = ET.Element("asset-clip", facts)
        self._volume(clip, sound.gain_db, sound.fade_in, sound.fade_out)
        return clip

    def _transition(self, before: Piece, piece: Piece) -> ET.Element:
        begin = piece.first - before_cut(piece.lead)
        transition = ET.Element(
            "transition", name=_CROSS_DISSOLVE[0], offset=self._time(begin), duration=self._time(piece.lead)
        )
        self._filter(transition, "filter-video", *_CROSS_DISSOLVE)
        if {before.shot, piece.shot} & self._own_sound.keys():
            self._filter(transition, "filter-audio", *_AUDIO_CROSSFADE)
        return transition

    def _filter(self, transition: ET.Element, tag: str, name: str, uid: str) -> None:
        if uid not in self._effects:
            self._effects[uid] = self._new_id()
            ET.SubElement(self._resources, "effect", id=self._effects[uid], name=name, uid=uid)
        ET.SubElement(transition, tag, ref=self._effects[uid], name=name)

    def _volume(self, clip: ET.Element, gain_db: Decimal, fade_in: int, fade_out: int) -> None:
        if gain_db or fade_in or fade_out:
            # Final Cut takes decibels with and without the unit, Resolve without it alone.
            volume = ET.SubElement(clip, "adjust-volume", amount=f"{gain_db:f}")
            if fade_in or fade_out:
                self._fade(volume, fade_in, fade_out)

    def _fade(self, adjustment: ET.Element, fade_in: int, fade_out: int) -> None:
        amount = ET.SubElement(adjustment, "param", name="amount")
        for tag, frames in (("fadeIn", fade_in), ("fadeOut", fade_out)):
            if frames:
                ET.SubElement(amount, tag, type="linear", duration=self._time(frames))

    def _asset_clip(self, source: Source, duration_s: Fraction) -> dict[str, str]:
        facts = {"ref": self._asset(source), "name": source.file, "duration": _seconds(duration_s)}
        if source.has_picture:
            facts["format"] = self._format(source.width, source.height, source.rate)
        return facts

    def _asset(self, source: Source) -> str:
        if source.name not in self._assets:
            facts = {"name": source.file, "src": f"./{url_of(source)}", "start": "0s"}
            facts["duration"] = _seconds(self._duration_s(source))
            if source.has_picture:
                facts |= {"hasVideo": "1", "format": self._format(source.width, source.height, source.rate)}
            if source.has_sound:
                facts["hasAudio"] = "1"
            self._assets[source.name] = self._new_id()
            ET.SubElement(self._resources, "asset", {"id": self._assets[source.name], **facts})
        return self._assets[source.name]

    def _duration_s(self, source: Source) -> Fraction:
        """How long a source is. Its last frame may be held until a frame of the film is over."""
        if not source.has_picture:
            return Fraction(source.facts["samples"], SAMPLE_RATE)
        return max(source.frames / source.rate, self._used_s.get(source.name, Fraction(0)))

    def _format(self, width: int, height: int, rate: Fraction) -> str:
        key = (width, height, rate)
        if key not in self._formats:
            self._formats[key] = self._new_id()
            size = {"width": str(width), "height": str(height), "colorSpace": "1-1-1 (Rec. 709)"}
            ET.SubElement(
                self._resources, "format", {"id": self._formats[key], "frameDuration": _seconds(1 / rate), **size}
            )
        return self._formats[key]

    def _new_id(self) -> str:
        return f"r{len(self._formats) + len(self._assets) + len(self._effects) + 1}"

    def _source_time(self, piece: Piece, frame: int) -> Fraction:
        """The time in a piece's source, in seconds, at a frame of the film."""
        return piece.start_s + (frame - piece.begin) / self._edit.rate

    def _time(self, frames: int) -> str:
        return _seconds(frames / self._edit.rate)


def _seconds(time_s: Fraction) -> str:
    """A time as the format writes it: `121/24s`."""
    return f"{time_s.numerator}s" if time_s.denominator == 1 else f"{time_s.numerator}/{time_s.denominator}s"
