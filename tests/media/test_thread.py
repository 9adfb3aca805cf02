from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path

import pytest

from tasks.errors import MediaError
from tasks.media.thread import Stop, finish_in_thread, in_thread


def wait(stop: Stop, begun: Path, ended: Path) -> None:
    begun.touch()
    try:
        while True:
            stop.check()
            time.sleep(0.01)
    finally:
        time.sleep(0.1)
        ended.touch()


async def test_work_gives_what_it_gives() -> None:
    assert await in_thread(lambda _, number: number + 1, 41) == 42


async def test_work_raises_what_it_raises() -> None:
    def fail(_: Stop) -> None:
        raise MediaError("no")

    with pytest.raises(MediaError, match="no"):
        await in_thread(fail)


@pytest.mark.parametrize("times", [1, 3])
async def test_cancelling_waits_until_work_has_tidied_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, times: int
) -> None:
    begun, ended = tmp_path / "begun", tmp_path / "ended"
    with caplog.at_level(logging.ERROR, "asyncio"):
        working = asyncio.create_task(in_thread(wait, begun, ended))
        while not begun.exists():  # noqa: ASYNC110 -- a thread sets no event of this loop
            await asyncio.sleep(0.01)
        for _ in range(times):
            working.cancel()
            await asyncio.sleep(0.02)
        with pytest.raises(asyncio.CancelledError):
            await working

    assert ended.exists()
    assert not caplog.records


async def test_work_that_waits_for_its_turn_never_begins(tmp_path: Path) -> None:
    working = [
        asyncio.create_task(in_thread(wait, tmp_path / f"begun{number}", tmp_path / f"ended{number}"))
        for number in range(99)
    ]
    while not (tmp_path / "begun0").exists():  # noqa: ASYNC110 -- a thread sets no event of this loop
        await asyncio.sleep(0.01)
    for one in working:
        one.cancel()

    assert all(
        isinstance(result, asyncio.CancelledError) for result in await asyncio.gather(*working, return_exceptions=True)
    )
    begun = {path.name.removeprefix("begun") for path in tmp_path.glob("begun*")}  # noqa: ASYNC240 -- it is a moment
    assert begun == {path.name.removeprefix("ended") for path in tmp_path.glob("ended*")}  # noqa: ASYNC240 -- it is a moment
    assert len(begun) < 99


async def test_what_is_soon_over_is_waited_for_however_often_it_is_cancelled(tmp_path: Path) -> None:
    def write() -> None:
        time.sleep(0.2)
        (tmp_path / "written").touch()

    writing = asyncio.create_task(finish_in_thread(write))
    await asyncio.sleep(0.02)
    for _ in range(3):
        writing.cancel()
        await asyncio.sleep(0.01)
    with pytest.raises(asyncio.CancelledError):
        await writing

    assert (tmp_path / "written").exists()
    assert await finish_in_thread(lambda: 42) == 42
