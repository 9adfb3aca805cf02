"""Stopping a run that cannot stop at once, and asking for JSON in every way in which the flag may be written."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time

import pytest

from flows.commands.stoppable import Stopped, run_stoppable
from tests.flows.conftest import Home, Shotchain

pytestmark = pytest.mark.runs


async def _until_stopped() -> None:
    await asyncio.sleep(60)


async def _cannot_be_stopped() -> None:
    await asyncio.to_thread(time.sleep, 9)


@pytest.mark.parametrize(("stuck", "most_s"), [(False, 3.0), (True, 8.5)])
def test_a_run_is_waited_for_a_while_and_then_left(stuck: bool, most_s: float) -> None:
    threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGTERM)).start()
    began = time.monotonic()
    with pytest.raises(Stopped) as caught:
        run_stoppable(_cannot_be_stopped if stuck else _until_stopped)
    assert time.monotonic() - began < most_s
    assert (caught.value.exit_code, caught.value.is_stuck) == (143, stuck)


@pytest.mark.parametrize(("flag", "is_json"), [("--json", True), ("--json=true", True), ("--json=false", False)])
def test_an_error_is_json_however_the_flag_is_written(
    home: Home, shotchain: Shotchain, flag: str, is_json: bool
) -> None:
    ran = shotchain("render", str(home.folder / "none.yaml"), "--provider", "emulator", flag)
    assert ran.code == 2
    assert bool(ran.out) is is_json
    if is_json:
        assert ran.json["error"]["message"]
