from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tasks.emulator import EmulatorServer, EmulatorSettings
from tasks.emulator.fault_plan import parse_faults
from tasks.ledger import open_ledger
from tasks.plan.model import Plan
from tests.clips.house import House, make_plan

pytest.register_assert_rewrite("tests.faults.trial")

from tests.faults.trial import Trial, warmed_up  # noqa: E402  # what it asserts is to be told in full

NewTrial = Callable[..., Trial]


@pytest.fixture(scope="session")
def empty_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty ledger to copy: making one takes longer than most of these tests."""
    path = tmp_path_factory.mktemp("empty") / "ledger.db"
    open_ledger(str(path)).close()
    return path


@pytest.fixture(scope="session")
def emulator() -> Iterator[EmulatorServer]:
    """An emulator whose clips have six frames and are there at once."""
    with EmulatorServer(EmulatorSettings(instant=True, frames_per_second=1)) as server:
        warmed_up(server)
        yield server


@pytest.fixture
def new_trial(emulator: EmulatorServer, tmp_path: Path, empty_ledger: Path) -> Iterator[NewTrial]:
    """Makes a trial of a plan, on the shared emulator if there is no other."""

    def make(plan: Plan, server: EmulatorServer = emulator) -> Trial:
        return Trial(server, House(tmp_path, plan, empty_ledger))

    yield make
    emulator.faults.replace(parse_faults(""))


@pytest.fixture
def trial(new_trial: NewTrial) -> Trial:
    """A trial of one shot for $0.42."""
    return new_trial(make_plan("A tram climbs through autumn trees", provider="emulator"))
