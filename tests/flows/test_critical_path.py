"""The wall clock is the critical path: nothing waits for more than it needs."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from flows.render import render
from tests.flows.conftest import SHOTCHAIN, Home

pytestmark = [pytest.mark.usefixtures("on_server"), pytest.mark.runs]


def chains(count: int, length: int, duration: int) -> str:
    shots = [
        f"  - {{id: {name}{link}, prompt: 'Shot {link} of chain {name}, a lighthouse in fog', duration: {duration}"
        + (", boundary: continue}" if link else "}")
        for name in "abcdefgh"[:count]
        for link in range(length)
    ]
    return "\n".join(["title: Chains", "shots:", *shots])


async def tasks_of(
    home: Home, text: str, latency_s: float, monkeypatch: pytest.MonkeyPatch
) -> tuple[list[dict[str, Any]], Path]:
    """Render against an emulator in a process of its own, as the provider is."""
    monkeypatch.setenv("RUNWARE_API_KEY", "key")
    film = home.folder / "film.mp4"
    command = [str(SHOTCHAIN), "emulator", "--port", "0", "--latency", str(latency_s)]
    emulator = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert emulator.stdout is not None
        base_url = (await emulator.stdout.readline()).decode().split()[2]
        await render(str(home.storyboard(text)), str(film), base_url=base_url)
        async with httpx.AsyncClient() as client:
            books = (await client.get(f"{base_url.removesuffix('/v1')}/_emulator/books")).json()
    finally:
        emulator.terminate()
        await emulator.wait()
    return sorted(books["tasks"], key=lambda task: task["submitted_at"]), film


def name_of(task: dict[str, Any]) -> str:
    words = task["request"]["positivePrompt"].split()
    return f"{words[4].rstrip(',')}{words[1]}"


async def test_chains_run_side_by_side_and_their_shots_in_order(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks, _ = await tasks_of(home, chains(2, 2, 5), 2.0, monkeypatch)
    at = {name_of(task): task for task in tasks}
    # Both chains begin before either has a clip; each second shot begins after its own first one.
    first_clip = min(at["a0"]["finished_at"], at["b0"]["finished_at"])
    assert max(at["a0"]["submitted_at"], at["b0"]["submitted_at"]) < first_clip
    assert {name_of(task) for task in tasks[:2]} == {"a0", "b0"}
    for chain in "ab":
        assert at[f"{chain}1"]["submitted_at"] > at[f"{chain}0"]["finished_at"]
    # No barrier: the chains overlap to their ends.
    assert max(at["a1"]["submitted_at"], at["b1"]["submitted_at"]) < min(
        at["a1"]["finished_at"], at["b1"]["finished_at"]
    )


@pytest.mark.speed
@pytest.mark.timeout(120)
async def test_twelve_shots_in_four_chains_take_little_longer_than_three_clips(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    latency_s = 5.0
    tasks, film = await tasks_of(home, chains(4, 3, 5), latency_s, monkeypatch)
    began = tasks[0]["submitted_at"]
    took_s = film.with_suffix(".manifest.json").stat().st_mtime - began
    sys.stderr.write(
        f"\nfirst submission to published film: {took_s:.2f} s, {took_s / (3 * latency_s):.3f} x critical path\n"
    )
    assert len(tasks) == 12
    assert took_s <= 1.25 * 3 * latency_s
