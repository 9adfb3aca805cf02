"""Pictures and videos that a request names: found, decoded and measured when the task is accepted.

Nothing is ever fetched. A remote URL that is not held here stands for a placeholder, made from its text.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from tasks.emulator.errors import WireError, invalid
from tasks.emulator.fields import is_http_url, is_uuid4
from tasks.emulator.media_limits import MAX_IMAGE_BYTES, check_image, check_length, check_video, read_video, too_large
from tasks.emulator.records import MediaKind, Source, UploadRecord
from tasks.emulator.rules import InputRef
from tasks.emulator.state import StateStore
from tasks.emulator.stills import UnreadableImageError, image_format, open_image

__all__ = ["PLACEHOLDER_SIZE", "read_upload", "resolve"]

PLACEHOLDER_SIZE = (1280, 720)
PLACEHOLDER_LENGTH_MS = 6000
_OWN_PATH = re.compile(r"/(video|media)/([0-9a-f-]{36})\.(\w+)", re.IGNORECASE)
_LOOPBACK = re.compile(r"localhost|127(\.\d+){3}|::1|0\.0\.0\.0", re.IGNORECASE)
_VIDEO_SUFFIX = re.compile(r"\.(mp4|mov|webm|m4v|mkv)$", re.IGNORECASE)
_DATA_URI = re.compile(r"data:([\w.+-]+/[\w.+-]+)?((?:;[\w-]+=[^;,]*)*)(;base64)?,(.*)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class _Found:
    """Where named media are: a file below the state folder, or the URL of a placeholder."""

    file: str | None
    url: str | None
    kind: MediaKind | None = None


def resolve(refs: Sequence[InputRef], store: StateStore, now: float, longest_s: Decimal) -> tuple[Source, ...]:
    """Find, decode and measure every input of a task.

    Args:
        refs: The inputs as the request names them.
        store: Where uploads and earlier results are.
        now: Unix seconds, against which results expire.
        longest_s: How long a video may be.

    Raises:
        WireError: One cannot be used; it names the parameter.
    """
    return tuple(_resolve_one(ref, store, now, longest_s) for ref in refs)


def _resolve_one(ref: InputRef, store: StateStore, now: float, longest_s: Decimal) -> Source:
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
            if kind == "video":
                check_length(ref.parameter, length_ms, longest_s)
            return Source(ref.role, kind, content, None, url, width, height, length_ms)
        file = str(entry["file"])
    path = store.path(file)
    if kind == "image":
        width, height = check_image(ref.parameter, path)
        return Source(ref.role, kind, _sha256(path), file, None, width, height)
    facts = check_video(ref.parameter, path, longest_s)
    return Source(ref.role, kind, _sha256(path), file, None, facts.width, facts.height, facts.length_ms)


def _sha256(path: Path) -> str:
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


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
    if len(content) > MAX_IMAGE_BYTES:
        raise too_large(parameter, "picture", len(content), MAX_IMAGE_BYTES)
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
        return UploadRecord(media_uuid, "video", f".{read_video(name, store.path(file)).container}", file, None)
    return UploadRecord(media_uuid, "image", f".{image_format(content).lower()}", file, None)
