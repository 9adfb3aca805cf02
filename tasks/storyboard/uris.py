"""Where a picture, a video or a storyboard is: paths, URIs, and what a relative path is relative to."""

from __future__ import annotations

import base64
import binascii
import os.path
import posixpath
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, unquote_to_bytes, urlsplit

__all__ = [
    "Base",
    "check_uri",
    "decode_data_uri",
    "has_scheme",
    "local_path",
    "looks_like_path",
    "scheme_of",
    "stem_of",
]

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_MEDIA_SUFFIXES = frozenset(
    [
        ".png",
        ".jpg",
        ".jpeg",
        ".webp",
        ".gif",
        ".bmp",
        ".tif",
        ".tiff",
        ".avif",
        ".heic",
        ".mp4",
        ".m4v",
        ".mov",
        ".webm",
        ".mkv",
        ".avi",
        ".mpg",
        ".mpeg",
        ".ts",
        ".wav",
        ".mp3",
        ".flac",
        ".ogg",
        ".oga",
        ".opus",
        ".m4a",
        ".aac",
        ".aif",
        ".aiff",
    ]
)


def scheme_of(text: str) -> str | None:
    """The scheme of a URI in lower case (`data`, `file`, `https`, `s3`, …), `None` for a path."""
    if text[:5].casefold() == "data:":
        return "data"
    match = _SCHEME.match(text)
    return match[1].casefold() if match else None


def stem_of(source: str) -> str:
    """The name, without its suffix, of the storyboard that lies at a path or URI."""
    path = source.partition("?")[0] if has_scheme(source) else source
    return re.sub(r"^-$", "", PurePosixPath(path).stem) or "storyboard"


def has_scheme(text: str) -> bool:
    """Whether a text is a URI."""
    return scheme_of(text) is not None


def looks_like_path(text: str) -> bool:
    """Whether a text that names no asset is meant as a path."""
    return "/" in text or posixpath.splitext(text.casefold())[1] in _MEDIA_SUFFIXES


def local_path(uri: str) -> Path | None:
    """The local file behind a `file:` URI, `None` for any other.

    Raises:
        ValueError: The URI names another machine, or no absolute path.
    """
    if scheme_of(uri) != "file":
        return None
    parts = urlsplit(uri)
    if parts.netloc not in {"", "localhost"} or not parts.path.startswith("/"):
        raise ValueError("a file URI has three slashes and an absolute path: file:///folder/picture.png")
    path = unquote(parts.path)
    if "\x00" in path:
        raise ValueError("a file URI cannot contain a NUL character")
    return Path(path)


def decode_data_uri(uri: str) -> tuple[str, bytes]:
    """The declared media type and the bytes of a `data:` URI.

    Raises:
        ValueError: It is malformed or empty.
    """
    head, comma, body = uri[5:].partition(",")
    if not comma:
        raise ValueError("a data URI needs a comma before its data: data:image/png;base64,…")
    media_type, *parameters = head.split(";")
    data = unquote_to_bytes(body)
    if parameters and parameters[-1].strip().casefold() == "base64":
        try:
            data = base64.b64decode(b"".join(data.split()), validate=True)
        except binascii.Error:
            raise ValueError("the base64 of a data URI is damaged") from None
    if not data:
        raise ValueError("a data URI without data")
    return media_type.strip().casefold() or "text/plain", data


def check_uri(uri: str) -> None:
    """See that a URI is well formed, without reading what it names.

    Raises:
        ValueError: It is not.
    """
    scheme = scheme_of(uri)
    if scheme == "data":
        decode_data_uri(uri)
    elif scheme == "file":
        local_path(uri)
    elif scheme in {"http", "https"}:
        parts = urlsplit(uri)
        # Asking for the port checks it.
        if not parts.hostname or parts.port == 0:
            raise ValueError("a web address needs a host: https://host/picture.png")
    elif not uri.partition("://")[2]:
        raise ValueError("the URI ends after '://'")


@dataclass(frozen=True, slots=True)
class Base:
    """The folder that relative paths of a storyboard start from: a local one, the URI of a remote one, or neither."""

    folder: Path | None
    remote: str = ""

    @classmethod
    def of(cls, source: str | Path) -> Base:
        """The folder of a storyboard, or `source` itself if that is a local folder."""
        if isinstance(source, str) and has_scheme(source):
            path = local_path(source)
            if path is None:
                head = source.partition("?")[0].partition("#")[0] if scheme_of(source) in {"http", "https"} else source
                start = head.index("://") + 3
                return cls(None, head[:start] + head[start:].rpartition("/")[0])
            source = path
        path = Path(source)
        return cls((path if path.is_dir() else path.parent).absolute())

    def uri(self, path: str) -> str:
        """The absolute URI of a path in the storyboard. Links and `..` are followed: one file, one URI.

        Raises:
            ValueError: The path is relative, and there is no folder.
        """
        if self.folder is not None or path.startswith("/"):
            # Not `Path.resolve`, which raises on a link that leads to itself.
            return Path(os.path.realpath((self.folder or Path()) / path)).as_uri()
        if not self.remote:
            raise ValueError("a storyboard that is typed in has no folder, so its paths must be absolute, or URIs")
        start = self.remote.index("://") + 3
        # Joined below a leading slash, `..` cannot climb above the host or the bucket.
        host, _, folder = self.remote[start:].partition("/")
        joined = posixpath.normpath(posixpath.join("/", folder, path))
        return f"{self.remote[:start]}{host}{joined}"
