"""What a timeline shows at each frame of the film, read from what was written, as an editor would read it.

A frame is what is seen at once: a tuple of `(file, time in the file)`, one in the middle of a shot, two in a dissolve.
Times are in seconds, exact where the format is.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, TypeAlias

import opentimelineio as otio

from tasks.plan.model import PlannedCard
from tests.publish.editing.films import Film

Frames: TypeAlias = list[tuple[tuple[str, Fraction], ...]]

_EVENT = re.compile(r"\d{3}  (\S+) +V +(C|D (\d{3})) +" + r" ".join([r"(\d\d:\d\d:\d\d[:;]\d\d)"] * 4))
_NAME = re.compile(r"\* (FROM|TO) CLIP NAME:  (.+)")


def shown_by_film(film: Film) -> Frames:
    """The truth: every scene from its first frame to its last, by the film's own arithmetic."""
    rate, media = film.plan.rate, film.media()
    frames = _dark(film.scenes[-1].end)
    for shot, scene in zip(film.plan.scenes, film.scenes, strict=True):
        if isinstance(shot, PlannedCard):
            name, clip_rate = media.cards[shot.id], rate
        elif shot.id in media.slates:
            name, clip_rate = media.slates[shot.id], rate
        else:
            name = media.takes[shot.id, shot.select]
            clip_rate = _clip_rate(film, shot.id, shot.select)
        for frame in range(scene.begin, scene.end):
            time_s = scene.cut.start / clip_rate + (frame - scene.begin) / rate
            frames[frame] += ((name.rpartition("/")[2], time_s),)
    return frames


def shown_as_cuts(film: Film) -> Frames:
    """The same with a cut in the middle of each dissolve; of an odd number of frames, the odd one is before it."""
    frames = shown_by_film(film)
    for scene in film.scenes:
        for number in range(scene.cut.lead):
            shown = frames[scene.begin + number]
            frames[scene.begin + number] = shown[:1] if number < (scene.cut.lead + 1) // 2 else shown[1:]
    return frames


def heard_by_film(film: Film, *, cut_short: bool = False) -> Frames:
    """Every sound of the film at each frame, in the order of their names.

    `cut_short`: where two clips' sounds cross over one frame, the earlier is heard alone.
    """
    rate, media, sounding = film.plan.rate, film.media(), [scene.conformed.sound is not None for scene in film.scenes]
    frames = _dark(film.scenes[-1].end)
    for index, (shot, scene) in enumerate(zip(film.plan.scenes, film.scenes, strict=True)):
        begin = scene.begin
        if isinstance(shot, PlannedCard):
            continue
        if cut_short and scene.cut.lead == 1 and sounding[index - 1]:
            begin += 1
        name = media.takes.get((shot.id, shot.select), "")
        for frame in range(begin, scene.end) if sounding[index] else ():
            clip_s = scene.cut.start / _clip_rate(film, shot.id, shot.select)
            frames[frame] += ((name.rpartition("/")[2], clip_s + (frame - scene.begin) / rate),)
    for name, begin, count, _ in sounds_of_film(film):
        for frame in range(begin, begin + count):
            frames[frame] += ((name, (frame - begin) / rate),)
    return [tuple(sorted(heard)) for heard in frames]


def sounds_of_film(film: Film) -> list[tuple[str, int, int, Fraction]]:
    """Narration, and each round of the music: its file, where it begins, its frames, and how long its material is."""
    rate, media, end = film.plan.rate, film.media(), film.scenes[-1].end
    found = []
    for shot, scene in zip(film.plan.scenes, film.scenes, strict=True):
        if shot.narration is not None:
            uri = shot.narration.media.uri
            samples = film.laid[uri].samples
            count = min(-(-samples * rate // 48_000), end - scene.begin)
            found.append((media.sounds[uri].rpartition("/")[2], scene.begin, int(count), Fraction(samples, 48_000)))
    if film.plan.music is not None:
        uri = film.plan.music.media.uri
        samples = film.laid[uri].samples
        # A round is 10 ms shorter than its material. What lasts less than a second is heard once.
        period = Fraction(samples - min(480, samples // 2), 48_000) * rate
        begin, number = 0, 1
        while begin < end and (number == 1 or period >= rate):
            behind = int(number * period + Fraction(1, 2)) if period >= rate else int(-(-samples * rate // 48_000))
            behind = min(behind, end)
            found.append((media.sounds[uri].rpartition("/")[2], begin, behind - begin, Fraction(samples, 48_000)))
            begin, number = behind, number + 1
    return found


def heard_by_tracks(tracks: Sequence[otio.schema.Track], film: Film) -> Frames:
    """All tracks of sound at once, in the order of their names."""
    frames = _dark(film.scenes[-1].end)
    for track in tracks:
        for number, heard in enumerate(shown_by_track(track, film.plan.rate)):
            frames[number] += heard
    return [tuple(sorted(heard)) for heard in frames]


def connected_by_fcpxml(text: str) -> list[tuple[str, Fraction, Fraction, int]]:
    """Sounds that hang on clips: the file, when it begins in the film, how long it is, its lane."""
    root = ET.fromstring(text)  # noqa: S314 -- written a moment ago
    found = []
    for clip in root.iterfind("./library/event/project/sequence/spine/asset-clip"):
        for sound in clip.iterfind("asset-clip"):
            begin = _seconds(clip.attrib["offset"]) + _seconds(sound.attrib["offset"]) - _seconds(clip.attrib["start"])
            length = _seconds(sound.attrib["duration"])
            found.append((sound.attrib["name"], begin, length, int(sound.attrib["lane"])))
    return found


def without_short_dissolves(film: Film, frames: Frames) -> Frames:
    """The same where a dissolve of one frame is a cut behind it."""
    short = {scene.begin for scene in film.scenes if scene.cut.lead == 1}
    return [shown[:1] if number in short else shown for number, shown in enumerate(frames)]


def shown_by_track(track: otio.schema.Track, rate: Fraction) -> Frames:
    """A track of OpenTimelineIO's, in which transitions reach over what is beside them."""
    frames = _dark(round(track.duration().to_seconds() * rate))
    items = list(track)
    for index, item in enumerate(items):
        if not isinstance(item, otio.schema.Clip):
            continue
        place = track.range_of_child_at_index(index)
        begin = _frame(place.start_time, rate)
        first = begin - _reach(items, index - 1, "in_offset", rate)
        last = _frame(place.end_time_exclusive(), rate) + _reach(items, index + 1, "out_offset", rate)
        source_s = Fraction(item.source_range.start_time.value) / Fraction(
            item.source_range.start_time.rate
        ).limit_denominator(1001)
        for frame in range(first, last):
            frames[frame] += ((item.name, (source_s + (frame - begin) / rate).limit_denominator(10**7)),)
    return frames


def shown_by_fcpxml(text: str) -> Frames:
    """A document of Final Cut's; its times are exact."""
    root = ET.fromstring(text)  # noqa: S314 -- written a moment ago
    sequence = root.find("./library/event/project/sequence")
    assert sequence is not None
    spine = sequence.find("spine")
    assert spine is not None
    formats = {found.attrib["id"]: _seconds(found.attrib["frameDuration"]) for found in root.iter("format")}
    step_s = formats[sequence.attrib["format"]]
    frames = _dark(_count(_seconds(sequence.attrib["duration"]), step_s))
    items = list(spine)
    for index, item in enumerate(items):
        if item.tag == "transition":
            continue
        begin = _count(_seconds(item.attrib["offset"]), step_s)
        end = begin + _count(_seconds(item.attrib["duration"]), step_s)
        first, last = begin, end
        if index and items[index - 1].tag == "transition":
            first = _count(_seconds(items[index - 1].attrib["offset"]), step_s)
        if index + 1 < len(items) and items[index + 1].tag == "transition":
            over = items[index + 1].attrib
            last = _count(_seconds(over["offset"]) + _seconds(over["duration"]), step_s)
        for frame in range(first, last):
            time_s = _seconds(item.attrib["start"]) + (frame - begin) * step_s
            frames[frame] += ((item.attrib["name"], time_s),)
    return frames


def shown_by_edl(text: str, rate: Fraction) -> Frames:
    """A list of events: the second line of a dissolve fades in over what is before it, which runs on beneath."""
    events: list[list[Any]] = []
    for line in text.splitlines():
        if found := _EVENT.fullmatch(line):
            reel, _, over = found[1], found[2], int(found[3] or 0)
            times = [_timecode(found[place], rate) for place in (4, 5, 6, 7)]
            if times[2] != times[3]:  # what lasts no time is where a dissolve comes from
                events.append([reel, over, times, ""])
        elif (found := _NAME.fullmatch(line)) and events[-1][0] != "BL" and (found[1] == "TO" or not events[-1][1]):
            events[-1][3] = found[2]
    frames = _dark(events[-1][2][3])
    for index, (reel, _, (source, _, begin, end), name) in enumerate(events):
        beneath = events[index + 1][1] if index + 1 < len(events) and events[index + 1][0] != "BL" else 0
        for frame in range(begin, end + beneath):
            if reel != "BL":
                frames[frame] += ((name, (source + frame - begin) / rate),)
        if reel == "BL":
            # Black comes over the last frames of the shot before, which go on beneath it.
            _, _, (before, _, before_begin, _), before_name = events[index - 1]
            for frame in range(begin, end):
                frames[frame] += ((before_name, (before + frame - before_begin) / rate),)
    return frames


def _clip_rate(film: Film, shot: str, take: int) -> Fraction:
    return next(taken.clip.rate for taken in film.takes if (taken.shot, taken.take) == (shot, take))


def _dark(frames: int) -> Frames:
    return [() for _ in range(frames)]


def _reach(items: Sequence[Any], index: int, side: str, rate: Fraction) -> int:
    """How far a transition reaches over the cut into a clip's frames beyond it; a fade does not."""
    if not 0 <= index < len(items) or not isinstance(items[index], otio.schema.Transition):
        return 0
    if items[index].metadata.get("fcp_xml", {}).get("alignment", "").endswith("-black"):
        return 0
    reach: otio.opentime.RationalTime = getattr(items[index], side)
    return _frame(reach, rate)


def _frame(time: otio.opentime.RationalTime, rate: Fraction) -> int:
    frame: float = time.to_seconds() * float(rate)
    assert abs(frame - round(frame)) < 1e-6
    return round(frame)


def _seconds(text: str) -> Fraction:
    return Fraction(text.removesuffix("s"))


def _count(time_s: Fraction, step_s: Fraction) -> int:
    count = time_s / step_s
    assert count.denominator == 1, f"{time_s} s is between frames"
    return int(count)


def _timecode(text: str, rate: Fraction) -> int:
    return int(otio.opentime.from_timecode(text, float(rate)).value)
