"""Deliverables of one film, side by side: none is made twice, and none that fails takes along the others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from flows.outcome import Made
from flows.production.delivering import Deliverable, deliver_all
from flows.production.studio import Studio
from tasks.deliver.presets import Codec, Container, Preset
from tasks.errors import StorageUnreachable
from tasks.handed import Handed
from tasks.progress import observer
from tasks.settings import Finish, Signing
from tests.clips.house import make_plan
from tests.deliver.films import AFilm, flat_film, numbered_film

pytestmark = pytest.mark.usefixtures("on_server")


def small(name: str) -> Preset:
    return Preset(name=name, container=Container.MP4, codec=Codec.H264, quality=30, max_width=96)


async def delivered(
    film: AFilm, folder: Path, captions: Path | None, *presets: Preset
) -> tuple[Sequence[Deliverable], Made]:
    studio: Any = SimpleNamespace(
        film=film.path,
        scratch=folder,
        conformed=folder / "conformed",
        observe=observer(),
        settings=SimpleNamespace(finish=Finish(), signing=Signing()),
    )
    made = Made(make_plan("A tram climbs", provider="emulator"))
    return await deliver_all(cast("Studio", studio), made, Handed(film.facts), captions, presets), made


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> AFilm:
    return flat_film(tmp_path_factory.mktemp("plain"), (200, 40, 40))


async def test_presets_that_differ_in_their_names_alone_are_encoded_once(plain: AFilm, tmp_path: Path) -> None:
    found, made = await delivered(plain, tmp_path, None, small("one"), small("two"), small("three"))

    assert made.undelivered == {}
    assert sorted(it.made.value.reused for it in found) == [False, True, True]
    assert len({it.made.value.path for it in found}) == 1
    assert [it.path.name for it in found] == ["delivered.one.mp4", "delivered.two.mp4", "delivered.three.mp4"]


@pytest.fixture(scope="module")
def numbered(tmp_path_factory: pytest.TempPathFactory) -> AFilm:
    return numbered_film(tmp_path_factory.mktemp("numbered"))


async def test_a_file_that_cannot_be_read_takes_along_neither_the_film_nor_the_others(
    numbered: AFilm, tmp_path: Path
) -> None:
    (tmp_path / "captions.vtt").mkdir()
    found, made = await delivered(numbered, tmp_path, tmp_path / "captions.vtt", small("one"))

    assert list(found) == []
    assert isinstance(made.undelivered["one"], StorageUnreachable)
    assert "'one' is not delivered: a file cannot be used: " in made.undelivered["one"].message
