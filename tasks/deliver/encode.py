"""A film to one deliverable, as a graph of ffmpeg's: its pictures, and sound, captions and chapters where they fit in.

Colours are converted as `tasks.media.colour` says. A video is bt709 in limited range whatever its codec; what becomes a
picture file becomes RGB in full range, since such files mean that or mean another matrix.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import ffmpeg

from tasks.deliver.codecs import SOUNDS, options_of
from tasks.deliver.outline import Outline
from tasks.deliver.presets import Codec, Container, Preset
from tasks.errors import MediaError
from tasks.media.colour import BT709_SCALE, BT709_TAGS, SCALE_FLAGS, is_full_range, matrix_name
from tasks.media.reading import open_video
from tasks.sequence.encoding import Picture, laid_out, numbered, rate_of

__all__ = ["FilmSource", "encoding_of", "read_film"]

_DITHER: Final = "sierra2_4a"


@dataclass(frozen=True, slots=True)
class FilmSource:
    """The film that deliverables are made of. `captions` are WebVTT, where it has any; `chapters` where they begin."""

    path: Path
    picture: Picture
    title: str
    has_sound: bool
    chapters_s: tuple[float, ...]
    captions: Path | None


def read_film(path: Path, captions: Path | None) -> FilmSource:
    """Look into a film. Blocks for some milliseconds.

    Raises:
        MediaError: It cannot be read.
    """
    with open_video(path) as (container, stream):
        first = next(iter(container.decode(stream)), None)
        if first is None:
            raise MediaError("not one picture of this film can be decoded", file=str(path))
        chapters = [float(chapter["start"] * (chapter["time_base"] or 0)) for chapter in container.chapters()]
        return FilmSource(
            path=path,
            picture=Picture(first.width, first.height, matrix_name(first), is_full_range(first)),
            title=container.metadata.get("title", ""),
            has_sound=bool(container.streams.audio),
            chapters_s=tuple(chapters),
            captions=captions if container.streams.subtitles else None,
        )


def encoding_of(film: FilmSource, preset: Preset, outline: Outline, output: Path) -> Any:
    """The graph that writes a deliverable to `output`."""
    options: dict[str, Any] = {
        **options_of(preset, float(outline.layout.rate)),
        # By its name alone a single picture could be meant, or a row of them where a folder is called like one.
        "format": str(preset.container),
        "fps_mode": "cfr",
        "r": rate_of(outline.layout),
        "fflags": "+bitexact",
    }
    if preset.container.is_preview:
        streams = [_for_preview(film, preset, outline)]
    else:
        options |= BT709_TAGS
        streams = [_for_video(film, preset, outline), *_beside(film, preset, outline, options)]
        # What an MP4 says of its own kind is not true of another file. Chapters keep their titles.
        options["map_metadata:g"] = -1
        if film.title:
            options["metadata"] = f"title={film.title}"
    if preset.container in {Container.MP4, Container.MOV}:
        options |= {"movflags": "+faststart", "video_track_timescale": outline.layout.timescale}
    written = ffmpeg.output(*streams, str(output.absolute()), **options)
    # A picture that cannot be decoded is an error, and not to be filled up with the one before.
    return written.global_args("-xerror")


def _pictures(film: FilmSource, outline: Outline, **options: Any) -> Any:
    """The film's frames that are shown, at the deliverable's rate, in its size: `yuv420p`, bt709, limited range."""
    stream = ffmpeg.input(str(film.path.absolute()), **options)["v:0"].filter("trim", end_frame=outline.shown_frames)
    if outline.is_resampled:
        # Each stands until the next does; see `on_film_grid`, which does it for clips.
        stream = (
            stream.filter("fps", fps=rate_of(outline.layout), round="near", eof_action="pass")
            .filter("tpad", stop=-1, stop_mode="clone")
            .filter("trim", end_frame=outline.frames)
        )
    return laid_out(numbered(stream, outline.layout), film.picture, outline.layout, outline.fit)


def _for_video(film: FilmSource, preset: Preset, outline: Outline) -> Any:
    stream = _pictures(film, outline)
    if preset.codec is Codec.PRORES:
        # Limited range to limited range: what was 16 to 235 is 64 to 940, and no darker.
        same = {"in_color_matrix": "bt709", "in_range": "limited", **BT709_SCALE}
        stream = stream.filter("scale", **same).filter("format", "yuv422p10le")
    return stream.filter("setparams", color_primaries="bt709", color_trc="bt709", colorspace="bt709", range="limited")


def _for_preview(film: FilmSource, preset: Preset, outline: Outline) -> Any:
    if preset.codec is Codec.WEBP:
        # As YUV it would be taken for bt601, which WebP means; from RGB the encoder converts to that itself.
        return _rgb(_pictures(film, outline), "bgra")
    # The palette is known when all is seen. The film is read twice for it, and nothing is held in memory meanwhile;
    # ffmpeg-python takes inputs of equal options for one.
    palette = _rgb(_pictures(film, outline, thread_queue_size=8), "rgb24").filter("palettegen", stats_mode="diff")
    return ffmpeg.filter([_rgb(_pictures(film, outline), "rgb24"), palette], "paletteuse", dither=_DITHER)


def _rgb(stream: Any, pix_fmt: str) -> Any:
    scale = {"in_color_matrix": "bt709", "in_range": "limited", "out_range": "full", "in_chroma_loc": "left"}
    return stream.filter("scale", **scale, flags=SCALE_FLAGS).filter("format", pix_fmt)


def _beside(film: FilmSource, preset: Preset, outline: Outline, options: dict[str, Any]) -> list[Any]:
    """Streams of sound and captions, with their options. Chapters come along by themselves."""
    streams = []
    source = ffmpeg.input(str(film.path.absolute()))
    if film.has_sound:
        sound = SOUNDS[preset.container]
        if sound.encoder is None:
            streams.append(source["a:0"])
            options["acodec"] = "copy"
        else:
            # What AAC adds at the end to fill its last frame is cut off.
            whole = source["a:0"].filter("apad", whole_len=outline.samples).filter("atrim", end_sample=outline.samples)
            streams.append(whole)
            options |= {"acodec": sound.encoder, **sound.options}
    if film.captions is not None:
        # From the text that they were made of: converted back, words in angle brackets would be taken for markup.
        is_text = preset.container is Container.WEBM
        words = ffmpeg.input(str(film.captions.absolute()), format="webvtt") if is_text else source
        streams.append(words["s:0"])
        options["scodec"] = "copy"
    if outline.is_cut:
        # Sound, captions and chapters end where what is shown of the film does. At a rate of its own the last picture
        # may be shown for up to half of its time more, or less; it begins before that in any case.
        options["t"] = f"{float(outline.sound_s):.6f}"
    return streams
