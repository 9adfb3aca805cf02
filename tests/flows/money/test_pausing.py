"""A pause with a form outlasts a server that is away for a while, and ends in time if it stays away."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from prefect import flow
from prefect.exceptions import FlowPauseTimeout
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from flows.money.approval import ApprovalForm, ask_on_page
from tests.flows.production.test_running_out import answer

pytestmark = [pytest.mark.usefixtures("on_server"), pytest.mark.timeout(60)]


class Line:
    """A line to a server, which can be cut. It has a thread of its own, for the client may block that of the test."""

    def __init__(self, server: str) -> None:
        self._target = urlsplit(server)
        self._up = True
        self._open: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self.refused = 0
        self._listening = self._loop.run_until_complete(asyncio.start_server(self._carry, "127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.sockets[0].getsockname()[1]}{self._target.path}"
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        self.refused += not self._up
        if self._up:
            there, to_there = await asyncio.open_connection(self._target.hostname, self._target.port)
            self._open.add(to_there)
            await asyncio.gather(self._copy(reader, to_there), self._copy(there, writer))
        writer.close()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while content := await reader.read(65536):
                writer.write(content)
                await writer.drain()
        writer.close()

    def cut(self) -> None:
        """Let nothing through."""
        self._up = False
        asyncio.run_coroutine_threadsafe(self._hang_up(), self._loop).result(10)

    async def _hang_up(self) -> None:
        for writer in self._open:
            writer.close()
        self._open.clear()

    def mend(self) -> None:
        """Let everything through again."""
        self._up = True

    def close(self) -> None:
        """End it."""
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.run_until_complete(self._end())
        self._loop.close()

    async def _end(self) -> None:
        self._listening.close()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)


@pytest.fixture
def line(on_server: str) -> Iterator[Line]:
    made = Line(on_server)
    with temporary_settings({PREFECT_API_URL: made.url, PREFECT_CLIENT_MAX_RETRIES: 0}):
        yield made
    made.close()


@flow(name="asked")
async def asked(line: Line, away_s: float, timeout_s: int) -> ApprovalForm | None:
    """Ask over a line that is cut for a while, and whole again before the run ends."""
    line.cut()
    asyncio.get_running_loop().call_later(away_s, line.mend)
    try:
        return await ask_on_page("May it?", timeout_s)
    finally:
        line.mend()


async def test_an_answer_that_was_given_while_the_server_could_not_be_reached_is_heard(
    line: Line, on_server: str
) -> None:
    asking = asyncio.create_task(asked.with_options(flow_run_name="away for a while")(line, away_s=0.5, timeout_s=50))
    await answer(on_server, "away for a while", answer="approve", note="go on")
    refused = line.refused
    line.cut()
    asyncio.get_running_loop().call_later(2.5, line.mend)
    form = await asking
    assert 0 < refused < line.refused  # before it had paused, and while it waited
    assert form is not None
    assert (form.answer, form.note) == ("approve", "go on")


async def test_a_server_that_stays_away_is_waited_for_as_long_as_for_an_answer(line: Line) -> None:
    with pytest.raises(FlowPauseTimeout):
        await asyncio.wait_for(asked(line, away_s=30, timeout_s=1), 20)
    assert line.refused
