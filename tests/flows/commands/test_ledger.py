"""`shotchain ledger` and `shotchain ledger reconcile`, on a real ledger and the emulator's books."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from flows.cli import app
from tasks.emulator import EmulatorServer, EmulatorSettings
from tasks.emulator.fault_plan import parse_faults
from tasks.errors import BadInput, Incomplete, KeyRefused, SettingsError
from tasks.ledger import Ledger, State, Wanted, open_ledger
from tasks.redaction import fingerprint
from tasks.runware.client import RunwareClient
from tests.flows.conftest import Home

KEY = "rw-5ecret-key-0123456789"
REQUEST = {
    "taskType": "videoInference",
    "model": "klingai:kling@o1-standard",
    "positivePrompt": "A tram climbs",
    "duration": 5,
    "width": 1280,
    "height": 720,
    "deliveryMethod": "async",
    "includeCost": True,
}


@pytest.fixture(scope="module")
def emulator() -> Iterator[EmulatorServer]:
    with EmulatorServer(EmulatorSettings(instant=True, frames_per_second=1)) as server:
        yield server


@dataclass
class Desk:
    """A user's ledger, and an emulator that is the provider."""

    home: Home
    server: EmulatorServer
    capsys: pytest.CaptureFixture[str]

    def ledger(self) -> Ledger:
        return open_ledger(self.home.environment["SHOTCHAIN_LEDGER"])

    def buy(self, shot: str, fault: str = "", cost: str = "0.42") -> str:
        """A clip that the ledger has for `cost`, and the provider for whatever the fault makes of it."""
        self.server.faults.replace(parse_faults(f"rules: [{fault}]"))
        with self.ledger() as ledger:
            account = fingerprint(KEY)
            origin = self.server.origin
            ledger.begin_run(run_id="run", provider=origin, account=account, storyboard="Harbour", budget_usd=None)
            ledger.hold_lease("run", 600.0)
            wanted = Wanted(shot, shot, 1, "klingai:kling@o1-standard", Decimal("0.42"), REQUEST)
            (attempt,) = ledger.reserve("run", [wanted])
            ledger.move(attempt.task_uuid, State.SUBMITTED, account=account)
            asyncio.run(self._submit(attempt.task_uuid))
            ledger.move(attempt.task_uuid, State.ACCEPTED)
            ledger.move(attempt.task_uuid, State.SUCCEEDED, cost_usd=Decimal(cost))
            ledger.move(attempt.task_uuid, State.STORED)
        return attempt.task_uuid

    async def _submit(self, task_uuid: str) -> None:
        async with RunwareClient(self.server.base_url, KEY) as client:
            await client.submit({**REQUEST, "taskUUID": task_uuid})
            while not (await client.get_responses([task_uuid])).results_of(task_uuid):  # noqa: ASYNC110
                await asyncio.sleep(0.01)  # until it is there

    def run(self, *words: str) -> str:
        self.capsys.readouterr()
        app(list(words), exit_on_error=False, print_error=False, result_action="return_value")
        return self.capsys.readouterr().out

    def json(self, *words: str) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.run(*words, "--json"))
        return parsed

    def reconcile(self, *words: str) -> dict[str, Any]:
        return self.json("ledger", "reconcile", "--base-url", self.server.base_url, *words)


@pytest.fixture
def desk(
    home: Home, emulator: EmulatorServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Desk]:
    monkeypatch.setenv("RUNWARE_API_KEY", KEY)
    yield Desk(home, emulator, capsys)
    emulator.faults.replace(parse_faults(""))


class TestReconcile:
    def test_books_that_agree_are_no_error(self, desk: Desk) -> None:
        desk.buy("a")
        told = desk.reconcile()
        assert (told["compared"], told["differences"], told["counts"]) == (1, 0, {"equal": 1})
        assert (told["ledger_usd"], told["provider_usd"], told["attempts"]) == ("0.42", "0.42", [])

    def test_differences_are_named_and_end_with_5(self, desk: Desk) -> None:
        equal, more = desk.buy("a"), desk.buy("b", "{fault: cost, cost_usd: '0.63'}")
        with pytest.raises(Incomplete) as caught:
            desk.reconcile()
        told = caught.value.summary
        assert caught.value.exit_code == 5
        assert "--apply" in (caught.value.advice or "")
        (item,) = told["attempts"]
        assert (item["taskUUID"], item["found"], item["ledger_usd"], item["provider_usd"]) == (
            more,
            "charged more",
            "0.42",
            "0.63",
        )
        assert equal not in str(told)
        assert (told["ledger_usd"], told["provider_usd"]) == ("0.84", "1.05")

    def test_applied_the_ledger_says_what_the_provider_says(self, desk: Desk) -> None:
        desk.buy("a", "{fault: cost, cost_usd: '0.630001'}")
        told = desk.reconcile("--apply")
        assert (told["differences"], told["settled"]) == (0, 1)
        assert desk.reconcile()["counts"] == {"equal": 1}
        assert desk.json("ledger")["totals"][desk.server.origin]["spent_usd"] == "0.630001"

    def test_for_people_there_is_a_table(self, desk: Desk) -> None:
        desk.buy("a", "{fault: cost, cost_usd: '0.21'}")
        out = desk.run("ledger", "reconcile", "--base-url", desk.server.base_url, "--apply")
        assert "charged less, settled: the provider made it and took $0.21" in " ".join(out.split())
        assert "1 attempts compared, 0 differ, 1 settled" in out

    def test_what_was_before_is_not_compared(self, desk: Desk) -> None:
        desk.buy("a", "{fault: cost, cost_usd: '0.63'}")
        assert desk.reconcile("--since", "2999-01-01")["compared"] == 0
        with pytest.raises(Incomplete):
            desk.reconcile("--since", "1h")

    def test_a_provider_out_of_reach_ends_with_6(self, desk: Desk) -> None:
        desk.buy("a")
        desk.server.faults.replace(
            parse_faults("rules: [{fault: refuse, call: poll, code: invalidApiKey, status: 401}]")
        )
        with pytest.raises(Incomplete) as caught:
            desk.reconcile()
        assert caught.value.exit_code == 6
        assert caught.value.summary["counts"] == {"not asked": 1}

    def test_without_a_key_nobody_can_be_asked(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("RUNWARE_API_KEY")
        with pytest.raises(KeyRefused):
            desk.reconcile()

    def test_without_a_ledger_there_is_nothing_to_compare_and_none_is_made(self, desk: Desk) -> None:
        with pytest.raises(SettingsError):
            desk.reconcile()
        assert not (desk.home.folder / "ledger.db").exists()


class TestSums:
    def test_attempts_are_listed_as_ever(self, desk: Desk) -> None:
        uuid = desk.buy("a")
        assert uuid in desk.run("ledger")
        (row,) = csv.DictReader(io.StringIO(desk.run("ledger", "--csv")))
        assert (row["taskUUID"], row["state"]) == (uuid, "stored")
        assert desk.json("ledger", "--shot", "b")["attempts"] == []

    def test_sums_by_shot_and_month(self, desk: Desk) -> None:
        desk.buy("a")
        desk.buy("b", cost="0.63")
        told = desk.json("ledger", "--by", "shot,month")
        assert told["by"] == ["provider", "shot", "month"]
        assert [(item["shot"], item["spent_usd"]) for item in told["sums"]] == [("a", "0.42"), ("b", "0.63")]
        assert told["totals"][desk.server.origin]["spent_usd"] == "1.05"
        rows = list(csv.DictReader(io.StringIO(desk.run("ledger", "--by", "shot", "--csv"))))
        assert [row["spent_usd"] for row in rows] == ["0.42", "0.63"]
        assert "$1.05 spent" in desk.run("ledger", "--by", "shot")

    def test_since_limits_what_is_listed_and_summed(self, desk: Desk) -> None:
        desk.buy("a")
        assert desk.json("ledger", "--since", "2999-01-01")["attempts"] == []
        assert len(desk.json("ledger", "--since", "1d", "--by", "run")["sums"]) == 1

    @pytest.mark.parametrize(
        "words", [("--by", "weather"), ("--csv", "--json"), ("--since", "yesterday"), ("--since", "1w")], ids=str
    )
    def test_what_makes_no_sense_is_told(self, desk: Desk, words: tuple[str, ...]) -> None:
        desk.buy("a")
        with pytest.raises(BadInput):
            desk.run("ledger", *words)
