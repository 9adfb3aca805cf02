"""Settings say no to what cannot work, and how many frames a clip has."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from tasks.emulator.settings import EmulatorSettings
from tasks.errors import SettingsError


@pytest.mark.parametrize(
    "fields", [{"port": -1}, {"port": 70000}, {"latency_s": -1}, {"frames_per_second": 0}, {"api_key": ""}]
)
def test_impossible_settings_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        EmulatorSettings(**fields)


def test_a_clip_has_one_frame_more_than_its_seconds_say() -> None:
    assert EmulatorSettings().frame_count(5) == 121
    assert EmulatorSettings(extra_frame=False).frame_count(10) == 240
    assert EmulatorSettings(frames_per_second=Fraction(24000, 1001)).frame_count(5) == 121


def test_importing_the_package_loads_neither_server_nor_decoder() -> None:
    import subprocess
    import sys

    program = (
        "import sys, tasks.emulator; tasks.emulator.EmulatorSettings(); "
        "print([name for name in ('starlette', 'uvicorn', 'av', 'numpy', 'PIL') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
