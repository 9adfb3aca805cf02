"""What is left to do behind the last clip, and that it hardly grows with the film."""

from __future__ import annotations

import json
import os
import statistics
import sys
from datetime import datetime
from pathlib import Path

import pytest

from tasks.emulator import EmulatorServer, EmulatorSettings
from tests.machines.processes import free_port, run
from tests.media.tones import tone_file

WARM_LATENCY_S, WARM_MOST_S = 1.0, 600.0


class Studio:
    """Films that have all of their clips but the last, whose clip comes when everything else is done."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()
        tone_file(folder / "theme.wav", 20, 330)
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "DO_NOT_TRACK": "1",
            "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
            "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
            "RUNWARE_API_KEY": "key",
        }
        self._port = free_port()  # one address, so that all films are of one provider

    def behind_last_clip_s(self, shots: int, last: str, latency_s: float, music: str | None) -> float:
        """Render a film of so many clips in 720p; from the moment its last clip is stored to its manifest's."""
        board, film = self._folder / "board.yaml", self._folder / "film.mp4"
        lines = [f"music: {music}"] if music else []
        lines += ["shots:", *(f"  - {{id: s{number}, prompt: Shot number {number}}}" for number in range(shots - 1))]
        board.write_text("\n".join([*lines, f"  - {{id: last, prompt: {last}}}"]), encoding="utf-8")
        settings = EmulatorSettings(port=self._port, latency_s=latency_s, state_dir=self._folder / "emulator")
        with EmulatorServer(settings) as emulator:
            command = [sys.executable, "-m", "tests.machines.share", "plain", str(board), str(film), emulator.base_url]
            run(command, self._environment, most_s=WARM_MOST_S)
        manifest = film.with_suffix(".manifest.json")
        stored = datetime.fromisoformat(json.loads(manifest.read_bytes())["timings"]["last_stored_at"])
        return manifest.stat().st_mtime - stored.timestamp()


@pytest.mark.speed
@pytest.mark.timeout(1500)
@pytest.mark.parametrize(
    # Sound is made ahead while the last clip is: of a hundred clips that takes about a minute.
    ("music", "latency_s", "times"),
    [
        pytest.param(False, {10: 12.0, 100: 12.0}, 3, id="silent"),
        pytest.param(True, {10: 12.0, 100: 80.0}, 2, id="music"),
    ],
)
def test_a_hundred_clips_take_at_most_twice_as_long_as_ten(
    tmp_path: Path, music: bool, latency_s: dict[int, float], times: int
) -> None:
    took_s: dict[int, list[float]] = {}
    for shots in (10, 100):
        studio = Studio(tmp_path / str(shots))
        studio.behind_last_clip_s(shots, "The end", WARM_LATENCY_S, "theme.wav" if music else None)
        took_s[shots] = [
            studio.behind_last_clip_s(
                shots,
                f"Another end number {number}",
                latency_s[shots],
                # Another sound each time: one that was finished once is found.
                f"{{source: theme.wav, gain_db: -{number + 1}}}" if music else None,
            )
            for number in range(times)
        ]
    ten_s, hundred_s = (statistics.median(took_s[shots]) for shots in (10, 100))
    sys.stderr.write(f"\nlast clip stored to film published: {took_s} s, {hundred_s / ten_s:.2f} x\n")
    assert hundred_s <= 2 * ten_s
