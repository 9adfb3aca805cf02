"""A Runware that runs here: it accepts, bills, renders and serves as the provider does, for nothing.

Importing this package is cheap; the server, the decoders and the encoder are loaded when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasks.emulator.delivery_settings import Tries, UploadEndpointSettings, WebhookSettings
from tasks.emulator.settings import EmulatorSettings
from tasks.emulator.socket_settings import WebSocketSettings

if TYPE_CHECKING:
    from tasks.emulator.server import EmulatorServer, serve

__all__ = [
    "EmulatorServer",
    "EmulatorSettings",
    "Tries",
    "UploadEndpointSettings",
    "WebSocketSettings",
    "WebhookSettings",
    "serve",
]


def __getattr__(name: str) -> Any:
    if name in {"EmulatorServer", "serve"}:
        from tasks.emulator import server  # noqa: PLC0415

        return getattr(server, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
