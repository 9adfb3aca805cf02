"""What all trials share: the film as it is without any trouble, and the sum of what was tried."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.register_assert_rewrite("tests.crash.trial")

from tests.crash.films import TWELVE, TWELVE_TAKES  # noqa: E402
from tests.crash.trial import Trial  # noqa: E402  # what it asserts is to be told in full

NewTrial = Callable[..., Trial]
_RECORD = "crash"


@dataclass(frozen=True)
class Undisturbed:
    """A film that nobody killed: its frames, and how long it took, in seconds."""

    frames: list[str]
    took_s: float


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """The film of twelve shots, made twice to see that it is the same film each time."""
    films = []
    for name in ("warm", "measured"):
        with Trial.of(tmp_path_factory.mktemp(name), TWELVE) as trial:
            began = time.monotonic()
            assert trial.run().code == 0
            took_s = time.monotonic() - began
            trial.check_one_charge_a_take(TWELVE_TAKES)
            films.append(trial.check_film())
    assert films[0] == films[1]
    return Undisturbed(films[0], took_s)


@pytest.fixture
def new_trial(tmp_path: Path, record_property: Callable[[str, object], None]) -> Iterator[NewTrial]:
    """Opens trials as `Trial.of` does, in the test's folder; what became of them is in the summary."""
    trials: list[Trial] = []
    with ExitStack() as stack:

        def make(board: str, **settings: Any) -> Trial:
            folder = tmp_path / f"trial-{len(trials)}"
            folder.mkdir()
            trials.append(stack.enter_context(Trial.of(folder, board, **settings)))
            return trials[-1]

        yield make
        for trial in trials:
            kills = Counter(ended.phase for ended in trial.ended if ended.was_killed)
            faults = trial.books()["faults"]
            told = {"runs": len(trial.ended), "films": trial.films, "notes": trial.notes}
            record_property(_RECORD, {**told, "kills": dict(kills), "faults": faults})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A trial is several whole films, and the first of a process also makes the one that all are compared with."""
    for item in items:
        if item.path.parent == Path(__file__).parent and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(300))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how much was tried, and what was found."""
    totals: Counter[str] = Counter()
    kills: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    notes: list[str] = []
    failed = [
        report.nodeid
        for kind in ("failed", "error")
        for report in terminalreporter.getreports(kind)
        if report.nodeid.startswith("tests/crash/")
    ]
    for report in (report for reports in terminalreporter.stats.values() for report in reports):
        if getattr(report, "when", "") != "teardown":
            continue
        for name, told in report.user_properties:
            if name == _RECORD:
                totals.update({"trials": 1, "runs": told["runs"], "films": told["films"]})
                kills.update(told["kills"])
                faults.update(told["faults"])
                notes += told["notes"]
    if not totals:
        return
    terminalreporter.section("crashes")
    terminalreporter.line(
        f"{totals['trials']} trials, {totals['runs']} runs, {kills.total()} kills, {faults.total()} faults; "
        f"{totals['films']} films compared or counted; {len(failed)} failures"
    )
    for title, found in (("killed at", kills), ("faults", faults)):
        if found:
            terminalreporter.line(f"{title}: " + ", ".join(f"{name} {times}" for name, times in found.most_common()))
    for note in notes:
        terminalreporter.line(note)
    for name in failed:
        terminalreporter.line(f"again: {sys.executable} -m pytest '{name}'")
