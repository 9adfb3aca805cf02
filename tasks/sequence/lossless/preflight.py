"""Why clips cannot be joined without encoding them again: every reason, in words, before anything is made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from tasks.errors import MediaError
from tasks.media.thread import Stop
from tasks.sequence.lossless.coded import H264, Coded, Colours, read_coded
from tasks.sequence.lossless.cutting import kept_frames
from tasks.sequence.timeline import Cut, FilmLayout

__all__ = ["read_clips", "reasons", "why_not_lossless"]

# By `profile_idc`; those whose frames x264 makes, too.
PROFILES: Final = {66: "baseline", 77: "main", 100: "high"}
_PIX_FMT: Final = "yuv420p"
_LENGTH_BYTES: Final = 4
_BT709, _UNTAGGED, _LIMITED, _RANGE_UNTAGGED = 1, 2, 1, 0


def why_not_lossless(cuts: Sequence[Cut], layout: FilmLayout, *, from_start: bool = True) -> list[str]:
    """Every reason why a film of these cuts needs encoding, one sentence each; none means that it does not.

    Blocks, for some hundredths of a second a clip that was not read before.

    A clip can be joined so if its H.264 has the film's size, rate and colours (untagged ones are bt709, as
    everywhere here), if all clips tell a decoder the same (one set of parameters), and if nothing is done to its
    pictures. Its container may be another one and have other ticks: times are written anew.

    Args:
        cuts: In the film's order.
        layout: The film's size and rate.
        from_start: Whether the film begins with the first of them; otherwise they are some that follow one another.

    Raises:
        MediaError: A clip cannot be read.
    """
    return reasons(cuts, read_clips(Stop(), cuts), layout, from_start=from_start)


def read_clips(stop: Stop, cuts: Sequence[Cut]) -> list[Coded]:
    """What the cuts' clips are."""
    clips = []
    for cut in cuts:
        stop.check()
        try:
            clips.append(read_coded(cut.clip))
        except MediaError as error:
            error.shot = cut.shot
            raise
    return clips


def reasons(cuts: Sequence[Cut], clips: Sequence[Coded], layout: FilmLayout, *, from_start: bool = True) -> list[str]:
    """See `why_not_lossless`; `clips` are what was read of the cuts' clips."""
    found = []
    for number, (cut, clip) in enumerate(zip(cuts, clips, strict=True)):
        found += [f"shot '{cut.shot}': {words}" for words in _of_cut(cut, is_first=from_start and number == 0)]
        found += [f"shot '{cut.shot}': its clip {words}" for words in _of_clip(cut, clip, layout)]
        found += [f"shot '{cut.shot}': its clip {words} of shot '{cuts[0].shot}'" for words in _between(clips[0], clip)]
    for earlier, later in pairwise(cuts):
        if kept_frames(earlier, later) < 1:
            found.append(f"shot '{earlier.shot}': its only frame is also the first of shot '{later.shot}'")
    return found


def _of_cut(cut: Cut, *, is_first: bool) -> Iterator[str]:
    if cut.lead or cut.tail:
        yield f"{cut.lead + cut.tail} of its frames dissolve with those of another shot"
    if cut.fade_in or cut.fade_out:
        yield f"{cut.fade_in + cut.fade_out} of its frames fade from or to black"
    if cut.frames != cut.stop - cut.start:
        yield f"its {cut.stop - cut.start} frames become {cut.frames} of the film"
    if is_first and cut.start:
        yield f"the film begins with its frame {cut.start}, and a clip's first frame cannot be left out by copying"
    elif cut.start > 1:
        yield f"{cut.start} frames are cut off at its beginning, which cannot be left out by copying"


def _of_clip(cut: Cut, clip: Coded, layout: FilmLayout) -> Iterator[str]:
    if clip.codec != H264:
        yield f"is {clip.codec}, not {H264}"
    if (clip.width, clip.height) != (layout.width, layout.height):
        yield f"is {clip.width}x{clip.height} pixels, not {layout.width}x{layout.height}"
    if clip.pixel_aspect not in (None, 1):
        yield f"has pixels that are {clip.pixel_aspect} as wide as high, not square ones"
    if clip.rotation:
        yield f"is shown turned by {clip.rotation} degrees"
    if clip.pix_fmt != _PIX_FMT:
        yield f"is {clip.pix_fmt}, not {_PIX_FMT}"
    if clip.interlaced:
        yield "is interlaced"
    for name, value, allowed in _tags(clip.colours):
        if value not in allowed:
            yield f"has the colour {name} {value}, not {allowed[0]} (bt709 in limited range)"
    yield from _times(cut, clip, layout)
    if clip.codec == H264:
        yield from _coding(clip)


def _tags(colours: Colours) -> list[tuple[str, int, tuple[int, int]]]:
    return [
        ("range", colours.range, (_LIMITED, _RANGE_UNTAGGED)),
        ("matrix", colours.matrix, (_BT709, _UNTAGGED)),
        ("primaries", colours.primaries, (_BT709, _UNTAGGED)),
        ("transfer", colours.transfer, (_BT709, _UNTAGGED)),
    ]


def _times(cut: Cut, clip: Coded, layout: FilmLayout) -> Iterator[str]:
    if clip.hidden or clip.declared not in (None, clip.packets):
        shown = clip.packets - clip.hidden
        yield f"shows {shown} of {max(clip.packets, clip.declared or 0)} frames: an edit list hides the others"
    elif clip.packets < cut.stop:
        yield f"has {clip.packets} frames, not {cut.stop}"
    if len(clip.pts) < clip.packets or not clip.tick_s:
        yield "has frames without a time"
    elif not _even(clip, layout):
        if clip.rate and clip.rate != layout.rate:
            yield f"has {float(clip.rate):.6g} frames a second, not {float(layout.rate):.6g}"
        else:
            yield f"has frames at uneven times, not {float(layout.rate):.6g} a second"


def _even(clip: Coded, layout: FilmLayout) -> bool:
    """Whether each frame is at its place at the film's rate, but for the rounding to the clip's ticks."""
    times = sorted(clip.pts)
    ticks = 1 / (layout.rate * clip.tick_s)
    return all(abs(at - times[0] - number * ticks) < 1 for number, at in enumerate(times))


def _coding(clip: Coded) -> Iterator[str]:
    sets = clip.sets
    if sets is None:
        yield "does not keep its parameter sets as MP4 does"
        return
    if sets.length_bytes != _LENGTH_BYTES:
        yield f"has lengths of {sets.length_bytes} bytes before its units, not {_LENGTH_BYTES}"
    if sets.profile not in PROFILES:
        yield f"has the profile {clip.profile}, not one of {', '.join(PROFILES.values())}"
    if not clip.begins_whole or (clip.pts and clip.shown[0]):
        yield "has an open group of pictures at its beginning"
    if clip.retold:
        yield "tells decoders something new on the way (parameter sets inside)"


def _between(first: Coded, clip: Coded) -> Iterator[str]:
    if (clip.width, clip.height, clip.pix_fmt) != (first.width, first.height, first.pix_fmt):
        return
    if first.sets is None or clip.sets is None:
        return
    if clip.profile != first.profile:
        yield f"has the profile {clip.profile}, not the {first.profile}"
    elif clip.colours != first.colours:
        yield "has other colour tags than that"
    elif clip.sets.units != first.sets.units:
        yield "was encoded with other parameters (SPS, PPS) than that"
