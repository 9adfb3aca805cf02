"""A Prefect server for one command, where the user has configured none: quiet, private, gone afterwards.

Prefect could start one by itself, but that one prints its start-up and its database's quarrels on the user's
terminal. This one writes to a log file, keeps its database in a scratch folder, and sends nothing anywhere.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import httpx

from tasks.clips.scratch import Scratch
from tasks.errors import PrefectUnreachable, SettingsError

__all__ = ["TemporaryServer", "prefect_session", "quiet_environment"]

_START_S = 120.0
_QUIET = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_TELEMETRY_ENABLE_RESOURCE_METRICS": "false",
    "PREFECT_CLI_PROMPT": "false",
}
# A server that lives for one run schedules nothing and watches nobody.
_SERVER = {
    "PREFECT_SERVER_UI_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_FOREMAN_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_PAUSE_EXPIRATIONS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_REPOSSESSOR_ENABLED": "false",
    "PREFECT_LOGGING_SERVER_LEVEL": "WARNING",
}


def quiet_environment() -> None:
    """Keep Prefect's own log lines off the terminal. Call it before Prefect is imported.

    A configured server still receives them; whoever wants them here sets PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL.
    """
    for name, value in {**_QUIET, "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL"}.items():
        os.environ.setdefault(name, value)


class TemporaryServer:
    """A server on a free port of this machine. `start` returns at once; `wait` when it answers.

    Args:
        cache: Local folder where an empty database is kept ready, since making one takes seconds. The server's own
            folder is there too, for as long as it runs.
    """

    def __init__(self, cache: Path) -> None:
        self._template = cache / f"prefect-{version('prefect')}.db"
        self._scratch = Scratch(cache)
        self._home = self._scratch.folder
        self._database = self._home / "prefect.db"
        self._log = self._home / "server.log"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def api_url(self) -> str:
        """The address of its API."""
        return f"http://127.0.0.1:{self._port}/api"

    def start(self) -> None:
        """Start it."""
        if self._template.is_file():
            shutil.copyfile(self._template, self._database)
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")},
            **_QUIET,
            **_SERVER,
            "PREFECT_HOME": str(self._home),
            "PREFECT_API_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{self._database.name}",  # in `cwd`
        }
        with self._log.open("wb") as log:
            # In a session of its own, so that Ctrl-C reaches it last: the run still has to say how it ended.
            self._process = subprocess.Popen(
                [sys.executable, "-m", "flows.server.private", str(self._port)],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=self._home,
                start_new_session=True,
            )

    def wait(self) -> None:
        """Wait until it answers.

        Raises:
            PrefectUnreachable: It ended, or did not answer in time.
        """
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                break
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{self.api_url}/health", timeout=2.0).status_code == 200:
                    self._keep_template()
                    return
            time.sleep(0.05)
        last = self._log.read_text(errors="replace").strip().splitlines()[-1:] if self._log.exists() else []
        self.stop()
        raise PrefectUnreachable(
            f"no temporary Prefect server could be started{': ' + last[0] if last else ''}",
            advice="Set PREFECT_API_URL to a running server, or try again.",
        )

    def stop(self) -> None:
        """End it and remove what it left."""
        if self._process is not None:
            if self._process.stdin is not None:
                self._process.stdin.close()
            try:
                self._process.wait(5.0)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._scratch.release()

    def _keep_template(self) -> None:
        """Keep the database as it is before the first run, for the next server to start from."""
        if self._template.exists():
            return
        partial = self._template.with_name(f"{self._template.name}.{os.getpid()}.part")
        try:
            partial.parent.mkdir(parents=True, exist_ok=True)
            with (
                contextlib.closing(sqlite3.connect(self._database)) as source,
                contextlib.closing(sqlite3.connect(partial)) as target,
            ):
                source.backup(target)
            partial.replace(self._template)
        except (OSError, sqlite3.Error):
            # Without a template the next start takes some seconds longer, and that is all.
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)


@contextmanager
def prefect_session(cache: Path) -> Iterator[None]:
    """Run flows on the user's Prefect server if one is configured, else on a temporary one.

    Raises:
        PrefectUnreachable: The configured server does not answer, or a temporary one cannot be started.
    """
    quiet_environment()
    from prefect.settings import (
        PREFECT_API_KEY,
        PREFECT_API_URL,
        PREFECT_LOGGING_TO_API_ENABLED,
        PREFECT_SERVER_UI_ENABLED,
        temporary_settings,
    )

    try:
        configured = PREFECT_API_URL.value()
    except ValueError as error:
        raise SettingsError(
            "PREFECT_API_URL, or the Prefect profile in use, cannot be read",
            advice="Set it to an address such as http://127.0.0.1:4200/api, or unset it.",
        ) from error
    if configured:
        key = PREFECT_API_KEY.value()
        _check(str(configured), key.get_secret_value() if key else None)
        yield
        return
    server = TemporaryServer(cache)
    try:
        server.start()
        # Loading the flow takes as long as the server's start, so both go on at once.
        import flows.render  # noqa: F401

        server.wait()
        # A server that dies in the middle is told once, by us.
        logging.getLogger("prefect._internal").setLevel(logging.CRITICAL)
        # Nobody can read the log of a server that is about to go, or look at its pages.
        private = {
            PREFECT_API_URL: server.api_url,
            PREFECT_LOGGING_TO_API_ENABLED: False,
            PREFECT_SERVER_UI_ENABLED: False,
        }
        with temporary_settings(private):
            yield
            _deliver_events()
    finally:
        server.stop()


def _deliver_events() -> None:
    """Let what is still to be told to the server reach it, so that nothing looks for it after its end."""
    from prefect.events.worker import EventsWorker

    EventsWorker.drain_all(timeout=10.0, at_exit=False)


def _check(api_url: str, key: str | None) -> None:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        httpx.get(f"{api_url.rstrip('/')}/health", timeout=10.0, headers=headers).raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise PrefectUnreachable(
            f"the configured Prefect server does not answer: {error}",
            advice="Start it, or unset PREFECT_API_URL (or `prefect config unset PREFECT_API_URL`) to use a "
            "temporary one.",
        ) from error
