"""How pictures are brought to the film's layout and encoded: size, colours, times, H.264."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from tasks.media.colour import BT709_SCALE, BT709_TAGS
from tasks.sequence.timeline import FilmLayout

__all__ = ["ENCODER", "VERSION", "Picture", "encoded", "fitted_size"]

# Raise it when the same settings begin to give other pictures or other sound.
VERSION: Final = 3
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


@dataclass(frozen=True, slots=True)
class Picture:
    """What a stream's pictures are: size in pixels as displayed, the matrix of their colours, their range."""

    width: int
    height: int
    matrix: str
    full_range: bool


def encoded(stream: Any, picture: Picture, layout: FilmLayout, output: Path) -> Any:
    """The rest of a filter graph: each frame of `stream` becomes the next frame of `output`, in the film's layout.

    Smaller or other shapes are fitted and padded with black.
    """
    rate = f"{layout.rate.numerator}/{layout.rate.denominator}"
    width, height = fitted_size(picture.width, picture.height, layout)
    stream = (
        # From here on a frame's time is its number.
        stream.filter("settb", f"1/({rate})")
        .filter("setpts", "N")
        .filter(
            "scale",
            w=width,
            h=height,
            in_color_matrix=picture.matrix,
            in_range="full" if picture.full_range else "limited",
            **BT709_SCALE,
        )
        .filter("format", "yuv420p")
        .filter(
            "pad",
            w=layout.width,
            h=layout.height,
            x=(layout.width - width) // 4 * 2,
            y=(layout.height - height) // 4 * 2,
            color="black",
        )
        .filter("setsar", "1")
        .filter("setparams", color_primaries="bt709", color_trc="bt709", colorspace="bt709", range="limited")
    )
    return stream.output(
        str(output.absolute()),
        g=max(1, round(2 * layout.rate)),
        video_track_timescale=layout.timescale,
        # Times are whole frames already, so this drops and repeats nothing. It names the rate: without it the
        # encoder would take the clip's.
        fps_mode="cfr",
        r=rate,
        **ENCODER,
    )


def fitted_size(width: int, height: int, layout: FilmLayout) -> tuple[int, int]:
    """The largest even size of the shape `width` to `height` (as displayed) that fits into the film."""
    scale = min(Fraction(layout.width, width), Fraction(layout.height, height))
    return _even(width * scale, layout.width), _even(height * scale, layout.height)


def _even(length: Fraction, limit: int) -> int:
    return max(2, min(limit, 2 * round(length / 2)))
