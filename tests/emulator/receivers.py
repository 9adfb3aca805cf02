"""Somebody who is sent webhooks and files, on this machine, and answers as a test wants."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Received:
    """One request, and when it had come (Unix seconds)."""

    method: str
    path: str
    headers: dict[str, str]
    content: bytes
    at: float

    @property
    def json(self) -> dict[str, Any]:
        return dict(json.loads(self.content))


@dataclass
class Receiver:
    """What has come, and what is answered: the next of `statuses`, then 204; after `answers_after_s` seconds."""

    url: str
    received: list[Received] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    answers_after_s: float = 0.0

    def wait(self, count: int) -> list[Received]:
        """The requests, once there are so many."""
        wait_until(lambda: len(self.received) >= count)
        return list(self.received)

    def stays(self, count: int, seconds: float = 0.2) -> list[Received]:
        """The requests, of which there are so many and no more."""
        self.wait(count)
        time.sleep(seconds)
        assert len(self.received) == count
        return list(self.received)


def wait_until(is_so: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


@contextmanager
def receiving(port: int = 0) -> Iterator[Receiver]:
    """A receiver on loopback, for as long as the block lasts."""
    is_over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            status = receiver.statuses.pop(0) if receiver.statuses else 204
            receiver.received.append(
                Received(self.command, self.path, dict(self.headers.items()), content, time.time())
            )
            is_over.wait(receiver.answers_after_s)
            self.send_response(status)
            self.send_header("Location", f"{receiver.url}/elsewhere")
            self.end_headers()

        do_PUT = do_POST  # noqa: N815

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

        def handle(self) -> None:
            try:
                super().handle()
            except ConnectionError:
                # Whoever sends may give up first.
                return

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    receiver = Receiver(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield receiver
    finally:
        is_over.set()
        server.shutdown()
        thread.join()
        server.server_close()
