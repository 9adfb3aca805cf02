"""Pictures and videos that a request names: found, decoded and measured when the task is accepted.

Nothing is ever fetched. A remote URL that is not held here stands for a placeholder, made from its text.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from PIL import Image

from tasks.emulator.errors import WireError, invalid
from tasks.emulator.fields import is_http_url, is_uuid4
from tasks.emulator.footage import ClipFacts, UnreadableClipError, read_clip_facts
from tasks.emulator.records import MediaKind, Source, UploadRecord
from tasks.emulator.rules import InputRef
from tasks.emulator.state import StateStore

__all__ = ["PLACEHOLDER_SIZE", "UnreadableImageError", "open_image", "read_upload", "resolve"]

PLACEHOLDER_SIZE = (1280, 720)
PLACEHOLDER_LENGTH_MS = 6000
_MAX_IMAGE_BYTES = 10 * 1000 * 1000
_MIN_SIDE_PX = 300
_MAX_ASPECT = Decimal("2.5")
_MAX_PIXELS = 80_000_000
_IMAGE_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")
_OWN_PATH = re.compile(r"/(video|media)/([0-9a-f-]{36})\.(\w+)", re.IGNORECASE)
_LOOPBACK = re.compile(r"localhost|127(\.\d+){3}|::1|0\.0\.0\.0", re.IGNORECASE)
_VIDEO_SUFFIX = re.compile(r"\.(mp4|mov|webm|m4v|mkv)$", re.IGNORECASE)
_DATA_URI = re.compile(r"data:([\w.+-]+/[\w.+-]+)?((?:;[\w-]+=[^;,]*)*)(;base64)?,(.*)", re.IGNORECASE | re.DOTALL)


class UnreadableImageError(Exception):
    """Bytes that no decoder here takes for a picture."""


@dataclass(frozen=True)
class _Found:
    """Where named media are: a file below the state folder, or the URL of a placeholder."""

    file: str | None
    url: str | None
    kind: MediaKind | None = None


def open_image(content: bytes | Path) -> Image.Image:
    """Decode a picture wholly, to RGB (transparency over black, turned as its EXIF says).

    Raises:
        UnreadableImageError: It is no PNG, JPEG, WebP, BMP or GIF, it is cut short, or it is enormous.
    """
    try:
        source = io.BytesIO(content) if isinstance(content, bytes) else content
        with Image.open(source, formats=_IMAGE_FORMATS) as image:
            if image.width * image.height > _MAX_PIXELS:
                raise UnreadableImageError(f"it has {image.width}x{image.height} pixels")
            image.load()
            turned = _upright(image)
            if turned.mode in {"RGBA", "LA", "PA"} or "transparency" in turned.info:
                over = turned.convert("RGBA")
                ground = Image.new("RGBA", over.size, (0, 0, 0, 255))
                return Image.alpha_composite(ground, over).convert("RGB")
            return turned.convert("RGB")
    except (
        OSError,
        SyntaxError,
        ValueError,
        EOFError,
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
    ) as error:
        raise UnreadableImageError(str(error)) from error


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


def resolve(refs: Sequence[InputRef], store: StateStore, now: float) -> tuple[Source, ...]:
    """Find, decode and measure every input of a task.

    Args:
        refs: The inputs as the request names them.
        store: Where uploads and earlier results are.
        now: Unix seconds, against which results expire.

    Raises:
        WireError: One cannot be used; it names the parameter.
    """
    return tuple(_resolve_one(ref, store, now) for ref in refs)


def _resolve_one(ref: InputRef, store: StateStore, now: float) -> Source:
    kind: MediaKind = "video" if ref.role in {"video", "referenceVideo"} else "image"
    found = _find(ref.text, ref.parameter, kind, store, now)
    if found.kind not in {None, kind}:
        raise invalid(ref.parameter, f"'{ref.parameter}' needs {_a(kind)}, and this is not one.")
    file = found.file
    if file is None:
        url = found.url or ""
        entry = store.remote(url)
        if not isinstance(entry.get("file"), str):
            content = hashlib.sha256(url.encode()).hexdigest()
            width, height = PLACEHOLDER_SIZE
            length_ms = int(Decimal(str(entry.get("duration_s", "6"))) * 1000) if kind == "video" else 0
            return Source(ref.role, kind, content, None, url, width, height, length_ms)
        file = str(entry["file"])
    path = store.path(file)
    content = hashlib.sha256(path.read_bytes()).hexdigest()
    if kind == "image":
        width, height = _check_image(ref.parameter, path)
        return Source(ref.role, kind, content, file, None, width, height)
    facts = _read_video(ref.parameter, path)
    return Source(ref.role, kind, content, file, None, facts.width, facts.height, facts.length_ms)


def _a(kind: MediaKind) -> str:
    return "a picture" if kind == "image" else "a video"


def _find(text: str, parameter: str, kind: MediaKind, store: StateStore, now: float) -> _Found:
    if is_uuid4(text):
        return _find_uuid(text.lower(), parameter, store, now)
    if re.match(r"https?:", text, re.IGNORECASE):
        if not is_http_url(text):
            raise invalid(parameter, f"'{parameter}' has a URL that cannot be read.", type="string")
        return _find_url(text, parameter, store, now)
    if kind == "video":
        raise invalid(parameter, f"'{parameter}' must be a UUID or an http(s) URL of a video.", type="string")
    content = decode_inline(text)
    if content is None:
        raise invalid(parameter, f"'{parameter}' must be a UUID, an http(s) URL, a data URI or Base64.", type="string")
    if len(content) > _MAX_IMAGE_BYTES:
        raise _too_large(parameter, len(content))
    return _Found(store.put_media(content), None)


def _find_uuid(media_uuid: str, parameter: str, store: StateStore, now: float) -> _Found:
    upload = store.upload(media_uuid)
    if upload is not None:
        return _Found(upload.file, upload.url, upload.kind)
    task = store.task_of_video(media_uuid)
    result = task.result(media_uuid) if task else None
    outcome = store.outcome(media_uuid) if task else None
    if task is None or result is None or outcome is None or outcome.error or task.ended_at(result, outcome) > now:
        raise WireError("mediaNotFound", f"'{parameter}': there is no medium '{media_uuid}'.", parameter)
    if task.ttl_s is not None and now > task.ended_at(result, outcome) + task.ttl_s:
        raise WireError("mediaExpired", f"'{parameter}': the medium '{media_uuid}' has expired.", parameter)
    return _Found(str(store.video_path(task, media_uuid).relative_to(store.root)), None, "video")


def _find_url(url: str, parameter: str, store: StateStore, now: float) -> _Found:
    parts = urlsplit(url)
    own = _OWN_PATH.fullmatch(parts.path)
    if own and is_uuid4(own[2]):
        media_uuid = own[2].lower()
        # Held under whatever name this emulator is reached by; and what it could have handed out is not remote.
        is_held = store.upload(media_uuid) is not None or store.task_of_video(media_uuid) is not None
        if is_held or _LOOPBACK.fullmatch(parts.hostname or ""):
            return _find_uuid(media_uuid, parameter, store, now)
    # Ports change from run to run and say nothing about what a URL shows.
    host = parts.hostname or ""
    return _Found(None, urlunsplit((parts.scheme.lower(), host, parts.path, parts.query, "")))


def decode_inline(text: str) -> bytes | None:
    """Bytes of a data URI or of Base64 text; None if it is neither."""
    data = _DATA_URI.fullmatch(text)
    if data is not None:
        if not data[3]:
            return None
        text = data[4]
    try:
        return base64.b64decode(re.sub(r"\s+", "", text), validate=True) or None
    except (binascii.Error, ValueError):
        return None


def _too_large(parameter: str, size_bytes: int) -> WireError:
    return invalid(
        parameter,
        f"'{parameter}' has a picture of {size_bytes / 1e6:.1f} MB; at most 10 MB are accepted.",
        "valueTooLarge",
        max=_MAX_IMAGE_BYTES,
    )


def _check_image(parameter: str, path: Path) -> tuple[int, int]:
    if path.stat().st_size > _MAX_IMAGE_BYTES:
        raise _too_large(parameter, path.stat().st_size)
    try:
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


def _read_video(parameter: str, path: Path) -> ClipFacts:
    try:
        return read_clip_facts(path)
    except UnreadableClipError as error:
        raise invalid(parameter, f"'{parameter}' has a video that cannot be decoded: {error}.") from error


def read_upload(task: dict[str, Any], name: str, store: StateStore, media_uuid: str) -> UploadRecord:
    """What an upload task uploads in its field `name`: a picture, or for `mediaStorage` also a video.

    Raises:
        WireError: It is missing or cannot be decoded.
    """
    text = task.get(name)
    if not isinstance(text, str) or not text:
        raise WireError("missingParameter", f"'{name}' is required.", name, type="string")
    if is_http_url(text):
        found = _find_url(text, name, store, time.time())
        kind: MediaKind = "video" if _VIDEO_SUFFIX.search(urlsplit(text).path) else "image"
        suffix = ".mp4" if kind == "video" else ".png"
        if found.kind is not None:
            kind = found.kind
        return UploadRecord(media_uuid, kind, suffix, found.file, found.url)
    content = decode_inline(text)
    if content is None:
        raise invalid(name, f"'{name}' must be an http(s) URL, a data URI or Base64.", type="string")
    file = store.put_media(content)
    try:
        open_image(content)
    except UnreadableImageError as error:
        if name == "image":
            raise invalid(name, f"'{name}' cannot be decoded as a picture: {error}.") from error
        return UploadRecord(media_uuid, "video", f".{_read_video(name, store.path(file)).container}", file, None)
    with Image.open(io.BytesIO(content), formats=_IMAGE_FORMATS) as image:
        return UploadRecord(media_uuid, "image", f".{(image.format or 'png').lower()}", file, None)
