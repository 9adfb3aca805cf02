"""Clips that are written in another way than the model writes them: none of it is damage. Each is stored whole, what
differs is said, and the film gets exactly its frames, in the colours that the provider drew."""

from __future__ import annotations

import asyncio
import functools
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from tasks.emulator import EmulatorServer, EmulatorSettings
from tasks.emulator.backdrop import Backdrop
from tasks.emulator.instant import VARIANTS
from tasks.emulator.picture import planes
from tasks.media.frames import extract_frames
from tasks.media.probe import probe_video
from tasks.plan.build import build_plan
from tasks.plan.catalog import load_catalog
from tasks.plan.model import Plan
from tasks.sequence.conform import conform
from tasks.sequence.cuts import cut_of, differences
from tasks.sequence.sound.decode import BYTES_PER_SAMPLE
from tasks.sequence.timeline import FilmLayout, sample_at
from tasks.storyboard.model import Shot, Storyboard
from tests.faults.conftest import NewTrial
from tests.faults.trial import SHOT_USD, fault

# A model of a third of the usual rate, for clips of a third of the usual length; the film has its rate. It has the
# shape of the plan's 1280x720, and cheaper to write.
FILM = FilmLayout(320, 180, Fraction(8))
GRID = (16, 9)
MODEL = "klingai:kling@o1-standard"

Colours = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Variant:
    """One way to write a clip.

    Attributes:
        name: In words.
        media: Fields of the fault.
        frames: Frames that the clip has and shows.
        rate: Its frames a second.
        film_frames: Frames that the film shows of it; by default, all of the clip's.
        codec: What it is written in.
        sound: Whether it has any.
        differs: What is said of it; None: not looked at, since such times cannot tell the rate exactly.
        output_format: What was asked for.
    """

    name: str
    media: Mapping[str, Any]
    frames: int = 41
    rate: Fraction = FILM.rate
    film_frames: int | None = None
    codec: str = "h264"
    sound: bool = False
    differs: tuple[str, ...] | None = ()
    output_format: str | None = None


def frames_differ(count: int) -> str:
    return f"shot 'a': its clip has {count} frames, not 41"


def rate_differs(rate: str) -> str:
    return f"shot 'a': its clip has {rate} frames a second, not 8"


VARIANTS_OF_MEDIA = [
    Variant("untagged", {"untagged": True}),
    Variant("full range", {"full_range": True}),
    Variant(
        "a faster rate",
        {"frame_rate": 10},
        51,
        Fraction(10),
        film_frames=41,
        differs=(frames_differ(51), rate_differs("10")),
    ),
    Variant(
        "a slower rate",
        {"frame_rate": 4},
        21,
        Fraction(4),
        film_frames=42,
        differs=(frames_differ(21), rate_differs("4")),
    ),
    Variant(
        "television's idea of the rate",
        {"frame_rate": "8000/1001"},
        rate=Fraction(8000, 1001),
        differs=(rate_differs("7.99201"),),
    ),
    Variant("a rate that varies", {"variable_rate": True}),
    Variant("one frame less", {"frames": 40}, 40, differs=(frames_differ(40),)),
    Variant("one frame more", {"frames": 42}, 42, differs=(frames_differ(42),)),
    Variant("one frame", {"frames": 1}, 1, differs=(frames_differ(1),)),
    Variant("sound that is longer", {"sound_longer_s": 0.5}, sound=True),
    Variant("sound that is shorter", {"sound_longer_s": -0.5}, sound=True),
    Variant("an edit list", {"hidden_frames": 5}),
    Variant("fine ticks", {"timescale": 1_000_000}),
    Variant("coarse ticks", {"timescale": 100}, differs=None),
    Variant("HEVC", {"codec": "hevc"}, codec="hevc"),
    Variant("VP9 in an MP4", {"codec": "vp9"}, codec="vp9"),
    Variant("a WebM by the name of an MP4", {"container": "webm"}, codec="vp9"),
    Variant("a MOV", {"untagged": True}, output_format="MOV"),
    Variant("a WebM", {"full_range": True}, codec="vp9", output_format="WEBM"),
    Variant(
        "much at once",
        {"full_range": True, "hidden_frames": 3, "sound_longer_s": 1.0, "timescale": 90_000},
        sound=True,
    ),
]


@pytest.fixture(scope="module")
def studio() -> Iterator[EmulatorServer]:
    """An emulator whose clips have the rate of the film."""
    with EmulatorServer(EmulatorSettings(instant=True, frames_per_second=FILM.rate)) as server:
        yield server


def planned(output_format: str | None) -> Plan:
    """A plan of one shot, for a model that makes `FILM.rate` frames a second."""
    spec = load_catalog()[MODEL]
    slow = spec.model_copy(update={"frames": spec.frames.model_copy(update={"rate": FILM.rate})})
    shot = Shot(id="a", prompt="A tram climbs", output_format=output_format)
    return build_plan(Storyboard("Harbour", MODEL, 1280, 720, (shot,)), {}, "emulator", {MODEL: slow})


@functools.cache
def drawn(variant: int, width: int, height: int) -> Colours:
    """The colours of a still that the provider draws, by the textbook: `GRID` cells of R, G and B."""
    frame = Backdrop(variant, width, height).at(variant / VARIANTS)
    luma, *chroma = (plane.astype(np.float64) for plane in planes(frame, width, height))
    blue, red = (plane.repeat(2, axis=0).repeat(2, axis=1) for plane in chroma)
    y, cb, cr = (luma - 16) / 219, (blue - 128) / 224, (red - 128) / 224
    r, b = y + 1.5748 * cr, y + 1.8556 * cb
    g = (y - 0.2126 * r - 0.0722 * b) / 0.7152
    return np.stack([cells((255 * channel).clip(0, 255)) for channel in (r, g, b)], axis=-1)


def shown(picture: Path) -> Colours:
    """The colours of a picture file, by the same cells."""
    pixels = np.asarray(Image.open(picture)).astype(np.float64)
    return np.stack([cells(pixels[..., channel]) for channel in range(3)], axis=-1)


def cells(plane: Colours) -> Colours:
    across, down = GRID
    height, width = plane.shape
    means: Colours = plane.reshape(down, height // down, across, width // across).mean(axis=(1, 3))
    return means


@pytest.mark.thorough
@pytest.mark.parametrize("variant", VARIANTS_OF_MEDIA, ids=lambda variant: variant.name)
async def test_a_clip_that_is_written_in_another_way(
    variant: Variant, new_trial: NewTrial, studio: EmulatorServer, tmp_path: Path
) -> None:
    plan = planned(variant.output_format)
    trial = new_trial(plan, studio)
    trial.set_faults(fault("media", **variant.media))
    seen = await trial.run()

    assert seen.error is None, seen.error
    assert (seen.states, seen.aside, seen.sent.count("download")) == ("stored", (), 1)
    assert seen.books_usd == seen.spent_usd == SHOT_USD
    clip = seen.taken[0].clip
    assert hashlib.sha256(clip.path.read_bytes()).hexdigest() == clip.sha256
    assert (clip.frames, clip.has_sound) == (variant.frames, variant.sound)
    assert float(clip.rate) == pytest.approx(float(variant.rate), rel=0.005)
    assert (clip.width, clip.height, probe_video(clip.path).codec) == (1280, 720, variant.codec)
    if variant.differs is not None:
        assert tuple(differences(plan, plan.shots[0], clip)) == variant.differs

    cut = cut_of(plan, plan.shots[0], clip)
    part = await conform(cut, FILM, tmp_path / "film")
    assert part.frames == cut.frames == (variant.film_frames or variant.frames)
    assert probe_video(part.picture).frames_declared == cut.frames
    assert (part.sound is not None) == variant.sound
    if part.sound is not None:
        assert part.sound.stat().st_size == sample_at(part.frames, FILM.rate) * BYTES_PER_SAMPLE
    assert clip.origin.seed is not None
    expected = drawn(clip.origin.seed % VARIANTS, clip.width, clip.height)
    last = part.frames - 1
    pictures = {index: tmp_path / f"{index}.png" for index in (0, last)}
    await asyncio.to_thread(extract_frames, part.picture, pictures)
    for picture in pictures.values():
        assert np.abs(shown(picture) - expected).max() < 4
