from __future__ import annotations

import hashlib
import tempfile
import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.errors import BadInput, MediaError
from tasks.sequence.sound.mix import Layer, Mix

SECOND = 48_000
LOOP_FADE = 480

Sound = npt.NDArray[np.float32]


def pcm(path: Path, samples: npt.ArrayLike) -> Path:
    np.asarray(samples, dtype="<f4").tofile(path)
    return path


def mixed(layers: Sequence[Layer], samples: int) -> Sound:
    return np.concatenate([np.zeros((0, 2), dtype="<f4"), *Mix(layers, samples).read(0, samples)])


def noise(samples: int, seed: int = 0) -> Sound:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, (samples, 2)).astype("<f4")


def tone(samples: int, hz: float = 440) -> Sound:
    wave = 0.5 * np.sin(2 * np.pi * hz * np.arange(samples) / SECOND)
    return np.stack([wave, wave], axis=1).astype("<f4")


def click(samples: int, at: int) -> Sound:
    sound = np.zeros((samples, 2), dtype="<f4")
    sound[at] = 1
    return sound


def roughness(sound: Sound) -> float:
    """The sharpest bend of a wave, which a click is."""
    return float(np.abs(np.diff(sound, n=2, axis=0)).max())


def test_no_layers_are_silence_of_the_films_length(tmp_path: Path) -> None:
    assert mixed([], 1001).shape == (1001, 2)
    assert not mixed([], 1001).any()
    assert mixed([], 0).shape == (0, 2)


@pytest.mark.parametrize("at", [0, 1, SECOND - 1, SECOND, 7 * SECOND + 12_345])
def test_a_click_comes_at_its_sample(tmp_path: Path, at: int) -> None:
    layer = Layer(pcm(tmp_path / "a.f32", click(1000, 300)), at, 1000)

    sound = mixed([layer], 9 * SECOND)

    assert np.flatnonzero(sound[:, 0]).tolist() == [at + 300]
    assert sound[at + 300].tolist() == [1, 1]


def test_a_hundred_clips_stand_where_they_were_put(tmp_path: Path) -> None:
    clip = pcm(tmp_path / "clip.f32", click(9600, 4800))
    layers = [Layer(clip, number * 10_010 // 3, 9600) for number in range(100)]

    sound = mixed(layers, 350_000)

    assert np.flatnonzero(sound[:, 0]).tolist() == [layer.at + 4800 for layer in layers]


def test_what_stands_over_the_films_edges_is_cut_off(tmp_path: Path) -> None:
    material = noise(2000)
    early = Layer(pcm(tmp_path / "a.f32", material), -500, 2000, fade_in=0, fade_out=0)
    late = Layer(early.pcm, 4000, 2000, fade_in=0, fade_out=0)
    never = [Layer(early.pcm, -2000, 2000), Layer(early.pcm, 5000, 2000), Layer(early.pcm, 100, 0)]

    sound = mixed([early, late, *never], 5000)

    np.testing.assert_array_equal(sound[:1500], material[500:])
    np.testing.assert_array_equal(sound[4000:], material[:1000])
    assert not sound[1500:4000].any()


def test_material_that_is_shorter_than_its_slot_fades_at_its_own_end(tmp_path: Path) -> None:
    layer = Layer(pcm(tmp_path / "a.f32", np.ones((1000, 2))), 0, 3000)

    sound = mixed([layer], 3000)

    assert not sound[1000:].any()
    assert sound[999, 0] < 0.01
    assert (sound[240:760] == 1).all()


def test_material_that_is_longer_than_its_slot_fades_at_the_slots_end(tmp_path: Path) -> None:
    layer = Layer(pcm(tmp_path / "a.f32", np.ones((9000, 2))), 0, 3000)

    sound = mixed([layer], 5000)

    assert not sound[3000:].any()
    assert sound[2999, 0] < 0.01
    assert (sound[240:2760] == 1).all()


def test_a_crossover_keeps_the_power_of_unrelated_sounds(tmp_path: Path) -> None:
    ones = pcm(tmp_path / "a.f32", np.ones((20_000, 2)))
    going = mixed([Layer(ones, 0, 20_000, fade_out=12_000)], 28_000)[8000:20_000]
    coming = mixed([Layer(ones, 8000, 20_000, fade_in=12_000)], 28_000)[8000:20_000]

    np.testing.assert_allclose(going**2 + coming**2, 1, atol=1e-6)
    assert (np.diff(coming[:, 0]) >= 0).all()


def test_fades_that_do_not_fit_are_shortened_alike(tmp_path: Path) -> None:
    ones = pcm(tmp_path / "a.f32", np.ones((900, 2)))

    sound = mixed([Layer(ones, 0, 900, fade_in=4000, fade_out=2000)], 900)[:, 0]

    assert int(sound.argmax()) in (599, 600)
    assert sound.max() > 0.999
    assert sound[0] < 0.01
    assert sound[-1] < 0.01


def test_gain_is_in_decibels(tmp_path: Path) -> None:
    ones = pcm(tmp_path / "a.f32", np.ones((1000, 2)))
    layers = [Layer(ones, 0, 1000, gain_db=Decimal(gain)) for gain in ("-6", "12.5")]

    assert mixed(layers, 1000)[500, 0] == pytest.approx(10 ** (-6 / 20) + 10 ** (12.5 / 20))


def test_material_without_a_sample_is_silence_however_often_it_is_repeated(tmp_path: Path) -> None:
    empty = pcm(tmp_path / "a.f32", [])

    assert not mixed([Layer(empty, 0, 100, loop=True), Layer(empty, 0, 100)], 100).any()


@pytest.mark.parametrize("fields", [{"samples": -1}, {"samples": 5, "fade_in": -1}, {"samples": 5, "fade_out": -1}])
def test_a_layer_of_less_than_nothing_is_refused(fields: dict[str, int]) -> None:
    with pytest.raises(BadInput):
        Layer(Path("a.f32"), 0, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("hz", [50, 440])
def test_no_seam_clicks(tmp_path: Path, hz: float) -> None:
    material = tone(30_011, hz)
    row = [Layer(pcm(tmp_path / "a.f32", material), number * 30_011, 30_011) for number in range(3)]
    loop = [Layer(row[0].pcm, 0, 100_000, loop=True)]
    dissolve = [
        Layer(row[0].pcm, 0, 30_011, fade_out=12_000),
        Layer(row[0].pcm, 18_011, 30_011, fade_in=12_000),
    ]
    hard = [Layer(row[0].pcm, number * 30_011, 30_011, fade_in=0, fade_out=0) for number in range(3)]

    # Where a fade meets silence its own slope bends, by a hundredth of what a hard seam does.
    inside = roughness(material) + 0.5 * (np.pi / 2) / 240
    assert roughness(mixed(hard, 120_000)) > 30 * inside
    for layers in (row, loop, dissolve):
        assert roughness(mixed(layers, 120_000)) < 1.5 * inside


def test_a_loop_begins_again_ten_milliseconds_before_its_end(tmp_path: Path) -> None:
    material = click(20_000, 5000)
    layer = Layer(pcm(tmp_path / "a.f32", material), 100, 70_000, loop=True)

    sound = mixed([layer], 80_000)

    period = 20_000 - LOOP_FADE
    assert np.flatnonzero(sound[:, 0]).tolist() == [100 + 5000 + period * turn for turn in range(4)]
    assert set(sound[sound[:, 0] != 0, 0].tolist()) == {1.0}


def test_a_loop_does_not_get_quieter_where_it_begins_again(tmp_path: Path) -> None:
    layer = Layer(pcm(tmp_path / "a.f32", noise(10_000)), 0, 400_000, loop=True)

    sound = mixed([layer], 400_000)[1000:-1000]

    seams = [(sound[at - 1000 : at - 1000 + LOOP_FADE] ** 2).mean() for at in range(9520, 390_000, 9520)]
    assert np.mean(seams) == pytest.approx((sound**2).mean(), rel=0.05)


@st.composite
def layers_of_noise(draw: st.DrawFn) -> tuple[list[tuple[int, Layer]], int]:
    """Layers whose `pcm` names the length of their material, and a film's length."""
    film = draw(st.integers(1, 3 * SECOND))
    lengths = st.integers(0, 2 * SECOND) | st.integers(0, 1200)
    found = []
    for number in range(draw(st.integers(1, 4))):
        material = draw(lengths)
        layer = Layer(
            Path(f"{number}.f32"),
            draw(st.integers(-SECOND, film + 10)),
            draw(st.integers(0, 3 * SECOND)),
            gain_db=draw(st.decimals(-60, 20, places=1)),
            fade_in=draw(st.integers(0, SECOND) | st.just(240)),
            fade_out=draw(st.integers(0, SECOND) | st.just(240)),
            loop=draw(st.booleans()),
        )
        found.append((material, layer))
    return found, film


def looped(material: Sound, samples: int) -> Sound:
    """By the definition: rounds one after the other, each over the end of the one before."""
    overlap = min(LOOP_FADE, len(material) // 2)
    ramp = np.sin((np.arange(overlap) + 0.5) / max(1, overlap) * np.pi / 2)[:, None]
    heard = material.astype(float)
    while len(heard) - overlap < samples:
        piece = material.astype(float)
        piece[:overlap] *= ramp
        if overlap:
            heard[-overlap:] = heard[-overlap:] * ramp[::-1] + piece[:overlap]
        heard = np.concatenate([heard, piece[overlap:]])
    return heard[:samples].astype(np.float32)


def naive(layers: Sequence[tuple[Sound, Layer]], film: int) -> npt.NDArray[np.float64]:
    """By the definition, all in memory."""
    total = np.zeros((film, 2))
    for material, layer in layers:
        heard = looped(material, layer.samples) if layer.loop and len(material) else material[: layer.samples]
        length = len(heard)
        fade_in, fade_out = layer.fade_in, layer.fade_out
        if fade_in + fade_out > length:
            fade_in = layer.fade_in * length // (layer.fade_in + layer.fade_out)
            fade_out = min(layer.fade_out, length - fade_in)
        weights = np.full(length, 10 ** (float(layer.gain_db) / 20))
        for place in range(fade_in):
            weights[place] *= np.sin((place + 0.5) / fade_in * np.pi / 2)
        for place in range(fade_out):
            weights[length - 1 - place] *= np.sin((place + 0.5) / fade_out * np.pi / 2)
        first, last = max(0, layer.at), min(film, layer.at + length)
        if first < last:
            total[first:last] += (heard * weights[:, None])[first - layer.at : last - layer.at]
    return total


@settings(deadline=None, max_examples=60)
@given(layers_of_noise())
def test_a_mix_is_the_sum_of_its_layers(drawn: tuple[list[tuple[int, Layer]], int]) -> None:
    found, film = drawn
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sounds: list[tuple[Sound, Layer]] = []
        layers = []
        for number, (length, layer) in enumerate(found):
            path = pcm(folder / layer.pcm, noise(length, number))
            sounds.append((noise(length, number), layer))
            layers.append(
                Layer(path, layer.at, layer.samples, layer.gain_db, layer.fade_in, layer.fade_out, layer.loop)
            )

        np.testing.assert_allclose(mixed(layers, film), naive(sounds, film), atol=2e-5)


def test_the_same_layers_give_the_same_bytes(tmp_path: Path) -> None:
    layers = [Layer(pcm(tmp_path / "a.f32", noise(99_999)), 17, 99_999, gain_db=Decimal("-3.1"), loop=True)]

    digests = {hashlib.sha256(mixed(layers, 150_000).tobytes()).digest() for _ in range(2)}

    assert len(digests) == 1


def test_material_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="cannot be read"):
        Mix([Layer(tmp_path / "gone.f32", 0, 10)], 10)


def test_a_film_is_not_held_in_memory(tmp_path: Path) -> None:
    music = Layer(pcm(tmp_path / "a.f32", noise(20 * SECOND)), 0, 60 * SECOND, loop=True)
    tracemalloc.start()
    for _ in Mix([music], 60 * SECOND).read(0, 60 * SECOND):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 60 * SECOND * 8 / 3


@settings(deadline=None, max_examples=60)
@given(layers_of_noise(), st.integers(0, 3 * SECOND), st.integers(1, SECOND), st.data())
def test_what_is_made_of_the_same_sounds_the_same(
    drawn: tuple[list[tuple[int, Layer]], int], first: int, length: int, data: st.DataObject
) -> None:
    found, film = drawn
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number, (material, layer) in enumerate(found):
            pcm(folder / layer.pcm, noise(material, number))
        layers = [replace(layer, pcm=folder / layer.pcm) for _, layer in found]
        which = data.draw(st.integers(0, len(layers) - 1))
        others = list(layers)
        others[which] = data.draw(
            st.sampled_from(
                [
                    replace(layers[which], samples=2 * SECOND),
                    replace(layers[which], fade_out=99),
                    replace(layers[which], fade_in=777),
                    replace(layers[which], at=5),
                    replace(layers[which], loop=True),
                ]
            )
        )
        last = min(film, first + length)
        first = min(first, last - 1)

        one, other = Mix(layers, film), Mix(others, film + SECOND)
        heard = [np.concatenate(list(mix.read(first, last))) for mix in (one, other)]
        if one.made_of(first, last) == other.made_of(first, last):
            np.testing.assert_array_equal(heard[0], heard[1])


def test_a_longer_film_changes_nothing_of_music_until_it_goes(tmp_path: Path) -> None:
    path = pcm(tmp_path / "a.f32", noise(2 * SECOND))
    short, longer = (
        Mix([Layer(path, 0, length, fade_out=SECOND, loop=True)], length) for length in (20 * SECOND, 25 * SECOND)
    )

    assert short.made_of(5 * SECOND, 19 * SECOND) == longer.made_of(5 * SECOND, 19 * SECOND)
    assert short.made_of(5 * SECOND, 19 * SECOND + 1) != longer.made_of(5 * SECOND, 19 * SECOND + 1)
