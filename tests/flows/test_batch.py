"""A folder of storyboards becomes films: what has changed alone, under one budget, and none stops another."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from prefect.settings import PREFECT_RESULTS_PERSIST_BY_DEFAULT, temporary_settings

from flows.batch import batch
from flows.batches.boards import find_boards
from flows.batches.survey import survey
from flows.money.batch_budget import batch_budget, under_batch
from flows.money.terms import Terms
from tasks.emulator.server import EmulatorServer
from tasks.emulator.settings import EmulatorSettings
from tasks.errors import BadInput, Incomplete, SettingsError
from tasks.ledger import Limits, StandingBudget, State, open_ledger
from tasks.progress import Event, Stage, watch
from tasks.settings import resolve_settings
from tests.flows.conftest import Home, Shotchain

pytestmark = pytest.mark.runs

ONE = "title: {0}\nshots: [{{id: {0}, prompt: 'A calm lake, seen by {0}', duration: 1}}]\n"

Boards = Callable[..., str]


@pytest.fixture
def boards(home: Home) -> Boards:
    """Writes storyboards of one shot each ($0.42) under names, and gives their folder."""

    def write(*names: str, **texts: str) -> str:
        folder = home.folder / "boards"
        folder.mkdir(exist_ok=True)
        for name in names:
            (folder / f"{name}.yaml").write_text(ONE.format(name), encoding="utf-8")
        for name, text in texts.items():
            (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
        return str(folder)

    return write


def outcomes(told: dict[str, Any]) -> dict[str, str]:
    return {row["name"]: row["outcome"] for row in told["storyboards"]}


def tables(server: str) -> list[dict[str, Any]]:
    """The tables that batches have left, the newest first."""
    body = {"artifacts": {"key": {"any_": ["shotchain-batch"]}}, "sort": "CREATED_DESC"}
    found: list[dict[str, Any]] = httpx.post(f"{server}/artifacts/filter", json=body).json()
    return found


def children_of(server: str, run_id: str) -> list[dict[str, Any]]:
    """The flow runs that belong to a batch's."""
    body = {"flow_runs": {"parent_flow_run_id": {"any_": [run_id]}}}
    found: list[dict[str, Any]] = httpx.post(f"{server}/flow_runs/filter", json=body).json()
    return found


def named(server: str, *names: str) -> list[dict[str, Any]]:
    """The flow runs of these names."""
    body = {"flow_runs": {"name": {"any_": list(names)}}}
    found: list[dict[str, Any]] = httpx.post(f"{server}/flow_runs/filter", json=body).json()
    return found


async def failing(*arguments: Any, **parameters: Any) -> Incomplete:
    with pytest.raises(Incomplete) as caught:
        await batch(*arguments, **parameters)
    return caught.value


@pytest.mark.usefixtures("on_server")
async def test_only_what_has_changed_is_rendered(home: Home, boards: Boards) -> None:
    films = str(home.folder / "films")

    first = await batch(boards("dawn", "dusk"), films, provider="emulator")
    assert outcomes(first) == {"dawn": "published", "dusk": "published"}
    assert (first["cost_usd"], first["counts"]) == ("0.84", {"published": 2})
    assert [row["frames"] for row in first["storyboards"]] == [25, 25]
    assert {row["output"] for row in first["storyboards"]} == {f"{films}/dawn.mp4", f"{films}/dusk.mp4"}

    again = await batch(boards(), films, provider="emulator")
    assert outcomes(again) == {"dawn": "unchanged", "dusk": "unchanged"}

    # A shorter trim changes the film, and pays for nothing.
    trimmed = boards(dusk=ONE.format("dusk").replace("duration: 1", "duration: 2"))
    third = await batch(trimmed, films, provider="emulator")
    assert outcomes(third) == {"dawn": "unchanged", "dusk": "published"}
    assert (third["cost_usd"], third["storyboards"][1]["frames"]) == ("0.00", 49)

    (home.folder / "films" / "dawn.mp4").unlink()
    forced = await batch(boards(), films, provider="emulator", force=True, at_once=1)
    assert outcomes(forced) == {"dawn": "published", "dusk": "published"}
    assert (home.folder / "films" / "dawn.mp4").is_file()


@pytest.mark.usefixtures("on_server")
@pytest.mark.quick
async def test_a_bad_storyboard_stops_no_other_and_the_table_tells_of_all(
    home: Home, boards: Boards, on_server: str
) -> None:
    said: list[str] = []
    watch(lambda event: said.append(event.message) if event.message else None)
    folder = boards("dawn", **{"broken": "shots: [{id: a, promt: A lake}]", "z [x](y)": "shots: []"})

    error = await failing(folder, str(home.folder / "films"), provider="emulator")

    assert error.exit_code == 2
    assert outcomes(error.summary) == {"broken": "broken", "dawn": "published", "z [x](y)": "broken"}
    assert error.summary["storyboards"][0]["error"]["problems"][0]["line"] == 1
    assert any(line.startswith("broken: broken: line 1: unknown key 'promt'") for line in said)
    table = tables(on_server)[0]
    assert table["description"] == "3 storyboards: 2 broken, 1 published; $0.42"
    # What users name is text, and no link.
    assert [row["storyboard"] for row in json.loads(table["data"])] == ["broken", "dawn", r"z \[x\](y)"]
    assert "unknown key 'promt'" in table["data"]


@pytest.mark.usefixtures("on_server")
async def test_a_batch_that_is_started_again_counts_what_it_had_published(home: Home, boards: Boards) -> None:
    folder, films = boards("dawn"), str(home.folder / "films")
    await batch(folder, films, provider="emulator")
    boards("dusk", broken="shots: []")

    with pytest.raises(Incomplete) as caught:
        await batch.with_options(retries=1, retry_delay_seconds=0)(folder, films, provider="emulator")

    assert outcomes(caught.value.summary) == {"broken": "broken", "dawn": "unchanged", "dusk": "published"}
    assert caught.value.summary["cost_usd"] == "0.42"


@pytest.mark.usefixtures("on_server")
async def test_a_batch_that_is_started_again_gives_each_storyboard_the_run_of_its_own(
    home: Home, boards: Boards, on_server: str
) -> None:
    folder, films = boards("dawn", "noon", dusk="shots: []"), home.folder / "films"
    heard: list[str] = []

    def edit(event: Event) -> None:
        """When the first start is about to end, somebody mends one storyboard, changes another, and loses a film."""
        heard.append(event.message)
        if len([line for line in heard if line.partition(": ")[0] in {"dawn", "noon", "dusk"}]) == 3:
            boards("dusk", dawn=ONE.format("dawn").replace("calm", "wild"))
            (films / "noon.mp4").unlink()

    watch(lambda event: edit(event) if event.stage is Stage.NOTE else None)
    # With this, Prefect would take a result that it kept for that of another storyboard.
    with temporary_settings({PREFECT_RESULTS_PERSIST_BY_DEFAULT: True}):
        told = await batch.with_options(retries=1, retry_delay_seconds=0)(folder, str(films), provider="emulator")

    assert outcomes(told) == {"dawn": "published", "dusk": "published", "noon": "published"}
    rows = {row["name"]: row for row in told["storyboards"]}
    assert len({row["run_id"] for row in rows.values()}) == 3
    for name, row in rows.items():
        manifest = json.loads((films / f"{name}.manifest.json").read_text())
        assert (manifest["title"], manifest["run_id"]) == (name, row["run_id"])
        assert (films / f"{name}.mp4").is_file()
    # Both starts count: dawn was paid for as it was, and as it is.
    assert {name: row["cost_usd"] for name, row in rows.items()} == {"dawn": "0.84", "dusk": "0.42", "noon": "0.42"}
    assert told["cost_usd"] == "1.68"
    children = children_of(on_server, told["run_id"])
    assert sorted(child["name"] for child in children) == ["dawn", "dawn", "dusk", "noon", "noon"]
    assert {child["state"]["type"] for child in children} == {"COMPLETED"}


@pytest.mark.usefixtures("on_server")
async def test_what_is_wrong_for_all_is_said_once(home: Home, boards: Boards) -> None:
    folder, films = boards("dawn", "dusk"), str(home.folder / "films")
    (home.folder / "file").write_text("")
    ledger = home.folder / "bad.db"
    ledger.write_bytes(b"no ledger at all" * 1000)

    wrong: tuple[dict[str, Any], ...] = (
        {"output": str(home.folder / "file" / "films")},
        {"output": films, "ledger": str(ledger)},
        {"output": films, "run_on": "workers", "render_deployment": "render/nothing"},
        {"output": films, "run_on": "workers", "render_deployment": "render"},
    )
    for parameters in wrong:
        with pytest.raises(SettingsError):
            await batch(folder, provider="emulator", **parameters)
    assert not (home.folder / "films").exists()


@pytest.mark.usefixtures("on_server")
async def test_one_budget_is_over_all_and_the_ledger_holds_it(home: Home, boards: Boards) -> None:
    folder, films = boards("dawn", "dusk"), str(home.folder / "films")

    error = await failing(folder, films, provider="emulator", budget_usd="0.83", at_once=2)

    assert error.exit_code == 3
    assert error.summary["counts"] == {"published": 1, "refused": 1}
    assert (error.summary["cost_usd"], error.summary["budget_usd"]) == ("0.42", "0.83")
    with open_ledger(home.environment["SHOTCHAIN_LEDGER"]) as ledger:
        (state,) = ledger.budget_states("emulator")
    assert (state.name, state.limit_usd) == (f"batch {error.summary['run_id']}", Decimal("0.83"))
    assert state.held_usd == Decimal("0.42")

    # Another batch has a budget of its own.
    told = await batch(folder, films, provider="emulator", budget_usd="0.42")
    assert sorted(outcomes(told).values()) == ["published", "unchanged"]


@pytest.mark.usefixtures("on_server")
async def test_each_render_asks_for_itself(home: Home, boards: Boards) -> None:
    folder = boards("dawn", long="shots: [{id: a, prompt: A lake}, {id: b, prompt: A hill}]")

    error = await failing(folder, str(home.folder / "films"), provider="emulator", approve_above_usd="0.50")

    assert error.exit_code == 4
    assert outcomes(error.summary) == {"dawn": "published", "long": "refused"}
    assert error.summary["storyboards"][1]["error"]["type"] == "ApprovalNeeded"


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatorServer]:
    monkeypatch.setenv("RUNWARE_API_KEY", "key-of-the-tests")
    with EmulatorServer(EmulatorSettings(latency_s=4.0)) as server:
        yield server


@pytest.mark.usefixtures("on_server")
async def test_a_batch_that_is_cancelled_goes_on_where_it_stopped(
    home: Home, boards: Boards, slow: EmulatorServer, on_server: str
) -> None:
    folder, films = boards("dawn", "dusk"), str(home.folder / "films")

    def books() -> dict[str, Any]:
        found: dict[str, Any] = httpx.get(f"{slow.origin}/_emulator/books").json()
        return found

    running = asyncio.create_task(batch(folder, films, base_url=slow.base_url))
    for _ in range(200):
        await asyncio.sleep(0.1)
        if books()["counts"]["videoInference"] == 2:
            break
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not {run["state"]["type"] for run in named(on_server, "dawn", "dusk")} & {"PENDING", "RUNNING"}
    with open_ledger(home.environment["SHOTCHAIN_LEDGER"]) as ledger:
        left = ledger.attempts()
    assert {attempt.state for attempt in left} <= {State.SUBMITTED, State.ACCEPTED}

    told = await batch(folder, films, base_url=slow.base_url)

    assert told["counts"] == {"published": 2}
    assert (books()["total_usd"], books()["counts"]["videoInference"]) == ("0.84", 2)


async def test_the_longest_comes_first_and_nothing_is_written(home: Home, boards: Boards) -> None:
    chain = "shots: [{id: a, prompt: A lake}, {id: b, prompt: It ripples, boundary: continue}]"
    wide = "shots: [{id: a, prompt: A hill}, {id: b, prompt: A wood}]"
    folder = boards("dawn", broken="shots: []", chain=chain, wide=wide)
    settings = resolve_settings(provider="emulator")

    found = await survey(find_boards(folder, str(home.folder / "films")), settings, force=False)

    assert [item.board.name for item in found] == ["chain", "dawn", "wide", "broken"]
    assert [item.wall_s for item in found] == [120, 60, 60, 0]
    assert not (home.folder / "ledger.db").exists()
    assert not (home.folder / "films").exists()


def test_from_a_terminal(home: Home, shotchain: Shotchain, boards: Boards) -> None:
    boards("dawn", broken="shots: []")
    done = shotchain("batch", "boards/*.yaml", "--provider", "emulator", "--output", "films", "--budget", "1", "--json")
    assert done.code == 2, done.err
    assert outcomes(done.json) == {"broken": "broken", "dawn": "published"}
    assert (done.json["cost_usd"], done.json["budget_usd"]) == ("0.42", "1.00")
    assert "dawn: published\n" in done.err

    (home.folder / "boards" / "broken.yaml").unlink()
    again = shotchain("batch", "boards", "--provider", "emulator", "--output", "films")
    assert again.code == 0, again.err
    assert "unchanged" in again.out


@pytest.mark.parametrize(
    "arguments",
    [
        ("boards", "--output", "films"),
        ("boards", "--output", "film.mp4"),
        ("boards", "--output", "films", "--at-once", "0"),
        ("boards", "--output", "films", "--budget", "much"),
        ("boards",),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_starts(
    shotchain: Shotchain, arguments: tuple[str, ...]
) -> None:
    assert shotchain("batch", *arguments, "--provider", "emulator").code == 2


# -- the budget of a batch -------------------------------------------------------------------------------------------


def test_the_budget_of_a_batch_is_for_its_renders_alone() -> None:
    budget = batch_budget({"batch": "night"}, "12.50")

    assert budget is not None
    assert (budget.name, budget.limit_usd) == ("batch night", Decimal("12.50"))
    assert budget.matches({"batch": "night", "client": "acme"})
    assert not budget.matches({"batch": "day"})
    assert batch_budget({}, None) is None
    for tags, amount in (({}, "1"), ({"batch": "night"}, "much")):
        with pytest.raises(SettingsError):
            batch_budget(tags, amount)


def test_it_stands_beside_the_other_budgets() -> None:
    other = StandingBudget("studio", Decimal(5))
    terms = Terms({"batch": "night"}, Limits(standing=(other,)), None)

    under = under_batch(under_batch(terms, "2"), "3")

    assert [(budget.name, budget.limit_usd) for budget in under.limits.standing] == [
        ("studio", Decimal(5)),
        ("batch night", Decimal(3)),
    ]
    assert under_batch(terms, None) is terms


def test_an_unknown_folder_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="there is no storyboard"):
        find_boards(str(tmp_path / "nothing"), str(tmp_path))
