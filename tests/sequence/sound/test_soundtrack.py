"""Of music and narration, the film gets what was planned, and no more of it is decoded than it can need."""

from __future__ import annotations

import asyncio
import os
import resource
import time
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from tasks.errors import MediaError, StorageUnreachable
from tasks.media.files import sha256_of
from tasks.plan.build import build_plan
from tasks.plan.model import Plan, PlannedSound
from tasks.sequence.sound.soundtrack import lay_files
from tasks.storyboard.model import MediaFile, Shot, Storyboard
from tests.plan.boards import STANDARD
from tests.sequence.conftest import names
from tests.sequence.sound.sounds import SECOND, white
from tests.sequence.sound.test_decode import pcm_file

MARGIN_S = 10
BYTES_A_SECOND = SECOND * 8


def planned(music: Path | None = None, **narrations: Path) -> Plan:
    """Two shots of 5 s, `a` and `b`, with these sounds as they are now."""
    board = Storyboard(
        title="Film",
        model=STANDARD,
        width=1280,
        height=720,
        shots=tuple(Shot(id=name, prompt="The sea", duration_s=Decimal(5)) for name in "ab"),
        loudness_lufs=None,
    )
    plan = build_plan(board, {}, "emulator")
    shots = tuple(
        replace(shot, narration=sound(narrations[shot.id]) if shot.id in narrations else None) for shot in plan.shots
    )
    return replace(plan, shots=shots, music=sound(music) if music else None)


def sound(path: Path) -> PlannedSound:
    return PlannedSound(MediaFile(str(path)), sha256_of(path), Decimal(0))


def noise_file(path: Path, length_s: int) -> Path:
    return pcm_file(path, white(length_s * SECOND, level=0.1, seed=length_s))


async def begun(folder: Path) -> None:
    """Wait until a thread writes there."""
    while not names(folder):  # noqa: ASYNC110 -- a thread in which files appear tells nobody
        await asyncio.sleep(0)


async def test_no_more_is_decoded_than_the_film_can_need(tmp_path: Path) -> None:
    song, voice, word = (noise_file(tmp_path / f"{length_s}.wav", length_s) for length_s in (60, 50, 2))
    plan = planned(song, a=word, b=voice)
    film_s = float(plan.frames / plan.rate)
    begin_s = float(plan.begins["b"] / plan.rate)

    laid = await lay_files(plan, {str(path): path for path in (song, voice, word)}, tmp_path / "laid")

    assert list(laid) == [str(path) for path in (song, word, voice)]
    assert laid[str(song)].samples / SECOND == pytest.approx(film_s * 1.1 + MARGIN_S, abs=0.001)
    assert laid[str(voice)].samples / SECOND == pytest.approx((film_s - begin_s) * 1.1 + MARGIN_S, abs=0.001)
    assert laid[str(word)].samples == 2 * SECOND
    for path in (song, voice, word):
        found = np.fromfile(laid[str(path)].pcm, "<f4").reshape(-1, 2)
        length_s = int(path.stem)
        assert len(found) == laid[str(path)].samples
        np.testing.assert_allclose(found, white(length_s * SECOND, level=0.1, seed=length_s)[: len(found)], atol=1e-4)


async def test_a_file_for_several_is_decoded_for_the_one_that_needs_most(tmp_path: Path) -> None:
    song = noise_file(tmp_path / "song.wav", 60)
    local = {str(song): song}

    both = await lay_files(planned(a=song, b=song), local, tmp_path / "both")
    last = await lay_files(planned(b=song), local, tmp_path / "last")

    assert both[str(song)].samples > last[str(song)].samples
    assert names(tmp_path / "both") == ["0.f32", "0.f32.sha256"]


async def test_another_sound_than_was_planned_does_not_come_into_the_film(tmp_path: Path) -> None:
    song, voice = noise_file(tmp_path / "song.wav", 2), noise_file(tmp_path / "voice.wav", 1)
    plan, local = planned(song, b=voice), {str(path): path for path in (song, voice)}
    whole = voice.read_bytes()

    for path, shot in ((voice, "b"), (song, None)):
        changed = bytearray(path.read_bytes())
        changed[-1] ^= 1
        path.write_bytes(changed)
        with pytest.raises(MediaError, match="another one than was planned") as raised:
            await lay_files(plan, local, tmp_path / "laid")
        assert (raised.value.shot, raised.value.file) == (shot, str(path))
        assert raised.value.advice == "run again: clips that are made cost nothing more"
        voice.write_bytes(whole)


async def test_a_sound_that_changes_while_it_is_decoded_is_seen(tmp_path: Path) -> None:
    song = noise_file(tmp_path / "song.wav", 20)
    plan, laid = planned(song), tmp_path / "laid"
    laying = asyncio.ensure_future(lay_files(plan, {str(song): song}, laid))
    await begun(laid)

    # Decoding goes on with the file that it opened.
    (tmp_path / "other").write_bytes(b"another")
    (tmp_path / "other").replace(song)

    with pytest.raises(MediaError, match="another one than was planned"):
        await laying


async def test_touching_a_sound_does_not_make_it_another(tmp_path: Path) -> None:
    song = noise_file(tmp_path / "song.wav", 20)
    plan, laid = planned(song), tmp_path / "laid"
    laying = asyncio.ensure_future(lay_files(plan, {str(song): song}, laid))
    await begun(laid)

    os.utime(song, (1, 1))

    assert str(song) in await laying


async def test_what_could_not_be_read_when_it_was_planned_is_taken_as_it_is(tmp_path: Path) -> None:
    song = noise_file(tmp_path / "song.wav", 1)
    plan = planned(song)
    assert plan.music is not None

    laid = await lay_files(replace(plan, music=replace(plan.music, sha256=None)), {str(song): song}, tmp_path / "laid")

    assert laid[str(song)].samples == SECOND


async def test_a_sound_that_is_gone_is_told_with_its_shot(tmp_path: Path) -> None:
    song, voice = noise_file(tmp_path / "song.wav", 60), noise_file(tmp_path / "voice.wav", 1)
    plan = planned(song, b=voice)
    voice.unlink()

    with pytest.raises(MediaError, match="not there any more") as raised:
        await lay_files(plan, {str(path): path for path in (song, voice)}, tmp_path / "laid")

    assert (raised.value.shot, raised.value.file) == ("b", str(voice))
    assert "run again" in str(raised.value.advice)
    # The other was stopped, and has tidied up.
    assert not [name for name in names(tmp_path / "laid") if name.startswith(".")]


async def test_what_is_no_sound_is_told_with_its_shot(tmp_path: Path) -> None:
    words = tmp_path / "words.wav"
    words.write_bytes(b"These are words. " * 400)

    with pytest.raises(MediaError, match="sound") as raised:
        await lay_files(planned(b=words), {str(words): words}, tmp_path / "laid")

    assert (raised.value.shot, raised.value.file) == ("b", str(words))
    assert raised.value.advice


async def test_a_disk_without_room_is_told_as_that(tmp_path: Path) -> None:
    song = noise_file(tmp_path / "song.wav", 2)
    plan = planned(song)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (BYTES_A_SECOND, hard))
    try:
        with pytest.raises(StorageUnreachable, match="no room"):
            await lay_files(plan, {str(song): song}, tmp_path / "laid")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert names(tmp_path / "laid") == []


async def test_cancelling_ends_it_soon_and_leaves_nothing_behind(tmp_path: Path) -> None:
    song = noise_file(tmp_path / "song.wav", 60)
    plan = planned(song)
    laying = asyncio.ensure_future(lay_files(plan, {str(song): song}, tmp_path / "laid"))
    await begun(tmp_path / "laid")

    begun_s = time.monotonic()
    laying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await laying

    assert time.monotonic() - begun_s < 1
    assert names(tmp_path / "laid") == []
