"""Requests as they are shown: media inside of them are named, not repeated."""

from __future__ import annotations

import re
from typing import Any

__all__ = ["shorten"]

_DATA_URI = re.compile(r"(data:[^,]{0,120},)(.+)", re.DOTALL)
_BASE64 = re.compile(r"[A-Za-z0-9+/=\s]{256,}")


def shorten(value: Any) -> Any:
    """A copy of JSON with data URIs and long Base64 cut to their beginning and their length in characters."""
    if isinstance(value, dict):
        # A prompt stays whole, whatever it looks like.
        return {key: item if key == "positivePrompt" else shorten(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shorten(item) for item in value]
    if isinstance(value, str):
        data = _DATA_URI.fullmatch(value)
        if data and len(data[2]) > 32:
            return f"{data[1]}{data[2][:16]}... ({len(data[2])} characters)"
        if _BASE64.fullmatch(value):
            return f"{value[:16]}... ({len(value)} characters)"
    return value
