"""What a user has after `make ui`, an emulator beside it, and a browser."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.ui.browser import Screen, chromium, open_browser

ROOT = Path(__file__).parents[2]
OUTPUT = Path(__file__).with_name("output")
SHOTCHAIN = Path(sys.executable).with_name("shotchain")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of these are of the browser, and take as long as a run takes."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.ui)
            item.add_marker(pytest.mark.timeout(240))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure says what the browser showed at that moment."""
    report = yield
    screen = _screens[-1] if _screens else None
    if report.failed and screen is not None and "screen" in getattr(item, "fixturenames", ()):
        try:
            seen = f"{screen.page.url}\n{screen.keep('failed')}"
        except Exception as error:  # noqa: BLE001 -- a browser that is gone must not hide why the test failed
            seen = f"no picture: {error}"
        report.sections.append(("the browser shows", seen))
    return report


_screens: list[Screen] = []


@dataclass(frozen=True)
class Studio:
    """What runs: the UI at `address`, an emulator at `base_url`, and their folder."""

    folder: Path
    address: str
    base_url: str

    @property
    def ledger(self) -> Path:
        """The ledger of the runs."""
        return self.folder / "ledger.db"

    def books(self) -> dict[str, Any]:
        """The emulator's books."""
        answer: dict[str, Any] = httpx.get(f"{self.base_url.removesuffix('/v1')}/_emulator/books").json()
        return answer


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """Server, worker and deployments by what `make ui` does, in folders of their own; slow clips, for play money."""
    chromium()  # without one, nothing is started
    folder = tmp_path_factory.mktemp("studio")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "SHOTCHAIN_"))},
        "SHOTCHAIN_WORK": str(folder / "work"),
        "SHOTCHAIN_LEDGER": str(folder / "ledger.db"),
        "SHOTCHAIN_CACHE": str(folder / "cache"),
        "RUNWARE_API_KEY": "play-money",
    }
    environment.pop("RUNWARE_BASE_URL", None)
    with (folder / "emulator.log").open("wb") as log:
        emulator = subprocess.Popen(
            [SHOTCHAIN, "emulator", "--port", "0", "--latency", "8"],
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment,
            text=True,
        )
    try:
        assert emulator.stdout is not None
        told = re.search(r"http://\S+", emulator.stdout.readline())
        assert told is not None, (folder / "emulator.log").read_text()
        try:
            address = _local_ui(folder, environment, "start", "--port", "0").split()[0]
            yield Studio(folder, address, told[0])
        finally:
            _local_ui(folder, environment, "stop")
    finally:
        emulator.terminate()
        emulator.communicate(timeout=20)


def _local_ui(folder: Path, environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "flows.server.local_ui", *arguments, "--folder", str(folder / "ui")],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def screen(studio: Studio, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Screen]:
    """A browser; pictures of what it shows are kept in tests/ui/output."""
    shutil.rmtree(OUTPUT, ignore_errors=True)
    OUTPUT.mkdir()
    (OUTPUT / ".gitignore").write_text("*\n", encoding="utf-8")
    with open_browser(tmp_path_factory.mktemp("profile"), studio.address) as page:
        _screens.append(Screen(page, studio.address, OUTPUT))
        yield _screens[-1]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say where the pictures are, if this session made them."""
    if _screens and (count := len(list(OUTPUT.glob("*.png")))):
        terminalreporter.write_line(f"{count} pictures of what the browser showed: {OUTPUT}")
