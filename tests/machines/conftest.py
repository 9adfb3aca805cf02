"""One studio for all tests of this folder, and the sum of what was done to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.machines.studio import Studio, running_studio

_RECORD = "machines"


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    with running_studio(tmp_path_factory.mktemp("studio")) as running:
        yield running


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A run is a process that loads Prefect; a machine that is lost is missed only after some time."""
    for item in items:
        if item.path.parent == Path(__file__).parent and not item.get_closest_marker("speed"):
            item.add_marker(pytest.mark.machines)
            item.add_marker(pytest.mark.xdist_group("machines"))
            item.add_marker(pytest.mark.timeout(300))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was done, and what was measured."""
    reports = [report for found in terminalreporter.stats.values() for report in found]
    told = [
        line
        for report in reports
        if getattr(report, "when", "") == "call"
        for name, lines in report.user_properties
        if name == _RECORD
        for line in lines
    ]
    if told:
        terminalreporter.section("machines")
        for line in told:
            terminalreporter.line(line)
