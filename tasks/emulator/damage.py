"""What becomes of a file on its way."""

from __future__ import annotations

__all__ = ["zeroed"]


def zeroed(content: bytes, share: float) -> bytes:
    """`content` with so much of its middle zeros."""
    count = int(len(content) * share)
    start = (len(content) - count) // 2
    return content[:start] + bytes(count) + content[start + count :]
