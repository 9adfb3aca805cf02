"""The Prefect server that is ours stands still for nobody, though its database is SQLite."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from flows.server.private import OneWriter
from flows.server.temporary import TemporaryServer

pytestmark = pytest.mark.runs


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TemporaryServer]:
    server = TemporaryServer(tmp_path)
    server.start()
    server.wait()
    yield server
    server.stop()


class Counting:
    """An application that takes its time, and counts the requests that it has at once."""

    def __init__(self) -> None:
        self.now = 0
        self.most = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.02)
        self.now -= 1
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


@pytest.mark.quick
@pytest.mark.parametrize(("method", "at_once"), [("POST", 1), ("PATCH", 1), ("DELETE", 1), ("GET", 5)])
async def test_requests_that_write_come_one_after_the_other(method: str, at_once: int) -> None:
    counting = Counting()
    transport = httpx.ASGITransport(app=OneWriter(counting))
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        await asyncio.gather(*[client.request(method, "/") for _ in range(5)])
    assert counting.most == at_once


async def test_many_runs_at_once_stop_neither_each_other_nor_the_server(server: TemporaryServer) -> None:
    """Six that begin and end side by side, again and again: without an order among them, that took minutes."""
    waits_s: list[float] = []
    refused = 0

    async def post(client: httpx.AsyncClient, path: str, body: dict[str, Any]) -> Any:
        nonlocal refused
        for _ in range(5):  # as often as Prefect's own client tries
            began = time.monotonic()
            answer = await client.post(f"{server.api_url}{path}", json=body)
            waits_s.append(time.monotonic() - began)
            if answer.status_code != 503:
                return answer.raise_for_status().json()
            refused += 1
        raise AssertionError(f"{path} was refused five times")

    async def one(client: httpx.AsyncClient, flow: str) -> None:
        run = (await post(client, "/flow_runs/", {"flow_id": flow, "state": {"type": "PENDING"}}))["id"]
        for state in ("RUNNING", "CRASHED"):
            await post(client, f"/flow_runs/{run}/set_state", {"state": {"type": state}})

    async with httpx.AsyncClient(timeout=90) as client:
        flow = (await post(client, "/flows/", {"name": "film"}))["id"]
        for _ in range(15):
            await asyncio.gather(*[one(client, flow) for _ in range(6)])

    assert max(waits_s) < 10
    assert refused < len(waits_s) / 10  # what its own services write beside them


def test_who_cannot_write_hears_so_in_seconds(server: TemporaryServer, tmp_path: Path) -> None:
    (database,) = tmp_path.glob("scratch/*/prefect.db")
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as held:
        held.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        answer = httpx.post(f"{server.api_url}/flows/", json={"name": "film"}, timeout=90)
        waited_s = time.monotonic() - began
    assert answer.status_code == 503
    assert 4 < waited_s < 30
