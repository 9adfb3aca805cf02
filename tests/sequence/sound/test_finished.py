"""A film's sound is mastered once; whoever needs the very same again finds it, and nobody gets another one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from tasks.plan.model import Plan, PlannedSound
from tasks.sequence.cuts import planned_cut
from tasks.sequence.sound.soundtrack import Laid, Mixdown, Shown, Soundtrack
from tasks.storyboard.model import MediaFile
from tests.clips.house import make_plan
from tests.sequence.conftest import names
from tests.sequence.sound.sounds import SECOND, music, pcm

MUSIC = "music.wav"


class Studio:
    """Finishes the sound of a film of two shots, in a new folder each time, as runs do."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kept = folder / "kept"
        self.plan: Plan = replace(
            make_plan("One", "Two"), music=PlannedSound(MediaFile(MUSIC), None, Decimal(0)), loudness_lufs=Decimal(-16)
        )
        self.material = music(3 * SECOND) * 0.3
        self.voice: Path | None = None
        self._runs = 0

    async def finish(self) -> tuple[Soundtrack, bool]:
        """The sound, and whether it was made now."""
        self._runs += 1
        run = self.folder / f"run-{self._runs}"
        run.mkdir()
        laid = {MUSIC: Laid(pcm(run / "music.f32", self.material), len(self.material))}
        shown = [Shown(planned_cut(self.plan, shot), self.voice) for shot in self.plan.shots]
        made = await Mixdown(self.plan, laid, run / "sound", self.kept).finish(shown)
        assert made is not None
        return made, (run / "sound").exists()


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return Studio(tmp_path)


async def test_the_next_run_finds_it(studio: Studio) -> None:
    first, made_first = await studio.finish()
    coded = first.path.read_bytes()

    second, made_again = await studio.finish()

    assert (made_first, made_again) == (True, False)
    assert second == first
    assert second.path.read_bytes() == coded
    assert first.path.parent == studio.kept


def other_music(studio: Studio) -> None:
    studio.material = studio.material.copy()
    studio.material[SECOND] += 0.2


def louder_music(studio: Studio) -> None:
    assert studio.plan.music is not None
    studio.plan = replace(studio.plan, music=replace(studio.plan.music, gain_db=Decimal("-0.1")))


def other_loudness(studio: Studio) -> None:
    studio.plan = replace(studio.plan, loudness_lufs=Decimal(-18))


def voices(studio: Studio) -> None:
    studio.voice = pcm(studio.folder / "voice.f32", music(SECOND) * 0.1)


@pytest.mark.parametrize("change", [other_music, louder_music, other_loudness, voices])
async def test_what_is_heard_otherwise_is_made_anew(studio: Studio, change: Callable[[Studio], None]) -> None:
    before, _ = await studio.finish()

    change(studio)
    after, is_made = await studio.finish()

    assert is_made
    assert after.path != before.path
    assert after.path.read_bytes() != before.path.read_bytes()


def damage(path: Path) -> None:
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 1
    path.write_bytes(whole)


@pytest.mark.parametrize("suffix", [".m4a", ".json"])
@pytest.mark.parametrize("spoil", [damage, Path.unlink])
async def test_what_is_damaged_or_gone_is_made_anew(studio: Studio, suffix: str, spoil: Callable[[Path], None]) -> None:
    before, _ = await studio.finish()
    coded = before.path.read_bytes()
    spoil(before.path.with_suffix(suffix))

    after, is_made = await studio.finish()

    assert is_made
    assert after == before
    assert after.path.read_bytes() == coded
    assert names(studio.kept) == [before.path.with_suffix(".json").name, before.path.name]


async def test_nothing_is_worked_out_ahead_of_what_is_there(studio: Studio) -> None:
    await studio.finish()
    laid = {MUSIC: Laid(pcm(studio.folder / "music.f32", studio.material), len(studio.material))}
    mixdown = Mixdown(studio.plan, laid, studio.folder / "ahead", studio.kept)

    await mixdown.ahead([Shown(planned_cut(studio.plan, shot), None) for shot in studio.plan.shots], missing=1)

    assert not (studio.folder / "ahead").exists()
