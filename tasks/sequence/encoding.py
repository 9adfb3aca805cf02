"""How pictures are brought to the film's layout and encoded: size, shape, colours, times, H.264."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import ffmpeg

from tasks.media.colour import BT709_SCALE, BT709_TAGS
from tasks.media.ffmpeg import run
from tasks.media.reading import open_video
from tasks.sequence.timeline import FilmLayout
from tasks.storyboard.model import Fit

__all__ = [
    "ENCODER",
    "VERSION",
    "Picture",
    "covering_size",
    "encoded",
    "fitted_size",
    "laid_out",
    "laid_over",
    "numbered",
    "parameter_sets",
    "rate_of",
]

# Raise it when the same settings begin to give other pictures or other sound.
VERSION: Final = 4
ENCODER: Final[dict[str, str | int]] = {
    "vcodec": "libx264",
    # Superfast with veryfast's lookahead: as good and as small at two thirds of the time.
    "preset": "superfast",
    "x264-params": "mbtree=1:rc-lookahead=10",
    "crf": 17,
    "profile:v": "high",
    "pix_fmt": "yuv420p",
    **BT709_TAGS,
    # One: clips are encoded side by side, and x264's output depends on the number.
    "threads": 1,
    "map_metadata": -1,
    "map_chapters": -1,
    "fflags": "+bitexact",
    "flags": "+bitexact",
}

# A blurred picture is blurred small, at about so many lines, which costs little and looks the same.
_BLURRED_LINES: Final = 90
_BLUR_SIGMA_LINES: Final = 5
_BLUR_BRIGHTNESS: Final = 0.55
_BLUR_SATURATION: Final = 0.7

_KNOWN_SETS: Final[dict[FilmLayout, bytes]] = {}


@dataclass(frozen=True, slots=True)
class Picture:
    """What a stream's pictures are: size in pixels as displayed, the matrix of their colours, their range.

    The matrix is by the scale filter's name; it is `auto` where there is none, as in RGB.
    """

    width: int
    height: int
    matrix: str
    full_range: bool


def rate_of(layout: FilmLayout) -> str:
    """The film's rate as ffmpeg reads it."""
    return f"{layout.rate.numerator}/{layout.rate.denominator}"


def numbered(stream: Any, layout: FilmLayout) -> Any:
    """Give each frame its number for its time: the first is at 0, the next one frame of the film later."""
    return stream.filter("settb", f"1/({rate_of(layout)})").filter("setpts", "N")


def laid_out(stream: Any, picture: Picture, layout: FilmLayout, fit: Fit = Fit.FIT) -> Any:
    """Bring each frame to the film's size and shape, in its colours: `yuv420p`, bt709 in limited range.

    Args:
        stream: Frames as the decoder gives them, turned as the video says.
        picture: What they are.
        layout: The film's size.
        fit: What becomes of another shape. `fit` centres it on black, `fill` fills the film and cuts off at the
            sides what stands over, `blur` centres it on itself, filling the film, blurred and darkened.
    """
    size = fitted_size(picture.width, picture.height, layout)
    if size == (layout.width, layout.height):
        stream = _scaled(stream, picture, *size)
    elif fit is Fit.FILL:
        stream = _covering(stream, picture, layout.width, layout.height)
    elif fit is Fit.BLUR:
        both = stream.filter_multi_output("split")
        fitted = _scaled(both[1], picture, *size)
        stream = ffmpeg.overlay(_blurred(both[0], picture, layout), fitted, **_centred(size, layout))
    else:
        fitted = _scaled(stream, picture, *size)
        stream = fitted.filter("pad", w=layout.width, h=layout.height, color="black", **_centred(size, layout))
    return _tagged(stream)


def laid_over(stream: Any, overlay: Path, layout: FilmLayout) -> Any:
    """Put one picture with alpha, of the film's size, over each frame of a stream that is laid out and numbered."""
    # A name with a percent sign in it is no pattern.
    picture = ffmpeg.input(str(overlay.absolute()), format="png_pipe")["v:0"]
    picture = picture.filter("scale", in_range="full", **BT709_SCALE).filter("format", "yuva420p")
    return numbered(ffmpeg.overlay(stream, picture, format="yuv420"), layout)


def encoded(stream: Any, layout: FilmLayout, output: Path) -> Any:
    """The end of a graph: each frame of `stream`, which is laid out, becomes the next frame of `output`."""
    rate = rate_of(layout)
    written = numbered(_tagged(stream), layout).output(
        str(output.absolute()),
        g=max(1, round(2 * layout.rate)),
        video_track_timescale=layout.timescale,
        # Times are whole frames already, so this drops and repeats nothing. It names the rate: without it the
        # encoder would take the clip's.
        fps_mode="cfr",
        r=rate,
        **ENCODER,
    )
    # A picture that cannot be decoded is an error, and not to be filled up with the one before.
    return written.global_args("-xerror")


async def parameter_sets(layout: FilmLayout) -> bytes:
    """The one set of H.264 parameters (as in `avcC`) that our encoder gives to all parts of a film of this layout.

    It takes one black frame to know; the process remembers it.

    Raises:
        MediaError: ffmpeg cannot encode such a film.
    """
    if layout not in _KNOWN_SETS:
        source = f"color=black:s={layout.width}x{layout.height}:r={rate_of(layout)}"
        with tempfile.TemporaryDirectory(prefix="shotchain-") as folder:
            black = Path(folder) / "black.mp4"
            stream = ffmpeg.input(source, format="lavfi")["v:0"].filter("trim", end_frame=1).filter("format", "yuv420p")
            await run(encoded(stream, layout, black), what=f"encode {layout.width}x{layout.height}")
            with open_video(black) as (_, video):
                _KNOWN_SETS[layout] = bytes(video.codec_context.extradata or b"")
    return _KNOWN_SETS[layout]


def fitted_size(width: int, height: int, layout: FilmLayout) -> tuple[int, int]:
    """The largest even size of the shape `width` to `height` (as displayed) that fits into the film."""
    scale = min(Fraction(layout.width, width), Fraction(layout.height, height))
    return min(layout.width, _even(width * scale)), min(layout.height, _even(height * scale))


def covering_size(width: int, height: int, over_width: int, over_height: int) -> tuple[int, int]:
    """The smallest even size of the shape `width` to `height` (as displayed) that covers another size."""
    scale = max(Fraction(over_width, width), Fraction(over_height, height))
    return max(over_width, _even(width * scale)), max(over_height, _even(height * scale))


def _even(length: Fraction) -> int:
    return max(2, 2 * round(length / 2))


def _centred(size: tuple[int, int], layout: FilmLayout) -> dict[str, int]:
    """Where a fitted picture stands: a colour sample covers two pixels, so at even places."""
    return {"x": (layout.width - size[0]) // 4 * 2, "y": (layout.height - size[1]) // 4 * 2}


def _scaled(stream: Any, picture: Picture, width: int, height: int) -> Any:
    # From full to limited range in one matrix, swscale moves colours by half a code value; a table does not.
    by_table = picture.full_range and picture.matrix == "bt709"
    stream = stream.filter(
        "scale",
        w=width,
        h=height,
        in_color_matrix=picture.matrix,
        in_range="full" if picture.full_range else "limited",
        **BT709_SCALE | ({"out_range": "full"} if by_table else {}),
    ).filter("format", "yuv420p")
    if by_table:
        # It cuts decimals off.
        chroma = "128.5+(val-128)*224/255"
        stream = stream.filter("lutyuv", y="16.5+val*219/255", u=chroma, v=chroma)
    return _tagged(stream)


def _covering(stream: Any, picture: Picture, width: int, height: int) -> Any:
    size = covering_size(picture.width, picture.height, width, height)
    x, y = ((whole - shown) // 4 * 2 for whole, shown in zip(size, (width, height), strict=True))
    return _scaled(stream, picture, *size).filter("crop", w=width, h=height, x=x, y=y)


def _blurred(stream: Any, picture: Picture, layout: FilmLayout) -> Any:
    smaller = max(Fraction(1), Fraction(min(layout.width, layout.height), _BLURRED_LINES))
    small = _covering(stream, picture, _even(layout.width / smaller), _even(layout.height / smaller))
    chroma = f"128+(val-128)*{_BLUR_SATURATION}"
    return (
        small.filter("gblur", sigma=_BLUR_SIGMA_LINES)
        .filter("scale", w=layout.width, h=layout.height, flags="bicubic")
        .filter("lutyuv", y=f"16+(val-16)*{_BLUR_BRIGHTNESS}", u=chroma, v=chroma)
    )


def _tagged(stream: Any) -> Any:
    return stream.filter("setsar", "1").filter(
        "setparams", color_primaries="bt709", color_trc="bt709", colorspace="bt709", range="limited"
    )
