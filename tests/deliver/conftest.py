from __future__ import annotations

from pathlib import Path

import pytest

from tests.deliver.films import AFilm, coloured_film, numbered_film


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> AFilm:
    return numbered_film(tmp_path_factory.mktemp("numbered"))


@pytest.fixture(scope="session")
def coloured(tmp_path_factory: pytest.TempPathFactory) -> AFilm:
    return coloured_film(tmp_path_factory.mktemp("coloured"))


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where deliverables are kept, so that each is encoded once for all tests."""
    return tmp_path_factory.mktemp("kept")
