"""Results come by themselves, from a real emulator to a real receiver and its ledger, to runs that wait."""

from __future__ import annotations

import asyncio
import json
import math
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from flows.render import render
from flows.webhook import WebhookServer
from tasks.emulator.server import EmulatorServer
from tasks.emulator.settings import EmulatorSettings
from tasks.errors import SettingsError
from tasks.ledger import State, open_ledger
from tasks.runware.webhook import address_of
from tasks.settings import resolve_settings
from tests.flows.conftest import SHOTCHAIN, Home
from tests.flows.test_render import books

pytestmark = pytest.mark.runs

SECRET = "a secret of thirty-two characters"


def shots(count: int) -> str:
    return "shots:\n" + "".join(f"  - {{id: s{number}, prompt: Lake {number}}}\n" for number in range(count))


@pytest.fixture
def receiver(home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebhookServer]:
    """A receiver beside the test's ledger, which runs of the test have their results reported to."""
    with WebhookServer(home.environment["SHOTCHAIN_LEDGER"], SECRET) as server:
        monkeypatch.setenv("RUNWARE_API_KEY", "key-of-the-tests")
        monkeypatch.setenv("SHOTCHAIN_WEBHOOK_URL", server.url)
        monkeypatch.setenv("SHOTCHAIN_WEBHOOK_SECRET", SECRET)
        yield server


def emulator(*rules: dict[str, Any], latency_s: float = 1.0) -> EmulatorServer:
    return EmulatorServer(EmulatorSettings(instant=True, latency_s=latency_s, faults={"rules": list(rules)}))


@pytest.mark.usefixtures("on_server", "receiver")
class TestRuns:
    async def test_fifty_attempts_in_flight_ask_for_nothing(self, home: Home) -> None:
        with emulator(latency_s=3.0) as server:
            told = await render(
                str(home.storyboard(shots(50))),
                str(home.folder / "film.mp4"),
                base_url=server.base_url,
                max_in_flight=50,
                only=[f"s{number}" for number in range(50)],
            )
            counts = books(server)["counts"]

        assert (told["generated"], told["cost_usd"]) == (50, "21.00")
        assert counts["webhooks"] == 50
        assert counts["getResponse"] == 0

    @pytest.mark.quick
    async def test_a_lost_webhook_delays_its_shot_by_one_interval_at_most(
        self, home: Home, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SHOTCHAIN_WEBHOOK_NET_S", "3")
        with emulator({"fault": "lose_webhook", "nth": 1}) as server:
            began_s = time.monotonic()
            told = await render(
                str(home.storyboard(shots(3))),
                str(home.folder / "film.mp4"),
                base_url=server.base_url,
                only=["s0", "s1", "s2"],
            )
            took_s = time.monotonic() - began_s
            counts = books(server)["counts"]

        assert told["generated"] == 3
        assert 1 <= counts["getResponse"] <= 1 + math.ceil(took_s / 3)
        # The result, an interval with its jitter, and what a run takes beside.
        assert took_s < 1 + 3 * 1.15 + 5

    @pytest.mark.parametrize(
        "rule",
        [
            {"fault": "repeat_webhook", "copies": 3},
            {"fault": "change_webhook", "body": "{"},
        ],
        ids=lambda rule: "-".join(str(value) for value in rule.values()),
    )
    async def test_whatever_becomes_of_webhooks_each_clip_is_paid_once(
        self, home: Home, monkeypatch: pytest.MonkeyPatch, rule: dict[str, Any]
    ) -> None:
        monkeypatch.setenv("SHOTCHAIN_WEBHOOK_NET_S", "2")
        with emulator(rule, latency_s=0.2) as server:
            board = str(home.storyboard(shots(2)))
            for _ in range(2):
                await render(board, str(home.folder / "f.mp4"), base_url=server.base_url, only=["s0", "s1"])
            assert books(server)["total_usd"] == "0.84"

    @pytest.mark.quick
    async def test_a_forged_report_changes_nothing(self, home: Home, receiver: WebhookServer) -> None:
        """Somebody who knows the address of the receiver and a task's UUID says that it is done, long before it is."""
        board, film = str(home.storyboard(shots(1))), str(home.folder / "f.mp4")
        with emulator(latency_s=2.0) as server:
            run = asyncio.create_task(render(board, film, base_url=server.base_url, only=["s0"]))
            while not books(server)["tasks"]:  # noqa: ASYNC110 -- nobody tells when the emulator has it
                await asyncio.sleep(0.05)
            (task,) = books(server)["tasks"]
            forged = {"taskUUID": task["taskUUID"], "videoUUID": "f", "videoURL": "http://127.0.0.1:9/f.mp4"}
            for url in (
                f"{receiver.url}/{task['taskUUID']}?token={'0' * 64}",
                address_of(receiver.url, "another secret of 32 characters..", task["taskUUID"]),
            ):
                async with httpx.AsyncClient() as stranger:
                    assert (await stranger.post(url, json=forged)).status_code == 404
            await run

        with open_ledger(home.environment["SHOTCHAIN_LEDGER"]) as ledger:
            (attempt,) = ledger.attempts()
            assert attempt.state is State.STORED
            assert "127.0.0.1:9/" not in json.dumps(attempt.result)

    async def test_no_token_is_in_the_ledger_or_the_manifest(self, home: Home, receiver: WebhookServer) -> None:
        with emulator(latency_s=0.0) as server:
            await render(str(home.storyboard(shots(1))), str(home.folder / "film.mp4"), base_url=server.base_url)
            (task,) = books(server)["tasks"]

        address = address_of(receiver.url, SECRET, task["taskUUID"])
        assert address.startswith(task["request"]["webhookURL"])
        token = address.rpartition("=")[2]
        assert len(token) == 64
        with open_ledger(home.environment["SHOTCHAIN_LEDGER"]) as ledger:
            assert token not in json.dumps([str(attempt) for attempt in ledger.attempts()])
        assert token not in (home.folder / "film.manifest.json").read_text()


def test_the_command_listens_until_it_is_stopped(home: Home) -> None:
    environment = {**os.environ, **home.environment, "SHOTCHAIN_WEBHOOK_SECRET": SECRET}
    command = [str(SHOTCHAIN), "webhook", "--port", "0", "--path", "hooks/"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        url = running.stdout.readline().split()[2]
        try:
            assert url.endswith("/hooks")
            began_s = time.monotonic()
            answer = httpx.post(address_of(url, SECRET, "4f1b9c1e-6a44-4d37-9d4e-0b7c3f1f8a55"), json={})
            assert (answer.status_code, time.monotonic() - began_s < 1) == (400, True)
        finally:
            running.send_signal(signal.SIGTERM)
        assert running.wait(20) == 143


@pytest.mark.parametrize("secret", [{}, {"SHOTCHAIN_WEBHOOK_SECRET": "short"}])
def test_an_address_without_a_secret_is_refused(secret: dict[str, str]) -> None:
    environment = {"SHOTCHAIN_WEBHOOK_URL": "https://films.test/hooks", **secret}

    with pytest.raises(SettingsError, match="SHOTCHAIN_WEBHOOK_SECRET is"):
        resolve_settings(provider="emulator", environ=environment)


def test_the_secret_is_not_shown() -> None:
    environment = {"SHOTCHAIN_WEBHOOK_URL": "https://films.test/hooks/", "SHOTCHAIN_WEBHOOK_SECRET": SECRET}

    settings = resolve_settings(provider="emulator", environ=environment)

    assert settings.webhook is not None
    assert (settings.webhook.url, settings.webhook.net_s) == ("https://films.test/hooks", 60.0)
    assert SECRET not in repr(settings) + repr(settings.webhook)
