"""The film's sound is worked on while clips are missing, no more often than is worth it, and comes out the same."""

from __future__ import annotations

import asyncio
import resource
import threading
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from flows.outcome import Made
from flows.production.ahead import SoundAhead
from tasks.errors import NeedFailed, StorageUnreachable
from tasks.handed import Handed
from tasks.plan.model import Plan, PlannedShot, PlannedSound
from tasks.progress import Event, Stage
from tasks.sequence.conform import Conformed
from tasks.sequence.sound.soundtrack import Laid, Mixdown, Shown
from tasks.storyboard.model import MediaFile
from tests.clips.house import make_plan
from tests.sequence.sound.sounds import SECOND, bursts, decoded, music, pcm

MUSIC = "music.wav"
NOBODY: list[Event] = []


@pytest.fixture
def plan() -> Plan:
    plan = make_plan(*(f"Shot {number}" for number in range(8)))
    return replace(plan, music=PlannedSound(MediaFile(MUSIC), None, Decimal(0)), loudness_lufs=Decimal(-16))


@pytest.fixture
def laid(tmp_path: Path) -> dict[str, Laid]:
    return {MUSIC: Laid(pcm(tmp_path / "music.f32", music(10 * SECOND) * 0.3), 10 * SECOND)}


class Shooting:
    """Has shots come, one after the other."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.made = Made(plan)
        self._voice = pcm(folder / "voice.f32", bursts(5 * SECOND))

    def come(self, shot: PlannedShot) -> Made:
        self.made.slates[shot.id] = Path("clip.mp4")
        self.made.parts[shot.id] = Handed(Conformed(shot.id, Path("clip.mp4"), self._voice, shot.frames))
        return self.made

    def shown(self) -> list[Shown]:
        return [Shown(self.made.cut(shot), self._voice) for shot in self.made.plan.shots]


async def idle(is_so: Callable[[], bool]) -> None:
    while not is_so():  # noqa: ASYNC110 -- work in threads tells nobody how far it is
        await asyncio.sleep(0.01)


def coded(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("*.aac") if not path.name.startswith(".")}


async def test_it_begins_when_half_is_there_and_finishes_what_is_missing(
    plan: Plan, laid: dict[str, Laid], tmp_path: Path
) -> None:
    shooting, folder = Shooting(plan, tmp_path), tmp_path / "ahead"
    async with SoundAhead(plan, laid, folder, tmp_path / "kept", NOBODY.append) as sound:
        for shot in plan.shots[:3]:
            sound.conformed(shooting.come(shot))
            await asyncio.sleep(0.02)
        assert not coded(folder)
        for shot in plan.shots[3:7]:
            sound.conformed(shooting.come(shot))
        await idle(lambda: len(coded(folder)) >= 6)
        sound.conformed(shooting.come(plan.shots[7]))
        mixdown = await sound.end()
        made = await mixdown.finish(shooting.shown())

    at_once = await Mixdown(plan, laid, tmp_path / "at-once", tmp_path / "kept-at-once").finish(shooting.shown())
    assert made is not None
    assert at_once is not None
    assert made.path.read_bytes() == at_once.path.read_bytes()
    assert made.loudness == at_once.loudness
    assert len(decoded(made.path)) == sum(shot.frames for shot in plan.shots) * SECOND // int(plan.rate)


async def test_a_run_that_ends_early_leaves_nobody_working(plan: Plan, laid: dict[str, Laid], tmp_path: Path) -> None:
    shooting, folder = Shooting(plan, tmp_path), tmp_path / "ahead"

    async def fails() -> None:
        async with SoundAhead(plan, laid, folder, tmp_path / "kept", NOBODY.append) as sound:
            for shot in plan.shots[:7]:
                sound.conformed(shooting.come(shot))
            await asyncio.sleep(0)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fails()
    there = coded(folder)
    await asyncio.sleep(0.3)
    assert coded(folder) == there


@pytest.mark.thorough
async def test_a_disk_without_room_is_told_when_the_sound_is_finished(
    plan: Plan, laid: dict[str, Laid], tmp_path: Path
) -> None:
    shooting, folder = Shooting(plan, tmp_path), tmp_path / "ahead"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        async with SoundAhead(plan, laid, folder, tmp_path / "kept", NOBODY.append) as sound:
            for shot in plan.shots:
                sound.conformed(shooting.come(shot))
                await asyncio.sleep(0.2)
            mixdown = await sound.end()
            with pytest.raises(StorageUnreachable, match="no room"):
                await mixdown.finish(shooting.shown())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert await mixdown.finish(shooting.shown()) is not None


@pytest.mark.thorough
async def test_what_goes_wrong_ahead_is_told_and_takes_nothing_along(
    plan: Plan, laid: dict[str, Laid], tmp_path: Path
) -> None:
    shooting, folder, told = Shooting(plan, tmp_path), tmp_path / "ahead", list[Event]()
    folder.write_text("no folder")  # none can be made there

    async def runs_out() -> None:
        async with SoundAhead(plan, laid, folder, tmp_path / "kept", told.append) as sound:
            for shot in plan.shots[:6]:
                sound.conformed(shooting.come(shot))
            await idle(lambda: bool(told))
            sound.conformed(shooting.come(plan.shots[6]))
            assert await sound.end() is not None
            raise NeedFailed("not begun")

    with pytest.raises(NeedFailed):
        await runs_out()
    assert [event.stage for event in told] == [Stage.NOTE]


@pytest.mark.parametrize("times", [1, 2])
async def test_a_run_that_is_cancelled_ends_when_nobody_works_any_more(
    plan: Plan, laid: dict[str, Laid], tmp_path: Path, times: int
) -> None:
    shooting, folder = Shooting(plan, tmp_path), tmp_path / "ahead"

    async def run() -> None:
        async with SoundAhead(plan, laid, folder, tmp_path / "kept", NOBODY.append) as sound:
            for shot in plan.shots[:7]:
                sound.conformed(shooting.come(shot))
            await idle(lambda: bool(coded(folder)))
            await sound.end() if times == 2 else await asyncio.sleep(60)

    running = asyncio.create_task(run())
    await idle(lambda: bool(coded(folder)))
    for _ in range(times):
        running.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await running

    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ThreadPoolExecutor")]


async def test_a_film_without_sound_gives_nothing_to_do(plan: Plan, tmp_path: Path) -> None:
    silent = replace(plan, music=None)
    made = Made(silent)
    async with SoundAhead(silent, {}, tmp_path / "ahead", tmp_path / "kept", NOBODY.append) as sound:
        for shot in silent.shots:
            made.slates[shot.id] = Path("clip.mp4")
            made.parts[shot.id] = Handed(Conformed(shot.id, Path("clip.mp4"), None, shot.frames))
            sound.conformed(made)
            await asyncio.sleep(0)
        mixdown = await sound.end()
        assert await mixdown.finish([Shown(made.cut(shot), None) for shot in silent.shots]) is None
    assert not (tmp_path / "ahead").exists()
