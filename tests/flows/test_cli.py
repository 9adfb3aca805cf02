"""The command line as a user meets it: one clear answer, one exit code, a clean terminal."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tasks.emulator.server import EmulatorServer
from tasks.emulator.settings import EmulatorSettings
from tests.flows.conftest import SHOTCHAIN, Home, Shotchain
from tests.media.tones import tone_file

pytestmark = pytest.mark.runs

BOARD = "shots: [{id: lake, prompt: A calm lake at dawn, duration: 1}]"


@pytest.fixture
def runware() -> Iterator[EmulatorServer]:
    with EmulatorServer(EmulatorSettings(latency_s=0.0)) as server:
        yield server


def posts(server: EmulatorServer) -> int:
    return int(httpx.get(f"{server.origin}/_emulator/books").json()["counts"]["posts"])


# -- render ------------------------------------------------------------------------------------------------------------


def test_render_needs_no_prefect_server_no_key_and_no_ffmpeg_for_the_emulator(home: Home, shotchain: Shotchain) -> None:
    board = home.storyboard(BOARD)
    first = shotchain(
        "render",
        str(board),
        "--provider",
        "emulator",
        "--output",
        "film.mp4",
        "--json",
        PATH="/nowhere",
        PREFECT_API_URL="",
    )
    assert first.code == 0, first.err
    assert first.json == {
        "provider": "emulator",
        "output": str(home.folder / "film.mp4"),
        "manifest": str(home.folder / "film.manifest.json"),
        "shots": 1,
        "generated": 1,
        "reused": 0,
        "failed": 0,
        "cost_usd": "0.42",
        "reserved_usd": "0.00",
        "unknown_usd": "0.00",
        "frames": 25,
        "duration_s": 1.042,
        "signed": False,
        "unsigned_because": "no certificate is configured",
        "deliverables": {},
        "warnings": [],
    }
    manifest = json.loads((home.folder / "film.manifest.json").read_text())
    assert manifest["film"]["sha256"] == hashlib.sha256((home.folder / "film.mp4").read_bytes()).hexdigest()
    # Plain lines where it is not a terminal, on stderr, one a step.
    assert "lake · take 1: stored $0.42" in first.err
    second = shotchain("render", str(board), "--provider", "emulator", "--output", "film.mp4")
    assert (second.code, second.out) == (
        0,
        "film.mp4: 25 frames, 1.042 s; 0 generated, 1 reused, $0.00 of play money\n",
    )
    assert second.err.splitlines()[-1] == "not signed: no certificate is configured"
    ledger = shotchain("ledger", "--json").json
    assert [item["state"] for item in ledger["attempts"]] == ["stored"]
    assert ledger["totals"] == {"emulator": {"spent_usd": "0.42", "reserved_usd": "0.00", "unknown_usd": "0.00"}}


def test_without_a_key_it_says_so_and_names_the_emulator(home: Home, shotchain: Shotchain) -> None:
    ran = shotchain("render", str(home.storyboard(BOARD)), "--output", "film.mp4")
    assert ran.code == 6
    assert "RUNWARE_API_KEY is not set" in ran.err
    assert "--provider emulator" in ran.err
    assert not (home.folder / "ledger.db").exists()


@pytest.mark.quick
def test_a_refused_key_ends_with_6_and_is_never_shown(home: Home, shotchain: Shotchain, tmp_path: Path) -> None:
    with EmulatorServer(EmulatorSettings(latency_s=0.0, api_key="the-right-key")) as server:
        ran = shotchain(
            "render", str(home.storyboard(BOARD)), "--base-url", server.base_url, RUNWARE_API_KEY="the-wrong-key-0815"
        )
    assert ran.code == 6
    assert "RUNWARE_API_KEY" in ran.err
    for file in [*tmp_path.rglob("*")]:
        assert not file.is_file() or b"the-wrong-key-0815" not in file.read_bytes(), file
    assert "the-wrong-key-0815" not in ran.out + ran.err


def test_a_provider_that_is_not_there_ends_with_6_and_gives_the_money_back(home: Home, shotchain: Shotchain) -> None:
    ran = shotchain(
        "render",
        str(home.storyboard(BOARD)),
        "--base-url",
        "http://127.0.0.1:9/v1",
        RUNWARE_API_KEY="key",
    )
    assert ran.code == 6, ran.err
    assert "cannot be reached" in ran.err
    totals = shotchain("ledger", "--json").json["totals"]
    assert totals["http://127.0.0.1:9"] == {"spent_usd": "0.00", "reserved_usd": "0.00", "unknown_usd": "0.00"}


def test_a_budget_without_room_ends_with_3_before_a_server_is_started(
    home: Home, shotchain: Shotchain, runware: EmulatorServer
) -> None:
    board = home.storyboard(BOARD.replace("duration", "takes: 2, duration"))
    flags = ["--base-url", runware.base_url, "--budget", "0.5", "--json"]
    # A server that is not there would end the run with 6.
    ran = shotchain("render", str(board), *flags, RUNWARE_API_KEY="key", PREFECT_API_URL="http://127.0.0.1:9/api")
    assert ran.code == 3, ran.err
    assert ran.json["error"]["message"] == "this needs $0.84, and the budget is $0.50"
    assert "Cheapest changes that fit: 'lake' with takes: 1 instead of 2 saves $0.42." in ran.json["error"]["advice"]
    assert posts(runware) == 0


def test_what_needs_approval_and_finds_nobody_to_ask_ends_with_4(
    home: Home, shotchain: Shotchain, runware: EmulatorServer
) -> None:
    board = str(home.storyboard(BOARD))
    flags = ["--base-url", runware.base_url, "--approve-above", "0.10"]
    refused = shotchain("render", board, *flags, RUNWARE_API_KEY="key")
    assert refused.code == 4
    assert "--yes" in refused.err
    assert posts(runware) == 0
    assert shotchain("render", board, *flags, "--yes", RUNWARE_API_KEY="key").code == 0


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--budget", "lots"], "--budget 'lots' is not an amount of dollars"),
        (["--output", "film.avi"], "cannot be published as '.avi'"),
        (["--base-url", "nonsense"], "'nonsense' is not a base URL"),
        (["--max-in-flight", "0"], "max-in-flight 0 is out of range"),
        (["--ledger", "mysql://x/y"], "ledger"),
    ],
)
@pytest.mark.quick
def test_flags_that_cannot_be_used_end_with_2(home: Home, shotchain: Shotchain, flags: list[str], said: str) -> None:
    ran = shotchain("render", str(home.storyboard(BOARD)), *flags, RUNWARE_API_KEY="key")
    assert ran.code == 2, ran.err
    assert said in ran.err


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_stopped_run_ends_soon_and_goes_on_where_it_stopped(
    home: Home, shotchain: Shotchain, name: str, code: int
) -> None:
    board = home.storyboard(BOARD)
    with EmulatorServer(EmulatorSettings(latency_s=4.0)) as server:
        arguments = ["render", str(board), "--base-url", server.base_url, "--output", "film.mp4"]
        process = subprocess.Popen(
            [str(SHOTCHAIN), *arguments],
            cwd=home.folder,
            env={**os.environ, "RUNWARE_API_KEY": "key"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        seen = []
        for line in process.stdout:
            seen.append(line)
            if "generating" in line:
                break
        began = time.monotonic()
        process.send_signal(getattr(signal, name))
        rest, _ = process.communicate(timeout=20)
        assert process.returncode == code, [*seen, rest]
        assert time.monotonic() - began < 10
        assert "run the same command again" in rest
        assert "Still at the provider, for $0.42: shot '" in rest
        assert "Traceback" not in rest
        again = shotchain(*arguments, "--json", RUNWARE_API_KEY="key")
        assert again.code == 0, again.err
        books = httpx.get(f"{server.origin}/_emulator/books").json()
    assert books["total_usd"] == "0.42"
    assert books["counts"]["videoInference"] == 1


@pytest.mark.parametrize(
    ("output", "code", "said"),
    [
        ("nosuch://x/film.mp4", 2, "nosuch"),
        ("/proc/x/film.mp4", 6, "cannot be written"),
        ("board.yaml/film.mp4", 2, "is no folder"),
        ("s3://no-such-bucket/film.mp4", 6, "cannot be written"),
        ("https://films.example.com/film.mp4", 2, "cannot be written to"),
        (f"{'x' * 300}.mp4", 2, "name too long"),
        ("x" * 300, 2, "name too long"),
        ("own.mp4", 2, "would replace it"),
    ],
)
def test_a_place_that_takes_no_film_is_found_before_anything_is_paid(
    home: Home, shotchain: Shotchain, runware: EmulatorServer, output: str, code: int, said: str
) -> None:
    tone_file(home.folder / "own.mp4", 1.0, 440.0)  # what a file is, its content says
    ran = shotchain(
        "render",
        str(home.storyboard(f"music: own.mp4\n{BOARD}")),
        "--base-url",
        runware.base_url,
        "--output",
        output,
        RUNWARE_API_KEY="key",
        AWS_ENDPOINT_URL="http://127.0.0.1:9",
        AWS_ACCESS_KEY_ID="k",
        AWS_SECRET_ACCESS_KEY="s",
        AWS_MAX_ATTEMPTS="1",
    )
    assert (ran.code, said in ran.err) == (code, True), ran.err
    assert posts(runware) == 0


def test_a_store_that_takes_no_clips_is_found_before_anything_is_paid(
    home: Home, shotchain: Shotchain, runware: EmulatorServer
) -> None:
    (home.folder / "afile").write_text("x")
    flags = ["--base-url", runware.base_url, "--work", str(home.folder / "afile")]
    ran = shotchain("render", str(home.storyboard(BOARD)), *flags, RUNWARE_API_KEY="key")
    assert (ran.code, "is no folder" in ran.err) == (2, True), ran.err
    assert posts(runware) == 0


def test_nohup_means_that_a_closed_terminal_stops_nothing(
    home: Home, runware: EmulatorServer, prefect_server: str
) -> None:
    process = subprocess.Popen(
        ["nohup", str(SHOTCHAIN), "render", str(home.storyboard(BOARD)), "--base-url", runware.base_url, "-o", "f.mp4"],
        cwd=home.folder,
        env={**os.environ, "RUNWARE_API_KEY": "key", "PREFECT_API_URL": prefect_server},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    while b"submitting" not in process.stderr.readline():
        pass
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=60)
    assert (process.returncode, (home.folder / "f.mp4").is_file()) == (0, True)


def test_a_yes_is_to_one_sum_for_one_plan(home: Home, runware: EmulatorServer, prefect_server: str) -> None:
    """On a real terminal: while the question stands, somebody adds a shot to the storyboard."""
    import pty

    board = home.storyboard(BOARD)
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [str(SHOTCHAIN), "render", str(board), "--base-url", runware.base_url, "--approve-above", "0.10"],
        cwd=home.folder,
        env={**os.environ, "RUNWARE_API_KEY": "key", "PREFECT_API_URL": prefect_server, "TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    while b"[y/N]" not in shown:
        shown += os.read(ours, 4096)
    board.write_text(BOARD.replace("]", ", {id: more, prompt: Another lake}]"), encoding="utf-8")
    os.write(ours, b"y\n")
    try:
        while chunk := os.read(ours, 4096):
            shown += chunk
    except OSError:
        pass  # the terminal ends with the program
    assert process.wait(30) == 4, shown.decode()
    assert b"has changed since it was approved" in shown
    assert "starting …".encode() in shown  # the yes is followed by a sign of life
    assert posts(runware) == 0
    os.close(ours)


def test_watching_changes_nothing(home: Home, runware: EmulatorServer, prefect_server: str) -> None:
    """Whoever reads the log may go away in the middle of a run."""
    board = home.storyboard(BOARD)
    process = subprocess.Popen(
        [str(SHOTCHAIN), "render", str(board), "--base-url", runware.base_url, "--output", "film.mp4"],
        cwd=home.folder,
        env={**os.environ, "RUNWARE_API_KEY": "key", "PREFECT_API_URL": prefect_server},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    process.stderr.readline()
    process.stderr.close()
    process.wait(60)
    assert (home.folder / "film.mp4").is_file()


def test_the_emulator_is_never_runware_itself(home: Home, shotchain: Shotchain) -> None:
    ran = shotchain(
        "render",
        str(home.storyboard(BOARD)),
        "--provider",
        "emulator",
        "--base-url",
        "https://api.runware.ai/v1",
        RUNWARE_API_KEY="key",
    )
    assert ran.code == 2
    assert "not at Runware's own address" in ran.err


def test_titles_and_names_are_shown_as_they_are(home: Home, shotchain: Shotchain) -> None:
    board = home.storyboard("title: 'Act [/bold] one'\n" + BOARD)
    ran = shotchain("plan", str(board))
    assert (ran.code, ran.out.splitlines()[0].strip()) == (0, "Act [/bold] one")


def test_money_in_doubt_is_settled_by_a_person(home: Home, shotchain: Shotchain) -> None:
    from decimal import Decimal

    from tasks.ledger import State, Wanted, open_ledger

    with open_ledger(str(home.folder / "ledger.db")) as ledger:
        ledger.begin_run(run_id="run", provider="runware", account="", storyboard="A [b", budget_usd=None)
        (attempt,) = ledger.reserve("run", [Wanted("key", "lake", 1, "model", Decimal("0.42"), {})])
        ledger.move(attempt.task_uuid, State.SUBMITTED)
        ledger.move(attempt.task_uuid, State.UNKNOWN)
    assert shotchain("ledger", "--json").json["totals"]["runware"]["unknown_usd"] == "0.42"
    assert shotchain("ledger").code == 0
    assert shotchain("settle", attempt.task_uuid).code == 2  # an answer is needed
    with open_ledger(str(home.folder / "ledger.db")) as ledger:
        ledger.hold_lease("run/1", 60, run_id="run")
        ledger.take_wheel(attempt.task_uuid, "run/1", run_id="run")
        refused = shotchain("settle", attempt.task_uuid, "--charged")
        assert (refused.code, "run is working on this attempt" in refused.err) == (2, True)
        ledger.end_lease("run/1")
    told = shotchain("settle", attempt.task_uuid, "--charged", "--cost", "0.40", "--json")
    assert (told.code, told.json["state"], told.json["cost_usd"]) == (0, "unknown", "0.40")
    assert shotchain("ledger", "--json").json["totals"]["runware"] == {
        "spent_usd": "0.40",
        "reserved_usd": "0.00",
        "unknown_usd": "0.00",
    }
    assert shotchain("settle", attempt.task_uuid, "--not-charged").code == 0  # it may be taken back
    assert shotchain("settle", attempt.task_uuid, "--charged").code == 2  # what is over is told already
    assert shotchain("ledger", "--json").json["totals"]["runware"]["spent_usd"] == "0.00"


@pytest.mark.quick
def test_every_ending_is_one_object_with_json(home: Home, shotchain: Shotchain) -> None:
    assert shotchain("render", "a.yaml", "--nonsense", "--json").json["error"]["type"] == "UsageError"
    assert shotchain("plan", "nothing.yaml", "--json").json["error"]["type"] == "StoryboardError"
    odd = shotchain("render", str(home.storyboard(BOARD)), "--provider", "emulator", PREFECT_API_URL="http://[::1/api")
    assert odd.code in {2, 6}, odd.err


# -- plan, schema, mistakes --------------------------------------------------------------------------------------------


def test_plan_as_json_is_one_object_alone_on_stdout(home: Home, shotchain: Shotchain) -> None:
    ran = shotchain("plan", str(home.storyboard(BOARD)), "--json")
    assert ran.code == 0
    assert ran.err == ""
    plan = ran.json
    assert {"cost_usd", "frames", "critical_path_s", "shots"} <= plan.keys()
    assert {
        "id",
        "mode",
        "boundary",
        "depends_on",
        "generate_s",
        "duration_s",
        "frames",
        "cost_usd",
        "request",
    } <= plan["shots"][0].keys()
    assert (plan["cost_usd"], plan["frames"]) == ("0.42", 25)


def test_plan_loads_neither_prefect_nor_a_database(home: Home, shotchain: Shotchain) -> None:
    ran = shotchain("plan", str(home.storyboard(BOARD)), PYTHONPROFILEIMPORTTIME="1")
    loaded = {line.rsplit("|", 1)[-1].strip() for line in ran.err.splitlines() if "import time" in line}
    assert "tasks.plan.build" in loaded
    assert not {"prefect", "sqlalchemy", "alembic", "uvicorn", "starlette"} & loaded


MISTAKES = [
    ("shots: [{id: a, promt: A lake}]", 1, "unknown key 'promt'"),
    ("shots:\n  - {id: a, prompt: A lake}\n  - {id: a, prompt: A lake}", 3, "a"),
    ("shots:\n  - id: a\n    prompt: A lake\n    first_frame: nope", 4, "nope"),
    ("shots:\n  - id: a\n    prompt: A lake\n    first_frame: {shot: b, frame: last}", 4, "b"),
    ("shots:\n  - id: a\n    prompt: A lake\n    duration: 12", 4, "longer than"),
    ("size: 640x480\nshots: [{id: a, prompt: A lake}]", 1, "640x480"),
    ("model: no:such@model\nshots: [{id: a, prompt: A lake}]", 1, "no:such@model"),
    ("shots:\n  - id: a\n    prompt: A lake\n    boundary: continue", 4, "first shot"),
    ("shots:\n  - id: a\n    prompt: A lake\n    last_frame: pictures/missing.png", 4, "missing.png"),
    ("shots:\n  - id: a\n    prompt: x", 3, "characters"),
    ("shots:\n  - id: a\n    prompt: [A lake", 3, ""),
    (
        "shots: [{id: a, prompt: A lake, first_frame: {shot: b, frame: last}}, {id: b, prompt: A lake, first_frame: {shot: a, frame: last}}]",
        1,
        "a -> b -> a",
    ),
]


@pytest.mark.parametrize(("text", "line", "said"), MISTAKES)
@pytest.mark.quick
def test_a_mistake_is_one_clear_error_with_its_line_and_spends_nothing(
    home: Home, shotchain: Shotchain, text: str, line: int, said: str
) -> None:
    home.storyboard(text)
    ran = shotchain("plan", "board.yaml")
    assert ran.code == 2, ran.err
    assert ran.err.startswith(f"error: board.yaml:{line}: "), ran.err
    assert said in ran.err
    assert ran.err.count("board.yaml:") == 1, ran.err
    assert ran.out == ""
    assert not (home.folder / "ledger.db").exists()


def test_a_mistake_stops_a_render_before_anything_is_started(
    home: Home, shotchain: Shotchain, runware: EmulatorServer
) -> None:
    home.storyboard("shots: [{id: a, promt: A lake}]")
    began = time.monotonic()
    ran = shotchain("render", "board.yaml", "--base-url", runware.base_url, "--json", RUNWARE_API_KEY="key")
    assert ran.code == 2
    assert ran.json["error"]["problems"][0]["line"] == 1
    assert posts(runware) == 0
    assert time.monotonic() - began < 5
    assert not (home.folder / "ledger.db").exists()


def test_a_missing_storyboard_and_an_unknown_command_end_with_2(home: Home, shotchain: Shotchain) -> None:
    assert shotchain("plan", "nothing.yaml").code == 2
    assert shotchain("rendr").code == 2
    assert shotchain("render", "a.yaml", "--nonsense").code == 2


def test_schema_prints_a_json_schema(shotchain: Shotchain) -> None:
    schema = shotchain("schema").json
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert {"shots", "assets", "defaults", "title"} <= schema["properties"].keys()
