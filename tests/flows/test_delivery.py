"""A film whose clips are delivered into its store: what passes through this process, and when, counted by the server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from flows.render import render
from tasks.clips.store import ClipStore
from tasks.emulator import EmulatorServer, EmulatorSettings
from tasks.progress import Event, Stage, watch
from tests.buckets import Bucket, counted_bucket
from tests.flows.conftest import Home

pytestmark = pytest.mark.runs

# Two takes are of no use to the film, and `corner` begins with the last frame of `tram`.
BOARD = """
shots:
  - {id: tram, prompt: A tram climbs, duration: 1, takes: 3, select: 2}
  - {id: corner, prompt: It turns a corner, duration: 1, boundary: continue}
  - {id: harbor, prompt: The harbor at dusk, duration: 1}
  - {id: gulls, prompt: Gulls over the harbor, duration: 1, takes: 2}
"""
TAKES = 7
SHOTS = 4


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    with counted_bucket(monkeypatch) as bucket:
        yield bucket


@pytest.fixture
def emulator() -> Iterator[EmulatorServer]:
    with EmulatorServer(EmulatorSettings(instant=True, frames_per_second=2)) as server:
        yield server


@pytest.fixture
def arguments(emulator: EmulatorServer, home: Home, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("SHOTCHAIN_DIRECT_DELIVERY", "on")
    monkeypatch.setenv("RUNWARE_API_KEY", "any")
    ledger = str(home.folder / "ledger.db")
    return {"base_url": emulator.base_url, "work": "s3://films/work", "ledger": ledger}


def counts(emulator: EmulatorServer) -> dict[str, int]:
    return dict(httpx.get(f"{emulator.origin}/_emulator/books").json()["counts"])


@pytest.mark.usefixtures("on_server")
async def test_no_byte_of_a_clip_is_here_before_it_is_conformed(
    home: Home, bucket: Bucket, emulator: EmulatorServer, arguments: dict[str, Any]
) -> None:
    board = str(home.storyboard(BOARD))
    read_before: dict[tuple[str | None, int | None], set[str]] = {}

    def note(event: Event) -> None:
        if event.stage is Stage.STORED:
            read_before[event.shot, event.take] = {_key(read.key) for read in bucket.reads()}

    watch(note)
    made = await render(board, "s3://films/out/heron.mp4", **arguments)
    assert (made["generated"], made["cost_usd"]) == (TAKES, "2.94")
    assert (counts(emulator)["puts"], counts(emulator)["downloads"]) == (TAKES, 0)

    # Who sent clips to the store: the provider, and nobody else. Who read them: whoever conforms, once each.
    manifest = json.loads(bucket.fs.cat_file("films/out/heron.manifest.json"))
    takes = {(shot["id"], take["number"]): take for shot in manifest["shots"] for take in shot["takes"]}
    assert read_before.keys() == takes.keys()
    assert not [which for which, take in takes.items() if take["content_key"] in read_before[which]]
    shown = {(shot["id"], shot["select"]) for shot in manifest["shots"]}
    assert len(bucket.uploads()) == TAKES
    assert {_key(read.key) for read in bucket.reads()} == {takes[which]["content_key"] for which in shown}
    assert bucket.read_bytes() == sum(takes[which]["size_bytes"] for which in shown)

    # Of a take that the film does not show, nothing is known but its length.
    assert {which for which, take in takes.items() if take["sha256"] is None} == takes.keys() - shown
    assert all(take["size_bytes"] > 0 for take in takes.values())
    assert not [name for name in bucket.names() if "/incoming/" in name]

    # Another machine: no ledger, no cache. What is there is reused, and again only what the film shows is read.
    already = len(bucket.reads())
    home.folder.joinpath("cache").rename(home.folder / "other-cache")
    again = await render(
        board, "s3://films/out/again.mp4", **{**arguments, "ledger": str(home.folder / "two.db"), "budget_usd": "0"}
    )
    assert (again["generated"], again["reused"]) == (0, TAKES)
    assert len(bucket.reads()) - already == SHOTS
    bucket.fs.invalidate_cache()
    assert bucket.fs.cat_file("films/out/again.mp4") == bucket.fs.cat_file("films/out/heron.mp4")
    assert counts(emulator)["downloads"] == 0


@pytest.mark.usefixtures("on_server")
async def test_where_no_film_is_made_only_a_chain_reads(
    home: Home, bucket: Bucket, emulator: EmulatorServer, arguments: dict[str, Any]
) -> None:
    board = str(home.storyboard(BOARD))
    made = await render(board, "unused", only=["gulls", "harbor"], **arguments)
    assert (bucket.read_bytes(), counts(emulator)["downloads"]) == (0, 0)
    assert {take["frames"] for take in made["takes"]} == {None}
    assert all(take["clip"].startswith("s3://films/work/clips/") for take in made["takes"])

    await render(board, "unused", only=["tram", "corner"], **arguments)
    [read] = bucket.reads()
    record = ClipStore("s3://films/work", home.folder / "cache").record(_key(read.key))
    assert record is not None
    assert record.facts is not None
    assert read.sent_bytes == record.size_bytes


@pytest.mark.usefixtures("on_server")
async def test_timelines_need_every_take(home: Home, bucket: Bucket, arguments: dict[str, Any]) -> None:
    board = str(home.storyboard("shots:\n  - {id: tram, prompt: A tram climbs, duration: 1, takes: 2}\n"))
    await render(board, "s3://films/out/tram.mp4", timeline=True, **arguments)
    assert len(bucket.reads()) == 2


def _key(name: str) -> str:
    return name.rpartition("/")[2].partition(".")[0]
