"""Listens for what the provider reports, and keeps it in the ledger."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Final, Self

import uvicorn

from tasks.errors import SettingsError
from tasks.ledger import open_ledger
from tasks.runware.receiver import receiver

__all__ = ["WebhookServer", "serve"]

_END_S: Final = 5


class WebhookServer:
    """A receiver in a thread of its own, as a context manager.

    Args:
        ledger: Where reports are kept: a file or a SQLAlchemy URL.
        secret: What addresses are made with.
        host: Address to listen at.
        port: Port to listen at; 0 for any free one.
        path: What stands before the task in addresses.
    """

    def __init__(self, ledger: str, secret: str, *, host: str = "127.0.0.1", port: int = 0, path: str = "") -> None:
        self._place, self._secret, self._path = ledger, secret, path
        self._address = host, port
        self.url = ""

    def __enter__(self) -> Self:
        self._ledger = open_ledger(self._place)
        try:
            self._listening = self._listen()
        except BaseException:
            self._ledger.close()
            raise
        host, port = self._listening.getsockname()[:2]
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{port}{self._path}"
        app = receiver(self._secret, self._ledger.keep_notice, self._path)
        # No access log: addresses hold tokens.
        config = uvicorn.Config(
            app, log_level="error", access_log=False, lifespan="off", timeout_graceful_shutdown=_END_S
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._listening],), name="webhook", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._listening.close()
        self._ledger.close()

    def check(self) -> None:
        """See whether it still listens.

        Raises:
            SettingsError: It does not.
        """
        if not self._thread.is_alive():
            raise SettingsError(f"nobody listens at {self.url} any more", advice="Start it again.")

    def _listen(self) -> socket.socket:
        host, port = self._address
        try:
            return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        except (OSError, OverflowError) as error:
            raise SettingsError(
                f"nobody can listen at {host}:{port}: {error}", advice="Give another --port, or another --host."
            ) from error


def serve(ledger: str, secret: str, *, host: str, port: int, path: str, ready: Callable[[str], None]) -> int | None:
    """Listen until SIGINT or SIGTERM. To be called from the main thread.

    Args:
        ledger: See `WebhookServer`, as for the others.
        secret: See there.
        host: See there.
        port: See there.
        path: See there.
        ready: Called once with the base URL when reports are taken.

    Returns:
        The number of the signal that ended it.

    Raises:
        SettingsError: The ledger cannot be one, or nobody can listen there, or does any more.
        StorageUnreachable: The ledger does not answer.
    """
    ended = threading.Event()
    received: list[int] = []

    def end(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        ended.set()

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with WebhookServer(ledger, secret, host=host, port=port, path=path) as server:
            ready(server.url)
            # Waiting in slices lets signals through on every system.
            while not ended.wait(0.5):
                server.check()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return received[0] if received else None
