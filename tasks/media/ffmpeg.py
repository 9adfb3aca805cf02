"""Running ffmpeg: child processes on a small pool, drained, reaped, and judged by what they leave behind."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final

import imageio_ffmpeg

from tasks.errors import MediaError
from tasks.media.files import NO_ROOM, no_room

__all__ = ["Pool", "binary", "encoders", "run", "version"]

_STDERR_TAIL_BYTES: Final = 2000
_NICENESS: Final = 10
_PROGRESS_PERIOD_S: Final = "0.25"


class Pool:
    """Slots shared by the coroutines of every event loop of the process, first come first served."""

    def __init__(self, slots: int) -> None:
        self._lock = threading.Lock()
        self._free = slots
        self._waiting: deque[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold one slot for the body of the `async with`."""
        await self._acquire()
        try:
            yield
        finally:
            self._release()

    async def _acquire(self) -> None:
        with self._lock:
            if self._free:
                self._free -= 1
                return
            loop = asyncio.get_running_loop()
            ticket = (loop, loop.create_future())
            self._waiting.append(ticket)
        try:
            await ticket[1]
        except asyncio.CancelledError:
            with self._lock:
                handed_over = ticket not in self._waiting
                if not handed_over:
                    self._waiting.remove(ticket)
            if handed_over:
                self._release()
            raise

    def _release(self) -> None:
        with self._lock:
            while self._waiting:
                loop, future = self._waiting.popleft()
                if not loop.is_closed():
                    loop.call_soon_threadsafe(_wake, future)
                    return
            self._free += 1


def _wake(future: asyncio.Future[None]) -> None:
    # A cancelled waiter has seen that it was handed the slot, and gives it on itself.
    if not future.done():
        future.set_result(None)


_POOL: Final = Pool(os.cpu_count() or 1)


def binary() -> str:
    """The path of the ffmpeg that comes with the installation.

    Raises:
        MediaError: This platform's wheel holds none and none is on the path.
    """
    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as cause:
        raise MediaError("there is no ffmpeg on this machine", advice="install imageio-ffmpeg") from cause


def version() -> str:
    """The version of that ffmpeg, as it gives it itself.

    Raises:
        MediaError: There is no ffmpeg, or it does not run.
    """
    binary()
    return str(imageio_ffmpeg.get_ffmpeg_version())


def encoders() -> frozenset[str]:
    """The encoders that this ffmpeg was built with, by its own names. Blocks for some hundredths of a second, once.

    Raises:
        MediaError: There is no ffmpeg, or it does not run.
    """
    return _encoders_of(binary())


@cache
def _encoders_of(program: str) -> frozenset[str]:
    command = [program, "-nostdin", "-hide_banner", "-v", "error", "-encoders"]
    try:
        said = subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL).stdout
    except (OSError, subprocess.CalledProcessError) as cause:
        raise MediaError(f"ffmpeg does not say what it can encode: {cause}") from cause
    # Below a ruler of dashes, each line is flags, the name, and words for people.
    listed = said.decode("utf-8", "replace").partition("------")[2]
    return frozenset(line.split()[1] for line in listed.splitlines() if len(line.split()) > 1)


async def run(stream: Any, *, what: str, on_frames: Callable[[int], None] | None = None) -> None:
    """Run one ffmpeg-python graph to its end, in a child process, when the pool has room.

    Existing outputs are overwritten. Cancelling kills the child and waits until it is gone.

    Args:
        stream: An output node of ffmpeg-python, as `ffmpeg.output(…)` returns it.
        what: What is being done, for the error: «conform shot 'a'».
        on_frames: Told, a few times a second and once at the end, how many pictures are encoded. What it raises ends
            the run as cancelling does.

    Raises:
        MediaError: ffmpeg failed, or said that all is well and left no output or an empty one.
        StorageUnreachable: There was no room for what it wrote.
    """
    outputs = [Path(name) for name in _output_names(stream.node)]
    # First, so that a graph's own global options win over them.
    quiet = ["-nostdin", "-hide_banner", "-v", "error"]
    progress = ["-progress", "pipe:1", "-stats_period", _PROGRESS_PERIOD_S] if on_frames else []
    arguments = [binary(), *quiet, *progress, *stream.overwrite_output().get_args()]
    async with _POOL.slot():
        code, complaint = await _run_child(arguments, on_frames)
    if code:
        for number in NO_ROOM:
            # A file that grows larger than it may ends the child by a signal, before it can say so.
            if os.strerror(number) in complaint or (number == errno.EFBIG and code == -signal.SIGXFSZ):
                raise no_room(outputs[0], number)
        raise MediaError(f"ffmpeg could not {what} (exit code {code}): {complaint or 'it did not say why'}")
    for output in outputs:
        if not output.is_file() or not output.stat().st_size:
            raise MediaError(f"ffmpeg left nothing when it was to {what}: {complaint or 'it did not say why'}")


async def _run_child(arguments: list[str], on_frames: Callable[[int], None] | None) -> tuple[int, str]:
    """Run a child to its end; gives its exit code and the tail of what it complained about."""
    child = await asyncio.create_subprocess_exec(
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE if on_frames else asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        # Its own group: a Ctrl-C in the terminal is for us, and what we then cancel we kill.
        process_group=0,
    )
    # Whoever waits for a frame, or for a result, goes before the conforming that hides behind generation.
    with contextlib.suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, child.pid, _NICENESS)
    # Both pipes are read at once: a child that fills one waits until somebody empties it.
    complaining = asyncio.ensure_future(_tail(child.stderr))
    try:
        if child.stdout is not None and on_frames is not None:
            await _tell_frames(child.stdout, on_frames)
        tail = await complaining
        code = await child.wait()
    except BaseException:
        complaining.cancel()
        await _kill(child)
        raise
    return code, tail.decode("utf-8", "replace").strip()


async def _tail(stderr: asyncio.StreamReader | None) -> bytes:
    # Read as it comes, so that a chatty child never waits for us, and keep the end only.
    tail = b""
    while stderr is not None and (chunk := await stderr.read(1 << 16)):
        tail = (tail + chunk)[-_STDERR_TAIL_BYTES:]
    return tail


async def _tell_frames(stdout: asyncio.StreamReader, on_frames: Callable[[int], None]) -> None:
    async for line in stdout:
        name, _, value = line.strip().partition(b"=")
        if name == b"frame" and value.isdigit():
            on_frames(int(value))


async def _kill(child: asyncio.subprocess.Process) -> None:
    if child.returncode is None:
        child.kill()
    reaped = asyncio.ensure_future(child.wait())
    while not reaped.done():
        try:
            await asyncio.shield(reaped)
        except asyncio.CancelledError:
            # Cancelled once more while it dies, which takes a moment: leaving now would leave a zombie.
            continue


def _output_names(node: Any) -> list[str]:
    if "filename" in node.kwargs and not node.incoming_edges:
        return []
    if "filename" in node.kwargs:
        return [node.kwargs["filename"]]
    return [name for edge in node.incoming_edges for name in _output_names(edge.upstream_node)]
