"""Decides when two generations are the same one: the content key of a take."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["identity_of", "request_key", "take_key"]

_VERSION = 1


def identity_of(
    *,
    provider: str,
    model: str,
    prompt: str,
    width: int | None,
    height: int | None,
    generate_s: str,
    inputs: Sequence[tuple[str, ...]],
    keep_original_sound: bool,
    output_format: str,
    output_quality: int,
    safety: dict[str, Any],
) -> dict[str, Any]:
    """All that decides what a request makes, the take number apart, as one JSON document.

    `inputs` are (role, what) pairs in order, where `what` is the sha256 of a file's bytes, or the key of another
    shot's selected clip with a frame index. Not in it, since they change no picture: the task's UUID, ttl, how the
    result is delivered, whether the cost is told, the shot's id, the title, how much of the clip the film keeps.
    """
    return {
        "version": _VERSION,
        "provider": provider,
        "model": model,
        "prompt": prompt,
        "width": width,
        "height": height,
        "duration": generate_s,
        "inputs": [list(item) for item in inputs],
        "keepOriginalSound": keep_original_sound,
        "outputFormat": output_format,
        "outputQuality": output_quality,
        "safety": safety,
    }


def request_key(identity: Mapping[str, Any]) -> str:
    """The key of an identity: of two that are alike, the same."""
    return _digest(identity)


def take_key(request_key: str, take: int) -> str:
    """The content key of the `take`-th take of a request."""
    return _digest({"request": request_key, "take": take})


def _digest(value: Mapping[str, Any]) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
