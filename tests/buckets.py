"""An S3 server of this machine that tells what it was asked for, and how many bytes it gave and took."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import unquote

import fsspec
import httpx
import pytest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

__all__ = ["Access", "Bucket", "counted_bucket"]


Watcher: TypeAlias = Callable[[str, str], None]


def _nobody(_method: str, _key: str) -> None:
    return


@dataclass(frozen=True)
class Access:
    """One request for an object. `sent_bytes` went to whoever asked, `got_bytes` came from there."""

    method: str
    key: str
    sent_bytes: int
    got_bytes: int
    is_copy: bool


@dataclass
class Bucket:
    """The bucket `films`, and all that was done to it.

    `before` and `behind` are called with the method and the key of each request: before anything is done about it, and
    when it is done and not answered yet. What `refuses` says yes to is answered with 403.
    """

    fs: Any
    url: str
    before: Watcher = _nobody
    behind: Watcher = _nobody
    refuses: Callable[[str, str], bool] = lambda _method, _key: False
    log: list[Access] = field(default_factory=list)

    def names(self) -> list[str]:
        """The keys of all objects."""
        self.fs.invalidate_cache()
        return sorted(path.removeprefix("films/") for path in self.fs.find("films"))

    def read_bytes(self) -> int:
        """How many bytes of clips, wherever they lie, were given to anybody."""
        return sum(access.sent_bytes for access in self.reads())

    def reads(self) -> list[Access]:
        """Each time that a clip was read."""
        return [access for access in self.log if access.method == "GET" and _is_clip(access.key)]

    def uploads(self) -> list[Access]:
        """Each time that somebody sent the bytes of a clip here; what the server itself copied is none."""
        return [it for it in self.log if it.method in {"PUT", "POST"} and _is_clip(it.key) and not it.is_copy]


def _is_clip(key: str) -> bool:
    return "clips/" in key and not key.endswith(".json") and "/incoming/." not in key


@contextmanager
def counted_bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """A server of its own, by real sockets; what the environment names leads there."""
    app = DomainDispatcherApplication(create_backend_app)
    bucket = Bucket(None, "")

    def counting(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        method, (_, _, key) = environ["REQUEST_METHOD"], unquote(environ["PATH_INFO"]).lstrip("/").partition("/")
        bucket.before(method, key)
        if bucket.refuses(method, key):
            start_response("403 Forbidden", [("Content-Length", "0")])
            return [b""]
        body = b"".join(app(environ, start_response))
        bucket.behind(method, key)
        got, is_copy = int(environ.get("CONTENT_LENGTH") or 0), "HTTP_X_AMZ_COPY_SOURCE" in environ
        bucket.log.append(Access(method, key, 0 if method == "HEAD" else len(body), got, is_copy))
        return [body]

    server = make_server("127.0.0.1", 0, counting, threaded=True, request_handler=MotoRequestHandler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    # All servers of a process share what they hold, and one before may have left its buckets.
    httpx.post(f"{url}/moto-api/reset").raise_for_status()
    for name, value in {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    # File systems are kept for the whole process, and others of this kind may belong to a server that is gone.
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    bucket.url, bucket.fs = url, fsspec.filesystem("s3", skip_instance_cache=True)
    bucket.fs.mkdir("films")
    yield bucket
    server.shutdown()
    thread.join()
    server.server_close()
