"""The one place that hides secrets, before anything is logged, stored, published or shown."""

from __future__ import annotations

import hashlib
import re
from typing import Any
from urllib.parse import quote

__all__ = ["MASK", "fingerprint", "redact"]

MASK = "***"
_SHORTEST_SECRET = 4
_SECRET_KEYS = re.compile(r"api[-_]?key|authorization|token|secret|password|signature|credential", re.IGNORECASE)
# A ring bearer in a prompt is no secret: a token has a digit in it, or stands behind the header's name.
_BEARER = re.compile(r"(?i)\b(authorization[\"']?\s*[:=]\s*[\"']?(?:\w+\s+)?|bearer\s+(?=[^\s\"',;]*\d))[^\s\"',;]+")
# An address may stand in JSON, or in a page, that nobody has read yet.
_QUERY = re.compile(
    r"(?i)((?:[?&;]|%3f|%26|&#38;|&#x26;|\\u0026|\\x26)"
    r"(?:[\w.-]*(?:key|token|secret|signature|sig|credential|password))(?:=|%3d|&#61;|&#x3d;|\\u003d|\\x3d))"
    r"[^&\s\"']+"
)
_USERINFO = re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s:/@]*:)[^\s/]+(@)")
_DATA_URI = re.compile(r"data:([\w/+.-]+);base64,[A-Za-z0-9+/=]{64,}")


def redact(value: Any, *secrets: str) -> Any:
    """Return `value` (text, or nested dicts and lists) with secrets masked and data URIs shortened.

    Masked are the given `secrets` wherever they stand, bearer tokens, passwords in URLs, query parameters and
    mapping keys that name a key, a token, a signature or a password.
    """
    if isinstance(value, str):
        return _redact_text(value, secrets)
    if isinstance(value, dict):
        return {
            key: MASK if isinstance(key, str) and _SECRET_KEYS.search(key) and item else redact(item, *secrets)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [redact(item, *secrets) for item in value]
    return value


def _redact_text(text: str, secrets: tuple[str, ...]) -> str:
    # The longest first: one may be a part of another. In an address a secret is spelled for addresses.
    for secret in sorted({spelled for item in secrets for spelled in (item, quote(item, safe=""))}, key=len)[::-1]:
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, MASK)
    text = _BEARER.sub(rf"\g<1>{MASK}", text)
    text = _QUERY.sub(rf"\g<1>{MASK}", text)
    text = _USERINFO.sub(rf"\g<1>{MASK}\g<2>", text)
    return _DATA_URI.sub(r"data:\1;base64,…", text)


def fingerprint(secret: str) -> str:
    """A short, salted, one-way name for an API key, so that the ledger can tell accounts apart."""
    return hashlib.scrypt(secret.encode(), salt=b"shotchain account", n=2**12, r=8, p=1, dklen=8).hex()
