"""The process of a Prefect server that is ours: `python -m flows.server.private PORT [--stay]`.

Without `--stay` it ends with whoever started it: standard input is a pipe that closes when that process is gone,
however it went. Where its database is SQLite, requests that write come one after the other (`OneWriter`).
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import threading
from typing import TYPE_CHECKING, Any

import uvicorn

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["OneWriter", "create_app", "main"]

_READING = {"GET", "HEAD", "OPTIONS"}
_BUSY_MS = 5_000


class OneWriter:
    """Has requests that may write answered one after the other, since SQLite has one writer at a time.

    Side by side, most of them would end with 503: Prefect's transactions begin as readers, and one that another has
    overtaken cannot become a writer. And all of them can stand still, until SQLite has waited for a minute: while one
    connection waits for the lock, Python may collect a cursor of it in the thread of the event loop, and wait for that
    connection there; so the handler that holds the lock never gets to commit.

    Args:
        app: An ASGI application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._writing = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""
        if scope["type"] != "http" or scope["method"] in _READING:
            await self._app(scope, receive, send)
            return
        async with self._writing:
            await self._app(scope, receive, send)


def create_app() -> ASGIApp:
    """Prefect's server; with SQLite, one writer at a time that waits for its own services for seconds, not a minute."""
    from prefect.server.api.server import create_app as create_prefect
    from prefect.settings import get_current_settings
    from sqlalchemy import event
    from sqlalchemy.pool import Pool

    address = get_current_settings().server.database.connection_url
    if address is not None and not address.get_secret_value().startswith("sqlite"):
        return create_prefect(final=True)

    def impatient(connection: Any, record: Any, _: object) -> None:
        if record.info.setdefault("busy_ms", 0) != _BUSY_MS:  # Prefect sets its minute when it connects
            record.info["busy_ms"] = _BUSY_MS
            cursor = connection.cursor()
            cursor.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
            cursor.close()

    event.listen(Pool, "checkout", impatient)
    return OneWriter(create_prefect(final=True))


def main() -> None:
    """Serve Prefect's API on a port of this machine; until standard input ends, or for good."""
    parser = argparse.ArgumentParser(prog="python -m flows.server.private")
    parser.add_argument("port", type=int)
    parser.add_argument("--stay", action="store_true", help="go on without who started it")
    arguments = parser.parse_args()
    config = uvicorn.Config(
        create_app,
        factory=True,
        host="127.0.0.1",
        port=arguments.port,
        timeout_keep_alive=60,
        timeout_graceful_shutdown=3,
    )
    server = uvicorn.Server(config)

    def watch() -> None:
        sys.stdin.buffer.read()
        server.should_exit = True

    if not arguments.stay:
        threading.Thread(target=watch, daemon=True).start()
    server.run()


if __name__ == "__main__":
    main()
