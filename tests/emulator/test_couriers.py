"""Results are brought to webhooks and upload endpoints of this machine, and never further."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from tasks.emulator.couriers import is_here

if TYPE_CHECKING:
    from tests.emulator.conftest import Api


class Receiver:
    """An HTTP server that keeps what it is sent, and refuses the first of everything."""

    def __init__(self) -> None:
        received: list[tuple[str, str, bytes]] = []
        self.received = received
        self.arrived = threading.Semaphore(0)
        arrived = self.arrived

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers["Content-Length"]))
                is_first = not any(path == self.path for _method, path, _content in received)
                received.append((self.command, self.path, content))
                self.send_response(503 if is_first else 204)
                self.end_headers()
                if not is_first:
                    arrived.release()

            do_PUT = do_POST  # noqa: N815

            def log_message(self, *_args: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    thread = threading.Thread(target=receiver.server.serve_forever, args=(0.02,))
    thread.start()
    yield receiver
    receiver.server.shutdown()
    thread.join()
    receiver.server.server_close()


def test_a_result_is_brought_and_brought_again_until_it_is_taken(api: Api, receiver: Receiver) -> None:
    task = api.text_task(webhookURL=f"{receiver.url}/hook?a=b", uploadEndpoint=f"{receiver.url}/put/clip.mp4")
    result = api.make(task)
    assert receiver.arrived.acquire(timeout=5)
    assert receiver.arrived.acquire(timeout=5)

    upload = ("PUT", "/put/clip.mp4", api.http.get(result["videoURL"]).content)
    assert receiver.received[:2] == [upload, upload]
    method, path, content = receiver.received[3]
    assert (method, path, json.loads(content)) == ("POST", "/hook?a=b", result)


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://127.0.0.1:8000/x", True),
        ("https://localhost/x", True),
        ("http://[::1]:80/", True),
        ("https://example.org/x", False),
        ("http://127.0.0.1.example.org/x", False),
        ("http://127.0.0.1@example.org/x", False),
        ("http://10.0.0.1/x", False),
    ],
)
def test_only_this_machine_is_reached(url: str, here: bool) -> None:
    assert is_here(url) is here
