from __future__ import annotations

import asyncio
import resource
import threading
from pathlib import Path
from typing import Any

import ffmpeg
import pytest

from tasks.errors import MediaError, StorageUnreachable
from tasks.media.ffmpeg import Pool, binary, run, version


def pattern(output: Path, **options: Any) -> Any:
    source = ffmpeg.input("testsrc2=s=320x180:r=24", format="lavfi")
    return source.output(str(output), **options)


async def test_runs_a_graph_and_overwrites_what_was_there(tmp_path: Path) -> None:
    output = tmp_path / "it's «here».mp4"
    output.write_bytes(b"")

    await run(pattern(output, vframes=5), what="draw")

    assert output.stat().st_size > 1000


async def test_a_failure_tells_what_was_done_and_what_ffmpeg_said(tmp_path: Path) -> None:
    broken = ffmpeg.input(str(tmp_path / "nothing.mp4")).output(str(tmp_path / "out.mp4"))

    with pytest.raises(MediaError, match=r"could not join two clips.*No such file") as raised:
        await run(broken, what="join two clips")

    assert raised.value.exit_code == 5


async def test_a_disk_without_room_is_told_as_that(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
    try:
        with pytest.raises(StorageUnreachable, match="no room") as raised:
            await run(pattern(tmp_path / "out.mp4", vframes=50), what="draw")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert raised.value.file == str(tmp_path / "out.mp4")
    assert "let files there be larger" in str(raised.value)


async def test_a_full_disk_is_told_as_that() -> None:
    full = ffmpeg.input("testsrc2=s=320x180:r=24", format="lavfi").output("/dev/full", format="rawvideo", vframes=50)

    with pytest.raises(StorageUnreachable, match=r"no room.*No space left"):
        await run(full, what="draw")


@pytest.mark.parametrize("wanted", ["out.png", "out.h264"])
async def test_no_output_is_a_failure_though_ffmpeg_is_content(tmp_path: Path, wanted: str) -> None:
    # Nothing is left after five seconds of one; ffmpeg exits with 0 and leaves no picture, or an empty file.
    source = ffmpeg.input("color=d=1", format="lavfi").filter("trim", start=5)

    with pytest.raises(MediaError, match="left nothing"):
        await run(source.output(str(tmp_path / wanted)), what="find a frame")


async def test_a_chatty_child_does_not_block(tmp_path: Path) -> None:
    # showinfo writes a line for each frame, some megabytes in all: a pipe that nobody reads holds 64 KiB.
    source = ffmpeg.input("color=s=16x16:d=400", format="lavfi").filter("showinfo")
    chatty = source.output(str(tmp_path / "out.mp4"), preset="ultrafast").global_args("-v", "info")

    await asyncio.wait_for(run(chatty, what="talk"), timeout=30)


async def test_it_tells_how_many_pictures_are_done(tmp_path: Path) -> None:
    told: list[int] = []

    await run(pattern(tmp_path / "out.mp4", vframes=500), what="draw", on_frames=told.append)

    assert told == sorted(told)
    assert told[-1] == 500


async def test_it_tells_them_while_it_is_at_work(tmp_path: Path) -> None:
    told: list[int] = []
    source = ffmpeg.input("testsrc2=s=320x180:r=24", format="lavfi", re=None)
    endless = asyncio.create_task(
        run(source.output(str(tmp_path / "endless.ts")), what="go on for ever", on_frames=told.append)
    )
    while len(set(told)) < 3:
        await asyncio.sleep(0.02)
        assert not endless.done()

    endless.cancel()
    with pytest.raises(asyncio.CancelledError):
        await endless


async def test_a_chatty_child_that_is_also_asked_does_not_block(tmp_path: Path) -> None:
    # Both pipes carry megabytes.
    source = ffmpeg.input("color=s=16x16:d=400", format="lavfi").filter("showinfo")
    chatty = source.output(str(tmp_path / "out.mp4"), preset="ultrafast")
    chatty = chatty.global_args("-v", "info", "-stats_period", "0.0001")
    told: list[int] = []

    await asyncio.wait_for(run(chatty, what="talk", on_frames=told.append), timeout=30)

    assert told[-1] == 400 * 25


async def test_who_fails_to_listen_ends_the_run(tmp_path: Path) -> None:
    output = tmp_path / "endless.ts"
    source = ffmpeg.input("testsrc2=s=320x180:r=24", format="lavfi", re=None)

    def fail(frames: int) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await run(source.output(str(output)), what="go on for ever", on_frames=fail)

    assert not running(output)


async def test_a_failure_is_told_to_who_listens_too(tmp_path: Path) -> None:
    broken = ffmpeg.input(str(tmp_path / "nothing.mp4")).output(str(tmp_path / "out.mp4"))

    with pytest.raises(MediaError, match=r"could not join two clips.*No such file"):
        await run(broken, what="join two clips", on_frames=print)


async def test_cancelling_kills_the_child_and_frees_its_slot(tmp_path: Path) -> None:
    output = tmp_path / "endless.ts"
    source = ffmpeg.input("testsrc2=s=320x180:r=24", format="lavfi", re=None)
    endless = asyncio.create_task(run(source.output(str(output)), what="go on for ever"))
    while not running(output):
        await asyncio.sleep(0.02)
        assert not endless.done()

    endless.cancel()
    with pytest.raises(asyncio.CancelledError):
        await endless

    assert not running(output)
    await run(pattern(tmp_path / "next.mp4", vframes=1), what="go on")


def running(output: Path) -> bool:
    """Whether a process is alive that was told to write `output`."""
    return any(str(output) in _text(path) for path in Path("/proc").glob("[0-9]*/cmdline"))


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8", "replace")
    except OSError:  # that process has just ended
        return ""


def test_the_binary_is_the_installed_one() -> None:
    assert Path(binary()).is_file()
    assert any(letter.isdigit() for letter in version())


async def test_a_pool_never_gives_more_slots_than_it_has() -> None:
    pool = Pool(2)
    inside: list[int] = []
    most = 0

    async def work(number: int) -> None:
        nonlocal most
        async with pool.slot():
            inside.append(number)
            most = max(most, len(inside))
            await asyncio.sleep(0.001)
            inside.remove(number)

    await asyncio.gather(*(work(number) for number in range(20)))

    assert most == 2


async def test_a_waiter_that_is_cancelled_loses_no_slot() -> None:
    pool = Pool(1)
    async with pool.slot():
        waiters = [asyncio.create_task(pool.slot().__aenter__()) for _ in range(3)]
        await asyncio.sleep(0)
        waiters[1].cancel()
    # The slot is on its way to the first waiter, who is cancelled before it arrives.
    waiters[0].cancel()
    results = await asyncio.wait_for(asyncio.gather(*waiters, return_exceptions=True), timeout=5)

    assert [isinstance(result, asyncio.CancelledError) for result in results] == [True, True, False]


def test_a_pool_is_shared_by_event_loops_in_threads() -> None:
    pool = Pool(1)
    inside = most = 0
    done: list[int] = []

    async def work(number: int) -> None:
        nonlocal inside, most
        for _ in range(10):
            async with pool.slot():
                inside += 1
                most = max(most, inside)
                await asyncio.sleep(0.001)
                inside -= 1
        done.append(number)

    threads = [threading.Thread(target=asyncio.run, args=(work(number),)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)

    assert sorted(done) == [0, 1, 2, 3]
    assert most == 1
