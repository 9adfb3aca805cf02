"""Chromium plays films that were joined without encoding, and shows the right frame wherever it is told to go."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import av
import pytest

from tasks.sequence.join import Beside, put_beside
from tasks.sequence.lossless.avcc import read_avcc
from tasks.sequence.lossless.joined import join_lossless
from tasks.sequence.timeline import Cut
from tests.media.barclips import remuxed
from tests.sequence.lossless.conftest import FILM, PYRAMIDS, write_row

if TYPE_CHECKING:
    from playwright.sync_api import Page

FRAMES = 601
SEAMS = (120, 240, 360, 480)
# How a film is sent to a browser that is fed piece by piece; without the last, all of it would be shown late.
FRAGMENTS = "frag_keyframe+empty_moov+default_base_moof+negative_cts_offsets"


def film_of(cuts: Sequence[Cut], folder: Path, name: str, *, known: bool) -> Path:
    """A film as it is published; with `known`, its clips say what made them, and tails need no sets of their own."""
    work = folder / f"{name}-work"
    work.mkdir()
    if not known:
        cuts = [
            replace(
                cut,
                clip=remuxed(cut.clip, work / cut.clip.name, "-bsf:v", "filter_units=remove_types=6"),
                clip_id=f"silent {cut.clip_id}",
            )
            for cut in cuts
        ]

    async def make() -> Path:
        pictures = (await join_lossless(cuts, FILM, work / "pictures.mp4", work / "kept")).path
        await put_beside(pictures, FILM, folder / f"{name}.mp4", Beside())
        return folder / f"{name}.mp4"

    # In a thread: Playwright's own loop runs in this one.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, make()).result()


def sets_of(film: Path) -> tuple[int, str]:
    """How many sets of parameters a film has, and its codec as browsers call it."""
    with av.open(str(film)) as container:
        told = bytes(container.streams.video[0].codec_context.extradata or b"")
    sets = read_avcc(told)
    assert sets is not None
    return len(sets.sps), f"avc1.{told[1:4].hex()}"


@pytest.fixture(scope="session", params=["one set of parameters", "a set for the frames encoded again"])
def film(request: pytest.FixtureRequest, served: tuple[Path, str], pyramids: list[Cut]) -> Path:
    """Five clips of 121 frames, each but the last with three frames before its seam encoded again."""
    known = request.param == "one set of parameters"
    made = film_of(pyramids, served[0], "known" if known else "unknown", known=known)
    assert sets_of(made)[0] == (1 if known else 2)
    return made


def moments() -> list[int]:
    """Frames around each seam, in no order, with such between as only a keyframe far away leads to."""
    around = [seam + step for seam in SEAMS for step in (-4, -3, -2, -1, 0, 1, 2, 60)]
    wanted = sorted({0, 1, 60, *around, FRAMES - 1})
    random.Random(1).shuffle(wanted)
    return wanted


def check_seeks(player: Page) -> None:
    """Go to each moment, in the middle of its frame, and read the frame's number."""
    wanted = moments()
    found = [player.evaluate("seconds => seek(seconds)", (number + 0.5) / 24) for number in wanted]
    assert found == wanted


def test_seeking_in_a_file(player: Page, film: Path) -> None:
    duration_s = player.evaluate("name => openFile(name)", film.name)

    assert duration_s == pytest.approx(FRAMES / 24, abs=0.001)
    check_seeks(player)


def test_seeking_in_a_stream(player: Page, film: Path) -> None:
    fragments = film.with_name(f"fragments-{film.name}")
    if not fragments.exists():
        remuxed(film, fragments, "-movflags", FRAGMENTS)

    duration_s = player.evaluate(
        "([name, type]) => openStream(name, type)", [fragments.name, f'video/mp4; codecs="{sets_of(film)[1]}"']
    )

    assert duration_s == pytest.approx(FRAMES / 24, abs=0.001)
    check_seeks(player)


@pytest.mark.parametrize("known", [True, False])
def test_playing(player: Page, served: tuple[Path, str], tmp_path: Path, known: bool) -> None:
    cuts = write_row(tmp_path, 4, frames=25, settings=PYRAMIDS)
    film = film_of(cuts, served[0], f"short-{known}", known=known)
    player.evaluate("name => openFile(name)", film.name)

    seen = player.evaluate("rate => play(rate)", 0.5)

    numbers = [number for _, number in seen]
    # A browser may leave frames out when the machine is busy, but shows none at another's time, and none twice.
    assert numbers == sorted(set(numbers))
    assert numbers == [round(seconds * 24) for seconds, _ in seen]
    assert len(numbers) > 70
    assert numbers[-1] == 96
