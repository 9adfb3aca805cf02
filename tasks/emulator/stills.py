"""Reading pictures: their format, and their pixels."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

__all__ = ["UnreadableImageError", "image_format", "open_image"]

_MAX_PIXELS = 80_000_000
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")


class UnreadableImageError(Exception):
    """Bytes that no decoder here takes for a picture. Its words are ours: a decoder's own name files and objects."""


def image_format(content: bytes | Path) -> str:
    """PNG, JPEG, WEBP, BMP or GIF, by what is in it. It need not be whole.

    Raises:
        UnreadableImageError: It is none of these.
    """
    with _opened(content) as image:
        # A phone's MPO is a JPEG with more pictures behind it.
        return "JPEG" if image.format == "MPO" else str(image.format)


def open_image(content: bytes | Path) -> Image.Image:
    """Decode a picture wholly, to RGB (transparency over black, turned as its EXIF says).

    Raises:
        UnreadableImageError: It is no PNG, JPEG, WebP, BMP or GIF, it is cut short, or it is enormous.
    """
    with _opened(content) as image:
        if image.width * image.height > _MAX_PIXELS:
            raise UnreadableImageError(f"it has {image.width}x{image.height} pixels")
        try:
            image.load()
            turned = _upright(image)
            if turned.mode in {"RGBA", "LA", "PA"} or "transparency" in turned.info:
                over = turned.convert("RGBA")
                ground = Image.new("RGBA", over.size, (0, 0, 0, 255))
                return Image.alpha_composite(ground, over).convert("RGB")
            return turned.convert("RGB")
        except (OSError, SyntaxError, ValueError, EOFError) as error:
            raise UnreadableImageError("it is damaged, or cut short") from error


@contextmanager
def _opened(content: bytes | Path) -> Iterator[Image.Image]:
    source = io.BytesIO(content) if isinstance(content, bytes) else content
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(source, formats=_FORMATS)
    except Image.DecompressionBombError as error:
        raise UnreadableImageError(f"it has more than {_MAX_PIXELS:,} pixels") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise UnreadableImageError("it is no PNG, JPEG, WebP, BMP or GIF") from error
    with image:
        yield image


def _upright(image: Image.Image) -> Image.Image:
    turn = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }.get(image.getexif().get(0x0112, 1))
    return image if turn is None else image.transpose(turn)
