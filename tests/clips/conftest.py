from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tasks.ledger import open_ledger
from tasks.plan.model import Plan
from tests.buckets import Bucket, counted_bucket
from tests.clips.house import House, make_plan
from tests.media.barclips import bar_clip
from tests.runware.provider import Provider


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty ledger to copy: making one takes longer than most of these tests."""
    path = tmp_path_factory.mktemp("template") / "ledger.db"
    open_ledger(str(path)).close()
    return path


@pytest.fixture(scope="session")
def clip_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of five frames."""
    return bar_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", frames=5)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """A store of objects that counts what crosses."""
    with counted_bucket(monkeypatch) as bucket:
        yield bucket


@pytest.fixture
def provider(clip_file: Path) -> Provider:
    return Provider(clip=clip_file.read_bytes())


@pytest.fixture
def new_house(tmp_path: Path, template: Path) -> Callable[[Plan], House]:
    return lambda plan: House(tmp_path, plan, template)


@pytest.fixture
def house(new_house: Callable[[Plan], House]) -> House:
    """A house whose plan is one shot for $0.42."""
    return new_house(make_plan("A tram climbs through autumn trees"))
