"""How a clip is put to an upload endpoint, and what a fault plan makes of one try."""

from __future__ import annotations

import time
from collections.abc import Sequence

from tasks.emulator.damage import zeroed
from tasks.emulator.deliveries import Sending
from tasks.emulator.delivery_faults import FailPut
from tasks.emulator.delivery_settings import UploadEndpointSettings
from tasks.emulator.faults import Corrupt, Truncate
from tasks.emulator.outgoing import Line
from tasks.emulator.rule import Rule

__all__ = ["put"]


async def put(
    line: Line,
    url: str,
    content: bytes,
    media_type: str,
    settings: UploadEndpointSettings,
    rules: Sequence[Rule],
) -> Sending:
    """Put a file somewhere, once.

    Args:
        line: What it is sent by.
        url: Where to.
        content: The file.
        media_type: Its MIME type.
        settings: How it is sent.
        rules: What goes wrong on the way.
    """
    types = {"media": media_type, "bytes": "application/octet-stream"}
    headers = {"Content-Type": types[settings.content_type]} if settings.content_type in types else {}
    cut_at: int | None = None
    for rule in rules:
        match rule:
            case FailPut():
                return Sending(time.time(), rule.status)
            case Corrupt():
                content = zeroed(content, rule.share)
            case Truncate():
                kept = int(len(content) * rule.keep)
                cut_at, content = (kept, content) if rule.announce_whole else (None, content[:kept])
            case _:
                pass
    return await line.send("PUT", url, content, headers, settings.tries.timeout_s, cut_at=cut_at)
