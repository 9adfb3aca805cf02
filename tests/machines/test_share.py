"""What Prefect takes of a film of sixty shots: of the processor, and of the wall clock.

Three runs make the same film: the plain coroutine, the flow, and the flow with its page for people. The provider
answers at once, so everything that waits for clips otherwise hides nothing here.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from flows.server.temporary import TemporaryServer
from tasks.emulator import EmulatorServer, EmulatorSettings
from tests.machines.processes import run

SHOTS = 60
MODES = ("plain", "flow", "flow with its page")
BOARD = "title: Sixty\nfps: 1\nshots:\n" + "".join(
    f"  - {{id: s{number:02}, prompt: 'Shot {number}, a lighthouse in fog', duration: 1"
    f"{', boundary: continue' if number % 3 == 2 else ''}}}\n"
    for number in range(SHOTS)
)


def rendered(mode: str, folder: Path, base_url: str, api: str) -> dict[str, Any]:
    """Render in a process and a home of its own; what that took."""
    home = folder / mode
    home.mkdir()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
        "RUNWARE_API_KEY": "key",
        **({"PREFECT_API_URL": api} if mode != "plain" else {}),
        # Without a UI nobody looks at the page, so it is not made.
        **({"PREFECT_SERVER_UI_ENABLED": "false"} if mode == "flow" else {}),
    }
    what = "plain" if mode == "plain" else "flow"
    command = [sys.executable, "-m", "tests.machines.share", what, str(folder / "board.yaml"), str(home / "film.mp4")]
    told: dict[str, Any] = json.loads(run([*command, base_url], environment))
    return told


@pytest.mark.speed
@pytest.mark.timeout(400)
def test_prefect_takes_less_than_half_of_what_a_film_of_sixty_shots_takes(tmp_path: Path) -> None:
    (tmp_path / "board.yaml").write_text(BOARD, encoding="utf-8")
    server = TemporaryServer(tmp_path)
    server.start()
    try:
        server.wait()
        taken = {}
        for mode in MODES:
            with EmulatorServer(EmulatorSettings(instant=True, frames_per_second=1)) as emulator:
                taken[mode] = rendered(mode, tmp_path, emulator.base_url, server.api_url)
    finally:
        server.stop()
    assert all(told["generated"] == SHOTS for told in taken.values())
    films = {hashlib.sha256((tmp_path / mode / "film.mp4").read_bytes()).hexdigest() for mode in taken}
    assert len(films) == 1

    lines = [f"{SHOTS} shots, {taken['flow']['frames']} frames, clips at once"]
    lines += [
        f"{mode}: {told['wall_s']:.1f} s wall, {told['own_s']:.1f} s processor, {told['children_s']:.1f} s in ffmpeg"
        for mode, told in taken.items()
    ]
    for what, less, more in (("Prefect", "plain", "flow"), ("the page", "flow", "flow with its page")):
        own_s, wall_s = (taken[more][name] - taken[less][name] for name in ("own_s", "wall_s"))
        whole_s = taken[more]["own_s"] + taken[more]["children_s"]
        lines.append(
            f"{what}: {own_s / SHOTS * 1000:.0f} ms processor a shot, {own_s / taken[more]['own_s']:.0%} of the process, "
            f"{own_s / whole_s:.0%} with ffmpeg; {wall_s:.1f} s wall, {wall_s / taken[more]['wall_s']:.0%}"
        )
    sys.stderr.write("\n" + "\n".join(lines) + "\n")
    assert taken["flow"]["own_s"] - taken["plain"]["own_s"] < taken["flow"]["own_s"] / 2
