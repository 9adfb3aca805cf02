"""What a picture or a video must be, so that the model takes it: the limits of the upstream model."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from pathlib import Path

from tasks.emulator.errors import WireError, invalid
from tasks.emulator.footage import ClipFacts, UnreadableClipError, read_clip_facts
from tasks.emulator.prices import milliseconds
from tasks.emulator.stills import UnreadableImageError, image_format, open_image

__all__ = [
    "MAX_IMAGE_BYTES",
    "check_image",
    "check_length",
    "check_video",
    "longest_video_s",
    "read_video",
    "too_large",
]

MAX_IMAGE_BYTES = 10 * 1000 * 1000
_IMAGE_FORMATS = ("JPEG", "PNG")
_MIN_SIDE_PX = 300
_MAX_ASPECT = Decimal("2.5")
_MAX_VIDEO_BYTES = 200 * 1000 * 1000
_VIDEO_FORMATS = ("MP4", "MOV")
_SHORTEST_S, _LONGEST_S = 3, 10
_USUAL_RATE = Fraction(24)


def longest_video_s(rate: Fraction) -> Decimal:
    """How long a video may be: ten seconds, and one frame that the longest clips of the model have beyond that.

    Args:
        rate: Frames a second of the clips that are made here, which can be inputs again.
    """
    return milliseconds(_LONGEST_S + 1 / min(rate, _USUAL_RATE))


def check_image(parameter: str, path: Path) -> tuple[int, int]:
    """Width and height in pixels of a picture that the model takes.

    Raises:
        WireError: It does not; the error names `parameter`.
    """
    size_bytes = path.stat().st_size
    if size_bytes > MAX_IMAGE_BYTES:
        raise too_large(parameter, "picture", size_bytes, MAX_IMAGE_BYTES)
    try:
        kind = image_format(path)
        if kind not in _IMAGE_FORMATS:
            raise _wrong_format(parameter, f"a {kind} picture", _IMAGE_FORMATS)
        width, height = open_image(path).size
    except UnreadableImageError as error:
        raise invalid(parameter, f"'{parameter}' has a picture that cannot be decoded: {error}.") from error
    if min(width, height) < _MIN_SIDE_PX:
        raise invalid(
            parameter,
            f"'{parameter}' has a picture of {width}x{height}; a side needs {_MIN_SIDE_PX} pixels or more.",
            min=_MIN_SIDE_PX,
        )
    if max(width, height) > _MAX_ASPECT * min(width, height):
        raise invalid(parameter, f"'{parameter}' has a picture of {width}x{height}; accepted are 1:2.5 to 2.5:1.")
    return width, height


def check_video(parameter: str, path: Path, longest_s: Decimal) -> ClipFacts:
    """Facts of a video that the model takes.

    Raises:
        WireError: It does not; the error names `parameter`.
    """
    size_bytes = path.stat().st_size
    if size_bytes > _MAX_VIDEO_BYTES:
        raise too_large(parameter, "video", size_bytes, _MAX_VIDEO_BYTES)
    facts = read_video(parameter, path)
    if facts.container != "mp4":  # one container, by either name
        raise _wrong_format(parameter, "a video in another container", _VIDEO_FORMATS)
    check_length(parameter, facts.length_ms, longest_s)
    return facts


def check_length(parameter: str, length_ms: int, longest_s: Decimal) -> None:
    """Refuse a video that is too short or too long.

    Raises:
        WireError: It is.
    """
    length_s = Decimal(length_ms).scaleb(-3)
    if not _SHORTEST_S <= length_s <= longest_s:
        raise invalid(
            parameter,
            f"'{parameter}' has a video of {length_s} s; accepted are {_SHORTEST_S} to {_LONGEST_S} s.",
            min=_SHORTEST_S,
            max=_LONGEST_S,
        )


def read_video(parameter: str, path: Path) -> ClipFacts:
    """Facts of any video.

    Raises:
        WireError: It cannot be decoded.
    """
    try:
        return read_clip_facts(path)
    except UnreadableClipError as error:
        raise invalid(parameter, f"'{parameter}' has a video that cannot be decoded: {error}.") from error


def too_large(parameter: str, kind: str, size_bytes: int, most_bytes: int) -> WireError:
    """The refusal of a file with too many bytes."""
    size_mb = f"{size_bytes / 1e6:.1f} MB"
    return invalid(
        parameter,
        f"'{parameter}' has a {kind} of {size_mb}; at most {most_bytes // 1_000_000} MB are accepted.",
        "valueTooLarge",
        max=most_bytes,
    )


def _wrong_format(parameter: str, what: str, accepted: tuple[str, ...]) -> WireError:
    return invalid(
        parameter, f"'{parameter}' has {what}; accepted are {' and '.join(accepted)}.", allowedValues=[*accepted]
    )
