from __future__ import annotations

import asyncio
import json
import resource
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import cached_property
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from tasks.errors import StorageUnreachable
from tasks.sequence.sound.coder import Bench
from tasks.sequence.sound.master import MOST_GAIN_DB, TRUE_PEAK_DBTP, Loudness, master, master_ahead
from tests.sequence.conftest import names
from tests.sequence.sound.sounds import (
    SECOND,
    Held,
    Sound,
    bursts,
    clicks,
    decoded,
    faded,
    heard_at,
    music,
    opinion,
    pink,
    square_with_peaks,
    tone,
    white,
)

TARGET = Decimal(-16)


async def mastered(sound: Sound, folder: Path, target_lufs: Decimal | None = TARGET) -> Loudness:
    return await master(Held(sound), target_lufs, Bench(folder / "bench"), folder / "film.m4a")


def rattling(samples: int) -> Sound:
    """Strokes of noise, from which AAC makes higher peaks."""
    fading = np.exp(-(np.arange(samples) % 12_000) / 1500)[:, None]
    return np.asarray(white(samples, 0.5) * fading, dtype="<f4")


SOUNDS: dict[str, Callable[[int], Sound]] = {
    "rain": pink,
    "loud rain": lambda samples: pink(samples, 0.5),
    "hiss": white,
    "voice": bursts,
    "quiet voice": lambda samples: bursts(samples, 0.03),
    "square with peaks": square_with_peaks,
    "music": music,
    "music ten times too loud": lambda samples: music(samples) * 10,
    "strokes": rattling,
    "bass": lambda samples: tone(samples, 50, 0.9),
    "whistle": lambda samples: faded(tone(samples, 11_999, 0.9)),
}


@pytest.mark.thorough
@pytest.mark.parametrize("name", SOUNDS)
async def test_the_finished_sound_is_as_loud_as_wanted_and_no_peak_is_too_high(tmp_path: Path, name: str) -> None:
    found = await mastered(SOUNDS[name](5 * SECOND), tmp_path)

    loudness_lufs, peak_dbtp = opinion(tmp_path / "film.m4a")
    assert loudness_lufs == pytest.approx(-16, abs=0.5)
    assert peak_dbtp <= -1.5
    # What goes into the manifest is what ffmpeg's own meter finds in the file.
    assert found.integrated_lufs is not None
    assert found.true_peak_dbtp is not None
    assert float(found.integrated_lufs) == pytest.approx(loudness_lufs, abs=0.08)
    assert float(found.true_peak_dbtp) == pytest.approx(peak_dbtp, abs=0.1)
    assert found.true_peak_dbtp <= TRUE_PEAK_DBTP


@pytest.mark.thorough
@pytest.mark.parametrize("target", ["-36", "-23", "-14.5"])
async def test_other_targets(tmp_path: Path, target: str) -> None:
    await mastered(music(5 * SECOND), tmp_path, Decimal(target))

    loudness_lufs, peak_dbtp = opinion(tmp_path / "film.m4a")
    assert loudness_lufs == pytest.approx(float(target), abs=0.5)
    assert peak_dbtp <= -1.5


async def test_a_very_quiet_sound_is_raised_by_twenty_decibels_and_no_more(tmp_path: Path) -> None:
    found = await mastered(tone(5 * SECOND, 440, 0.001), tmp_path)

    assert found.gain_db == MOST_GAIN_DB
    assert found.limited_db == 0
    assert found.integrated_lufs is not None
    assert float(found.integrated_lufs) == pytest.approx(-60.7 + 20, abs=0.2)


async def test_a_target_that_cannot_be_reached_is_missed_without_an_error(tmp_path: Path) -> None:
    # One click: limited, it has no more loudness, whatever its gain.
    found = await mastered(clicks(5 * SECOND, (2 * SECOND,)), tmp_path)

    loudness_lufs, peak_dbtp = opinion(tmp_path / "film.m4a")
    assert found.integrated_lufs is not None
    assert float(found.integrated_lufs) == pytest.approx(loudness_lufs, abs=0.1)
    assert loudness_lufs < -20
    assert peak_dbtp <= -1.5
    assert found.gain_db < 5


async def test_silence_stays_silence(tmp_path: Path) -> None:
    found = await mastered(np.zeros((3 * SECOND, 2), dtype="<f4"), tmp_path)

    assert found == Loudness(None, None, Decimal(0), Decimal(0))
    assert len(decoded(tmp_path / "film.m4a")) == 3 * SECOND
    assert not decoded(tmp_path / "film.m4a").any()


@pytest.mark.thorough
@pytest.mark.parametrize("samples", [1, 800, 2002, 19_199])
async def test_a_moment_has_no_loudness_and_yet_no_peak_that_is_too_high(tmp_path: Path, samples: int) -> None:
    found = await mastered(white(samples, 0.8), tmp_path)

    assert found.integrated_lufs is None
    assert found.true_peak_dbtp is None or found.true_peak_dbtp <= TRUE_PEAK_DBTP
    assert len(decoded(tmp_path / "film.m4a")) == samples
    assert opinion(tmp_path / "film.m4a")[1] <= -1.5


async def test_without_a_target_the_sound_is_coded_as_it_is_and_measured(tmp_path: Path) -> None:
    sound = np.asarray(tone(5 * SECOND, 440, 1.5), dtype="<f4")
    found = await mastered(sound, tmp_path, None)

    assert found.gain_db == found.limited_db == 0
    assert np.abs(decoded(tmp_path / "film.m4a")).max() == pytest.approx(1.5, rel=0.05)
    assert found.true_peak_dbtp is not None
    assert float(found.true_peak_dbtp) == pytest.approx(opinion(tmp_path / "film.m4a")[1], abs=0.1)


@pytest.mark.thorough
@pytest.mark.parametrize("target", [TARGET, None])
async def test_every_sample_stays_in_its_place(tmp_path: Path, target: Decimal | None) -> None:
    places = (700, 5 * SECOND, 13 * SECOND + 1, 20 * SECOND - 700)
    sound = clicks(20 * SECOND, places)
    sound += tone(20 * SECOND, 300, 0.02)
    await mastered(sound, tmp_path, target)

    heard = decoded(tmp_path / "film.m4a")
    assert len(heard) == len(sound)
    for place in places:
        assert abs(heard_at(heard, place) - place) <= 2


@pytest.mark.film
@pytest.mark.timeout(300)
async def test_every_sample_of_a_long_film_stays_in_its_place(tmp_path: Path) -> None:
    places = (*range(700, 500 * SECOND, 5 * SECOND), 500 * SECOND - 700)
    sound = np.tile(music(20 * SECOND) * np.float32(0.05), (25, 1)) + clicks(500 * SECOND, places)
    found = await mastered(sound, tmp_path)

    heard = decoded(tmp_path / "film.m4a")
    assert max(abs(heard_at(heard, place) - place) for place in places) <= 2
    loudness_lufs, peak_dbtp = opinion(tmp_path / "film.m4a")
    assert peak_dbtp <= -1.5
    assert found.integrated_lufs is not None
    assert float(found.integrated_lufs) == pytest.approx(loudness_lufs, abs=0.08)


async def test_loud_and_quiet_stay_as_far_apart_as_they_were(tmp_path: Path) -> None:
    sound = np.concatenate([tone(4 * SECOND, 1000, level) for level in (0.1, 0.02, 0.1)])
    found = await mastered(sound, tmp_path)

    heard = decoded(tmp_path / "film.m4a")
    raised_db = [
        20 * np.log10(np.abs(heard[part]).max() / np.abs(sound[part]).max())
        for part in (slice(SECOND, 3 * SECOND), slice(5 * SECOND, 7 * SECOND), slice(9 * SECOND, 11 * SECOND))
    ]
    assert raised_db == pytest.approx([float(found.gain_db)] * 3, abs=0.3)


async def test_the_same_sound_gives_the_same_bytes(tmp_path: Path) -> None:
    digests = set()
    for _ in range(2):
        found = await mastered(music(13 * SECOND), tmp_path)
        digests.add((sha256((tmp_path / "film.m4a").read_bytes()).digest(), found))

    assert len(digests) == 1


class Counting(Held):
    """Tells from where it was read."""

    @cached_property
    def reads(self) -> list[int]:
        return []

    def read(self, first: int, last: int) -> Iterator[Sound]:
        self.reads.append(first)
        yield from super().read(first, last)


@pytest.mark.thorough
@pytest.mark.parametrize("target", [TARGET, None])
async def test_behind_the_last_shot_only_what_it_changes_is_coded(tmp_path: Path, target: Decimal | None) -> None:
    whole = bursts(20 * SECOND)
    lacking = whole.copy()
    lacking[16 * SECOND : 17 * SECOND] = 0
    bench = Bench(tmp_path / "bench")
    await master_ahead(Held(lacking), target, bench, may_change_db=0.4)
    sound = Counting(whole)

    ahead = await master(sound, target, bench, tmp_path / "ahead.m4a")
    at_once = await master(Held(whole), target, Bench(tmp_path / "other"), tmp_path / "at-once.m4a")

    assert sound.reads
    assert all(first > 11 * SECOND for first in sound.reads)
    assert ahead == at_once
    assert (tmp_path / "ahead.m4a").read_bytes() == (tmp_path / "at-once.m4a").read_bytes()


@pytest.mark.thorough
async def test_what_was_worked_out_ahead_is_of_no_matter_where_the_film_comes_out_otherwise(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "bench")
    await master_ahead(Held(bursts(20 * SECOND, 0.05)), TARGET, bench)
    for sound in (bursts(20 * SECOND, 0.4), bursts(14 * SECOND), np.zeros((SECOND, 2), "<f4")):
        found = await master(Held(sound), TARGET, bench, tmp_path / "ahead.m4a")

        assert found == await mastered(sound, tmp_path)
        assert (tmp_path / "ahead.m4a").read_bytes() == (tmp_path / "film.m4a").read_bytes()


@pytest.mark.thorough
async def test_what_is_of_no_use_any_more_is_dropped(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "bench")
    for level in (0.05, 0.1, 0.2):
        await master_ahead(Held(bursts(20 * SECOND, level)), None, bench)

        assert len(names(tmp_path / "bench")) == 3


@pytest.mark.thorough
async def test_work_ahead_ends_soon_when_it_is_cancelled_and_what_was_done_is_kept(tmp_path: Path) -> None:
    sound, bench = Counting(pink(60 * SECOND)), Bench(tmp_path / "bench")
    working = asyncio.create_task(master_ahead(sound, None, bench))
    while not sound.reads:  # noqa: ASYNC110 -- work in threads tells nobody how far it is
        await asyncio.sleep(0.01)

    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working

    done = len(sound.reads)
    assert 0 < done < 9
    await master_ahead(sound, None, bench)
    assert len(sound.reads) == 9


async def test_silence_knows_that_it_is_silent(tmp_path: Path) -> None:
    assert (await mastered(np.zeros((SECOND, 2), dtype="<f4"), tmp_path)).is_silent
    assert not (await mastered(tone(SECOND, 440, 0.001), tmp_path)).is_silent


async def test_it_can_be_put_down_as_json(tmp_path: Path) -> None:
    found = await mastered(tone(2 * SECOND, 1000), tmp_path)

    told = json.loads(json.dumps(found.as_dict()))
    assert told["integrated_lufs"] == pytest.approx(-16, abs=0.5)
    assert set(told) == {"integrated_lufs", "true_peak_dbtp", "gain_db", "limited_db"}
    assert Loudness(None, None, Decimal(0), Decimal(0)).as_dict()["integrated_lufs"] is None


async def test_a_failure_leaves_nothing_behind_and_the_old_film_in_place(tmp_path: Path) -> None:
    (tmp_path / "film.m4a").write_bytes(b"old")

    class Gone(Held):
        def read(self, first: int, last: int) -> Iterator[Sound]:
            raise FileNotFoundError(first, last)

    with pytest.raises(FileNotFoundError):
        await master(Gone(tone(SECOND, 440)), TARGET, Bench(tmp_path / "bench"), tmp_path / "film.m4a")

    assert names(tmp_path) == ["film.m4a"]
    assert (tmp_path / "film.m4a").read_bytes() == b"old"


async def test_cancelling_ends_it_soon_and_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    mixed, bench = Held(pink(60 * SECOND)), Bench(tmp_path / "bench")
    working = asyncio.create_task(master(mixed, TARGET, bench, tmp_path / "out" / "film.m4a"))
    await asyncio.sleep(0.2)

    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working

    assert names(tmp_path / "out") == []


async def test_folders_may_have_any_name(tmp_path: Path) -> None:
    folder = tmp_path / 'it\'s a «"folder"» = 50%, \\ äöü [v]; #1\n2'
    folder.mkdir()

    assert (await mastered(tone(SECOND, 1000), folder)).integrated_lufs is not None


@pytest.mark.thorough
@pytest.mark.parametrize("room_bytes", [1000, 40_000])
async def test_a_disk_without_room_is_told_as_that(tmp_path: Path, room_bytes: int) -> None:
    sound, bench = Held(white(3 * SECOND)), Bench(tmp_path / "bench")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room_bytes, hard))
    try:
        with pytest.raises(StorageUnreachable, match="no room") as raised:
            await master(sound, TARGET, bench, tmp_path / "sound.m4a")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert str(raised.value.file).startswith(str(tmp_path))
    assert "sound.m4a" not in names(tmp_path)
    assert not [name for name in names(tmp_path / "bench") if "part" in name]
