"""Running an emulator: in a thread of this process, or as the process itself."""

from __future__ import annotations

import contextlib
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Self

import uvicorn

from tasks.emulator.app import build_app
from tasks.emulator.couriers import Couriers
from tasks.emulator.desk import Desk
from tasks.emulator.fault_plan import FaultPlan
from tasks.emulator.instant import InstantClips
from tasks.emulator.mischief import Mischief
from tasks.emulator.renderers import Renderers
from tasks.emulator.replies import ClosableProtocol, ClosableSocket
from tasks.emulator.settings import EmulatorSettings
from tasks.emulator.state import StateStore
from tasks.errors import SettingsError, ShotchainError

__all__ = ["EmulatorServer", "serve"]

_START_S = 10.0
_GRACE_S = 0.8
_LARGEST_MESSAGE_BYTES = 256 * 1024 * 1024


class EmulatorServer:
    """An emulator in a daemon thread; a context manager.

    Args:
        settings: How it behaves.

    Attributes:
        settings: How it behaves.
        faults: The fault plan, which may be changed at any time.

    Raises:
        SettingsError: The fault plan cannot be read.
    """

    def __init__(self, settings: EmulatorSettings | None = None) -> None:
        self.settings = settings or EmulatorSettings()
        self.faults = FaultPlan(self.settings.faults)
        self._socket: socket.socket | None = None
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._renderers: Renderers | None = None
        self._couriers: Couriers | None = None
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._origin = ""

    @property
    def origin(self) -> str:
        """`http://HOST:PORT`, known once it was started."""
        return self._origin

    @property
    def base_url(self) -> str:
        """Where tasks are posted: `http://HOST:PORT/v1`."""
        return f"{self._origin}/v1"

    @property
    def ws_url(self) -> str:
        """The same by WebSocket: `ws://HOST:PORT/v1`."""
        return f"ws{self.base_url.removeprefix('http')}"

    def start(self) -> None:
        """Start, and return when connections are accepted.

        Raises:
            SettingsError: The address cannot be listened on, or the state folder cannot be written.
            ShotchainError: It did not come up.
        """
        if self._thread is not None:
            raise ShotchainError("the emulator is running already")
        self._socket = _listen(self.settings.host, self.settings.port)
        try:
            if self.settings.state_dir is None:
                self._temporary = tempfile.TemporaryDirectory(prefix="shotchain-emulator-")
            folder = self._temporary.name if self._temporary else self.settings.state_dir
            store = StateStore(Path(folder or "."))
            self._origin = _origin_of(self._socket, self.settings.host)
            mischief = Mischief(self.faults, store)
            self._couriers = Couriers(self.settings, store, mischief, self._origin)
            instant = InstantClips(store) if self.settings.instant else None
            self._renderers = Renderers(store, self._couriers.send, instant)
            self._couriers.start(self._renderers.ensure)
            desk = Desk(self.settings, store, self._renderers, mischief.fates)
            config = uvicorn.Config(
                build_app(self.settings, store, desk, self.faults),
                log_config=None,
                log_level="critical",
                access_log=False,
                lifespan="off",
                ws=ClosableSocket,
                ws_max_size=_LARGEST_MESSAGE_BYTES,
                ws_ping_interval=None,  # connections that say nothing are closed as the provider does
                http=ClosableProtocol,
                loop="asyncio",
                server_header=False,
                timeout_keep_alive=30,
                timeout_graceful_shutdown=1,
            )
            self._server = uvicorn.Server(config)
            self._thread = threading.Thread(
                target=self._server.run, args=([self._socket],), name="emulator", daemon=True
            )
            self._thread.start()
            _wait_until_started(self._server, self._thread)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop within two seconds. Renderings and deliveries are given up; with a state folder they go on next time."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(_GRACE_S)
            self._server.force_exit = True
            self._thread.join(_GRACE_S)
        if self._renderers is not None:
            self._renderers.stop()
        if self._couriers is not None:
            self._couriers.stop()
        if self._socket is not None:
            self._socket.close()
        if self._temporary is not None:
            with contextlib.suppress(OSError):  # a download that is still open keeps its file, on some systems
                self._temporary.cleanup()
        self._server = self._thread = self._renderers = self._couriers = self._socket = self._temporary = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop()


def _wait_until_started(server: uvicorn.Server, thread: threading.Thread) -> None:
    deadline = time.monotonic() + _START_S
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise ShotchainError("the emulator's server did not start")
        time.sleep(0.005)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Only of a socket that says TCP does asyncio turn off the delay of small writes, 40 ms an answer.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(256)
    except OSError as error:
        listener.close()
        raise SettingsError(
            f"the emulator cannot listen on {host}:{port}: {error.strerror or error}",
            advice="Stop what uses the port, or choose another one; port 0 takes a free one.",
        ) from error
    return listener


def _origin_of(listener: socket.socket, host: str) -> str:
    port = listener.getsockname()[1]
    # What listens everywhere is reached here.
    name = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "[::1]"}.get(host)  # noqa: S104
    return f"http://{name or (f'[{host}]' if ':' in host else host)}:{port}"


def serve(settings: EmulatorSettings, ready: Callable[[str], None] | None = None) -> int | None:
    """Run an emulator until SIGINT or SIGTERM. To be called from the main thread.

    Args:
        settings: How it behaves.
        ready: Called once with the base URL when connections are accepted.

    Returns:
        The number of the signal that ended it.

    Raises:
        SettingsError: See `EmulatorServer.start`.
    """
    ended = threading.Event()
    received: list[int] = []

    def end(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        ended.set()

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with EmulatorServer(settings) as server:
            if ready is not None:
                ready(server.base_url)
            # Waiting in slices lets signals through on every system.
            while not ended.wait(0.5):
                pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return received[0] if received else None
