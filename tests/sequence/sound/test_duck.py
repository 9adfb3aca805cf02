from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.errors import BadInput
from tasks.sequence.sound.duck import BEFORE, BEHIND, heard_in, lowered
from tasks.sequence.sound.mix import Layer, Mix
from tests.sequence.sound.sounds import SECOND, Sound, pcm, tone, white

MUSIC_HZ, VOICE_HZ = 5000, 300


@pytest.fixture
def music(tmp_path: Path) -> Layer:
    path = pcm(tmp_path / "music.f32", tone(20 * SECOND, MUSIC_HZ, 0.3))
    return Layer(path, 0, 20 * SECOND, fade_in=0, fade_out=0, duck_db=Decimal(12))


@pytest.fixture
def voice(tmp_path: Path) -> Layer:
    path = pcm(tmp_path / "voice.f32", tone(2 * SECOND, VOICE_HZ, 0.3))
    return Layer(path, 8 * SECOND, 2 * SECOND, fade_in=0, fade_out=0)


@pytest.fixture(scope="module")
def ducked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Mix, Sound]:
    """Music under voices, and all of it as it is read at once."""
    folder = tmp_path_factory.mktemp("ducked")
    music, voice = pcm(folder / "a.f32", white(7 * SECOND)), pcm(folder / "b.f32", tone(SECOND, VOICE_HZ))
    layers = [Layer(music, 0, 20 * SECOND, loop=True, duck_db=Decimal(9))]
    layers += [Layer(voice, at, SECOND) for at in (0, 150_001, 600_777, 19 * SECOND + 5)]
    mix = Mix(layers, 20 * SECOND)
    return mix, np.concatenate(list(mix.read(0, 20 * SECOND)))


def mixed(*layers: Layer) -> Sound:
    return np.concatenate(list(Mix(layers, 20 * SECOND).read(0, 20 * SECOND)))


def music_db(sound: Sound, at_s: float) -> float:
    """How loud the music's own tone is in the 20 ms around a time, against what it is without anything else."""
    at = round(at_s * SECOND)
    window = sound[at - 480 : at + 480, 0] * np.hanning(960)
    at_hz = np.exp(-2j * np.pi * MUSIC_HZ * np.arange(960) / SECOND)
    return float(20 * np.log10(np.abs((window * at_hz).sum()) / (0.3 / 2 * np.hanning(960).sum())))


def test_music_is_down_before_a_voice_begins_and_comes_back_slowly(music: Layer, voice: Layer) -> None:
    sound = mixed(music, voice)

    for at_s, wanted_db in ((1, 0), (7.6, 0), (7.85, -6), (8.0, -12), (9, -12), (10, -12), (10.5, -12), (11, -6)):
        assert music_db(sound, at_s) == pytest.approx(wanted_db, abs=0.3), at_s
    for at_s in (11.6, 15.0, 19.9):
        assert music_db(sound, at_s) == pytest.approx(0, abs=0.05)


def test_it_stays_down_between_words(music: Layer, voice: Layer) -> None:
    sound = mixed(music, voice, replace(voice, at=round(10.4 * SECOND)))

    assert all(music_db(sound, at_s) == pytest.approx(-12, abs=0.1) for at_s in np.arange(8, 12.4, 0.1))


def test_what_is_not_heard_changes_nothing(music: Layer, voice: Layer) -> None:
    whispered = mixed(music, replace(voice, gain_db=Decimal(-40)))

    assert all(music_db(whispered, at_s) == pytest.approx(0, abs=0.05) for at_s in np.arange(7, 12, 0.25))


def test_music_alone_is_as_it_is(music: Layer) -> None:
    np.testing.assert_array_equal(mixed(music), mixed(replace(music, duck_db=Decimal(0))))


def test_the_other_sound_is_left_as_it_is(music: Layer, voice: Layer) -> None:
    silent = replace(music, gain_db=Decimal(-200))

    np.testing.assert_allclose(mixed(silent, voice), mixed(voice), atol=1e-6)


def test_nothing_clicks(music: Layer, voice: Layer) -> None:
    sound = mixed(music) - mixed(music, voice) + mixed(voice)
    bend = float(np.abs(np.diff(sound, n=2, axis=0)).max())

    assert bend < 1.05 * float(np.abs(np.diff(mixed(music), n=2, axis=0)).max())


@pytest.mark.parametrize("at_s", [0, 0.1, 18.5])
def test_a_voice_at_the_films_ends(music: Layer, voice: Layer, at_s: float) -> None:
    at = round(at_s * SECOND)

    sound = mixed(music, replace(voice, at=at))

    assert music_db(sound, at_s + 0.5) == pytest.approx(-12, abs=0.1)
    assert len(sound) == 20 * SECOND


def test_it_never_goes_up(music: Layer) -> None:
    with pytest.raises(BadInput):
        replace(music, duck_db=Decimal(-1))


@settings(deadline=None, max_examples=40)
@given(st.lists(st.booleans(), min_size=1, max_size=400), st.integers(1, 40))
def test_it_is_down_where_something_is_heard_and_up_far_from_it(heard: list[bool], duck_db: int) -> None:
    around = np.array([False] * BEHIND + heard + [False] * BEFORE)
    factors = lowered(around, duck_db).reshape(len(heard), -1)

    down = 10 ** (-duck_db / 20)
    assert np.all(factors >= down * 0.999)
    assert np.all(factors <= 1)
    for place, (is_heard, factor) in enumerate(zip(heard, factors, strict=True), BEHIND):
        if is_heard:
            assert factor.max() == pytest.approx(down, rel=1e-4)
        elif not around[place - BEHIND : place + BEFORE + 1].any():
            assert factor.min() == 1


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 20 * SECOND - 1), st.integers(1, 3 * SECOND))
def test_any_stretch_of_it_can_be_read(ducked: tuple[Mix, Sound], first: int, length: int) -> None:
    mix, whole = ducked
    last = min(20 * SECOND, first + length)

    np.testing.assert_array_equal(np.concatenate(list(mix.read(first, last))), whole[first:last])


def test_what_it_is_made_of_tells_of_what_it_goes_down_under(music: Layer, voice: Layer) -> None:
    one, other = Mix([music, voice], 20 * SECOND), Mix([music, replace(voice, at=voice.at + 480)], 20 * SECOND)

    for first, last in ((6 * SECOND, 7 * SECOND), (12 * SECOND, 13 * SECOND)):
        assert one.made_of(first, last) == other.made_of(first, last)
    for first, last in ((7 * SECOND, 8 * SECOND), (round(10.5 * SECOND), 11 * SECOND)):
        assert one.made_of(first, last) != other.made_of(first, last)


def test_windows_are_heard_by_their_mean_power() -> None:
    assert heard_in(tone(4800, 1000, 0.02)).all()
    assert not heard_in(tone(4800, 1000, 0.01)).any()
    assert len(heard_in(white(481, 0.1))) == 2
    assert len(heard_in(white(0))) == 0
