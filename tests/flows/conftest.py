"""A real Prefect server for the whole session, and a home of its own for each test."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
import httpx
import pytest

from flows.server.temporary import TemporaryServer, quiet_environment

quiet_environment()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Prefect leaves connections to its server for the garbage collector to close. That is not ours to mend."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            fixtures = set(getattr(item, "fixturenames", ()))
            if "prefect_server" in fixtures:
                item.add_marker(pytest.mark.xdist_group("prefect"))  # one server for all of them
            if "own_server" in fixtures:
                item.add_marker(pytest.mark.server)
            item.add_marker(
                pytest.mark.filterwarnings(
                    "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
                )
            )


SHOTCHAIN = Path(sys.executable).with_name("shotchain")


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The API address of a server that this session's flows run on."""
    server = TemporaryServer(tmp_path_factory.mktemp("prefect"))
    server.start()
    server.wait()
    yield server.api_url
    server.stop()


@pytest.fixture
def on_server(prefect_server: str) -> Iterator[str]:
    """Flows called in this process run on the session's server."""
    from prefect.events.worker import EventsWorker
    from prefect.settings import PREFECT_API_URL, PREFECT_LOGGING_TO_API_ENABLED, temporary_settings

    with temporary_settings({PREFECT_API_URL: prefect_server, PREFECT_LOGGING_TO_API_ENABLED: False}):
        yield prefect_server
        EventsWorker.drain_all(timeout=10.0, at_exit=False)
    # Collected here, what Prefect left open troubles no later test.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@dataclass(frozen=True)
class Home:
    """One user's folders."""

    folder: Path
    environment: dict[str, str]

    def storyboard(self, text: str, name: str = "board.yaml") -> Path:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """Work store, ledger and cache in the test's own folder."""
    environment = {
        "SHOTCHAIN_WORK": str(tmp_path / "work"),
        "SHOTCHAIN_LEDGER": str(tmp_path / "ledger.db"),
        "SHOTCHAIN_CACHE": str(tmp_path / "cache"),
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("RUNWARE_API_KEY", raising=False)
    monkeypatch.delenv("RUNWARE_BASE_URL", raising=False)
    return Home(tmp_path, environment)


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.out)
        return parsed


Shotchain = Callable[..., Ran]


@pytest.fixture
def shotchain(home: Home, prefect_server: str) -> Shotchain:
    """Run the command line as a user does, in a process of its own, in the test's folder.

    The user has configured a Prefect server, since starting one for each command takes seconds. `PREFECT_API_URL=""`
    is a user who has not.
    """

    def run(*arguments: str, **environment: str) -> Ran:
        done = subprocess.run(
            [str(SHOTCHAIN), *arguments],
            cwd=home.folder,
            env={**os.environ, "PREFECT_API_URL": prefect_server, **environment},
            capture_output=True,
            text=True,
            timeout=120,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        # Whatever happens, a user never sees these.
        for text in (done.stdout, done.stderr):
            assert "Traceback" not in text, text
            assert "database is locked" not in text, text
        return Ran(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A file system on an S3 server of its own, by real sockets; what the environment names leads there too."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    # All servers of a process share what they hold, and one before may have left its buckets.
    httpx.post(f"http://{host}:{port}/moto-api/reset").raise_for_status()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    # File systems are kept for the whole process, and others of this kind may belong to a server that is gone.
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    yield fsspec.filesystem("s3", skip_instance_cache=True)
    server.stop()
