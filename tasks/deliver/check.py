"""A deliverable, decoded to its end: that it is what it was to be. An encoder's exit code proves nothing."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Final, NoReturn

from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL import Image, UnidentifiedImageError

from tasks.deliver.codecs import CODINGS, SOUNDS, WORDS
from tasks.deliver.encode import FilmSource
from tasks.deliver.outline import Outline
from tasks.deliver.presets import Container, Preset
from tasks.errors import MediaError
from tasks.media.boxes import moov_before_mdat
from tasks.media.reading import open_video
from tasks.media.thread import Stop
from tasks.sequence.timeline import SAMPLE_RATE

__all__ = ["check_deliverable"]

# Of matrix, primaries, transfer and range: bt709, limited.
_BT709_LIMITED: Final = (1, 1, 1, 1)
# How coarsely a container tells times, in seconds; those of MP4 and MOV are exact.
_TICK_S: Final = {Container.WEBM: Fraction(1, 1000), Container.GIF: Fraction(1, 100), Container.WEBP: Fraction(1, 1000)}
# A frame of AAC; Opus has a little less, and PCM ends where the pictures do.
_SOUND_SLACK: Final = 1024
_MILLISECOND: Final = Fraction(1, 1000)


def check_deliverable(stop: Stop, path: Path, film: FilmSource, preset: Preset, outline: Outline) -> None:
    """Decode a deliverable to its end, pictures and sound. Blocks.

    Checked are: the count of frames, that each is whole, of the right size and pixels, and shown when it should be; the
    codec, and the colours that a video declares; the sound's codec, beginning and length; captions and chapters.

    Raises:
        MediaError: Something differs; the message says what.
    """
    if preset.container.is_preview:
        _check_preview(stop, path, preset, outline)
        return
    if preset.container is not Container.WEBM and not moov_before_mdat(path):
        _fail("its index is behind its pictures", path)
    with open_video(path) as (container, stream):
        _check_tracks(container, stream, film, preset, outline, path)
        _check_pictures(stop, container, stream, preset, outline, path)
    if film.has_sound:
        _check_sound(stop, path, outline)


def _check_tracks(
    container: InputContainer, stream: VideoStream, film: FilmSource, preset: Preset, outline: Outline, path: Path
) -> None:
    found = stream.codec_context.codec.canonical_name
    if found != CODINGS[preset.codec].decoded_as:
        _fail(f"its pictures are {found}", path)
    wanted = {
        "sound": SOUNDS[preset.container].decoded_as if film.has_sound else None,
        "captions": WORDS[preset.container] if film.captions else None,
    }
    for name, tracks in (("sound", container.streams.audio), ("captions", container.streams.subtitles)):
        there = [track.codec_context.codec.canonical_name for track in tracks]
        if there != ([wanted[name]] if wanted[name] else []):
            _fail(f"of {name} it has {', '.join(there) or 'none'}, not {wanted[name] or 'none'}", path)
    chapters = sum(begin_s < outline.sound_s for begin_s in film.chapters_s)
    if len(container.chapters()) != chapters:
        _fail(f"it has {len(container.chapters())} chapters, not {chapters}", path)


def _check_pictures(
    stop: Stop, container: InputContainer, stream: VideoStream, preset: Preset, outline: Outline, path: Path
) -> None:
    stream.thread_type = "AUTO"
    context, count = stream.codec_context, 0
    for frame in container.decode(stream):
        stop.check()
        _check_frame(frame, count, preset, outline, path)
        count += 1
    if count != outline.frames:
        _fail(f"it has {count} frames, not {outline.frames}", path)
    declared = tuple(
        int(it) for it in (context.colorspace, context.color_primaries, context.color_trc, context.color_range)
    )
    if declared != _BT709_LIMITED:
        _fail(f"its colours are declared as {declared}, and not as bt709 in limited range", path)


def _check_frame(frame: VideoFrame, number: int, preset: Preset, outline: Outline, path: Path) -> None:
    layout, pix_fmt = outline.layout, CODINGS[preset.codec].pix_fmt
    if frame.is_corrupt or (not number and not frame.key_frame):
        _fail(f"frame {number} is damaged, or needs one that is not there", path)
    if (frame.width, frame.height, frame.format.name) != (layout.width, layout.height, pix_fmt):
        _fail(f"frame {number} has {frame.width}x{frame.height} pixels of {frame.format.name}", path)
    at_s = (frame.pts or 0) * (frame.time_base or Fraction(0))
    if abs(at_s - number / layout.rate) > _TICK_S.get(preset.container, 0):
        _fail(f"frame {number} is shown at {float(at_s):.6f} s, not {float(number / layout.rate):.6f} s", path)


def _check_sound(stop: Stop, path: Path, outline: Outline) -> None:
    with open_video(path) as (container, _):
        stream = container.streams.audio[0]
        begin_s: Fraction | None = None
        samples = 0
        for frame in container.decode(stream):
            stop.check()
            if begin_s is None:
                begin_s = (frame.pts or 0) * (frame.time_base or Fraction(0))
            samples += frame.samples
        if stream.rate != SAMPLE_RATE or stream.channels != 2:
            _fail(f"its sound has {stream.channels} channels at {stream.rate} Hz", path)
    if begin_s is None or abs(begin_s) > _MILLISECOND:
        _fail("its sound does not begin with its pictures", path)
    if abs(samples - outline.samples) > _SOUND_SLACK:
        _fail(f"its sound lasts {samples} samples, not {outline.samples}", path)


def _check_preview(stop: Stop, path: Path, preset: Preset, outline: Outline) -> None:
    size, shown_ms = (outline.layout.width, outline.layout.height), 0
    try:
        with Image.open(path) as image:
            count: int = getattr(image, "n_frames", 1)
            kind = (image.format or "").lower()
            for number in range(count):
                stop.check()
                image.seek(number)
                image.load()
                if image.size != size:
                    _fail(f"frame {number} has {image.width}x{image.height} pixels", path)
                shown_ms += round(image.info.get("duration", 0))
    except (OSError, SyntaxError, ValueError, EOFError, UnidentifiedImageError, Image.DecompressionBombError) as cause:
        raise MediaError(f"this deliverable cannot be decoded: {cause}", file=str(path)) from cause
    if (kind, count) != (str(preset.container), outline.frames):
        _fail(f"it is {kind or 'nothing known'} of {count} frames, not {preset.container} of {outline.frames}", path)
    # A single picture has no times.
    if count > 1 and abs(Fraction(shown_ms, 1000) - outline.exact_s) > _TICK_S[preset.container]:
        _fail(f"its frames are shown for {shown_ms / 1000:.3f} s, not {float(outline.exact_s):.3f} s", path)


def _fail(difference: str, path: Path) -> NoReturn:
    raise MediaError(f"the deliverable is not what it was to be: {difference}", file=str(path))
