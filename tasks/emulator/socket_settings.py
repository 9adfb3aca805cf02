"""What can be chosen about WebSockets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tasks.errors import SettingsError

__all__ = ["WebSocketSettings"]


@dataclass(frozen=True)
class WebSocketSettings:
    """How connections by WebSocket behave.

    Attributes:
        push: What of a connection's tasks is sent to it without being asked for, when it ends: its `results`, failures
            too (`all`), or nothing (`none`).
        buffer_s: Seconds for which what could not be sent is kept, for whoever resumes the session.
        idle_s: Seconds without a message after which a connection is closed.

    Raises:
        SettingsError: A time is negative, or no time at all to say something in.
    """

    push: Literal["results", "all", "none"] = "results"
    buffer_s: float = 120.0
    idle_s: float = 120.0

    def __post_init__(self) -> None:
        if self.buffer_s < 0 or self.idle_s <= 0:
            raise SettingsError("a time of the emulator's WebSockets is negative", advice="Use seconds above 0.")
