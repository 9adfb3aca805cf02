"""Killed as a user's machine kills it: the command, its private Prefect server and all."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.crash.conftest import NewTrial, Undisturbed
from tests.crash.films import TWELVE, TWELVE_TAKES
from tests.crash.trial import KILLED, Ended, Trial

ROOT = Path(__file__).parents[2]
_LEFTOVERS_S = 20.0


def command(trial: Trial) -> subprocess.Popen[str]:
    """`shotchain render` in a process group of its own, without a configured Prefect server."""
    flags = ["--base-url", trial.emulator.base_url, "--output", str(trial.film), "--json"]
    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.Popen(
        [sys.executable, "-m", "flows.cli", "render", str(trial.storyboard), *flags],
        cwd=trial.folder,
        env={**os.environ, **trial.environment, "PREFECT_API_URL": "", "PYTHONPATH": paths},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def of_this_trial(trial: Trial) -> Iterator[int]:
    """Every process that was started for a trial, by what stands in its environment; Linux tells."""
    mark = f"SHOTCHAIN_LEDGER={trial.folder / 'ledger.db'}".encode()
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark in (place / "environ").read_bytes() and int(place.name) != os.getpid():
                yield int(place.name)


def gone(trial: Trial) -> list[int]:
    """The processes that are left after a while."""
    deadline = time.monotonic() + _LEFTOVERS_S
    while (left := list(of_this_trial(trial))) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left


def killed(trial: Trial, ready: Callable[[], bool], phase: str) -> Ended:
    process = command(trial)
    while process.poll() is None and not ready():
        time.sleep(0.01)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    out, err = process.communicate(timeout=30)
    assert "Traceback" not in err, err
    code = KILLED if process.returncode == -signal.SIGKILL else process.returncode
    trial.ended.append(Ended(code, {}, f"command line: {phase}"))
    assert code in {KILLED, 0}, out + err
    return trial.ended[-1]


def after(seconds: float) -> Callable[[], bool]:
    at = time.monotonic() + seconds
    return lambda: time.monotonic() >= at


@pytest.mark.crash
@pytest.mark.parametrize("seed", range(12))
def test_a_command_that_is_killed_with_its_server_leaves_nothing_running_and_is_resumed(
    seed: int, new_trial: NewTrial, undisturbed: Undisturbed
) -> None:
    draws = random.Random(seed)
    trial = new_trial(TWELVE)

    def counted(name: str, least: int) -> Callable[[], bool]:
        return lambda: trial.books()["counts"][name] >= least

    moments: list[tuple[str, Callable[[], bool]]] = [
        ("while its server starts", after(draws.uniform(0.5, 2.5))),
        ("submitting", counted("videoInference", draws.randint(1, TWELVE_TAKES))),
        ("downloading", counted("downloads", draws.randint(1, TWELVE_TAKES))),
        ("publishing", trial.film.exists),
    ]
    phase, ready = moments[seed % len(moments)]
    killed(trial, ready, phase)
    assert not gone(trial), "a process outlived the command that started it"
    process = command(trial)
    out, err = process.communicate(timeout=120)
    trial.ended.append(Ended(process.returncode, {}, ""))
    assert process.returncode == 0, out + err
    assert not gone(trial)
    trial.check_one_charge_a_take(TWELVE_TAKES)
    trial.check_store()
    assert trial.check_film() == undisturbed.frames
