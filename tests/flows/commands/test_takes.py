"""Choosing among takes from the command line: what has changed, what there is, one more of it, and what that costs."""

from __future__ import annotations

import contextlib
import io
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from flows.cli import app
from tasks.emulator.server import EmulatorServer
from tasks.emulator.settings import EmulatorSettings
from tasks.errors import ShotchainError
from tests.flows.conftest import Home, Ran, Shotchain

pytestmark = [pytest.mark.usefixtures("on_server"), pytest.mark.runs]

BOARD = """\
# Three shots, two of them joined.
title: Lakes
shots:
  - id: lake   # calm
    prompt: A calm lake at dawn
    duration: 1

  - id: boat
    prompt: A boat comes in
    boundary: continue
    duration: 1
  - {id: hill, prompt: A hill, duration: 1}
"""


@pytest.fixture(autouse=True)
def _at_home(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNWARE_API_KEY", "key")
    monkeypatch.chdir(home.folder)


@pytest.fixture
def runware() -> Iterator[EmulatorServer]:
    with EmulatorServer(EmulatorSettings(latency_s=0.0, instant=True)) as server:
        yield server


class Desk:
    """One person, one storyboard, one provider."""

    def __init__(self, home: Home, server: EmulatorServer, text: str = BOARD) -> None:
        self.board = home.storyboard(text)
        self._server = server

    def run(self, command: str, *arguments: str) -> Ran:
        """A command, in this process: each of its own would load Prefect anew."""
        out, err, code = io.StringIO(), io.StringIO(), 0
        words = [command, str(self.board), *arguments, "--base-url", self._server.base_url]
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                app(words, exit_on_error=False, result_action="return_value")
            except ShotchainError as error:
                code = error.exit_code
                err.write(str(error))
        return Ran(code, out.getvalue(), err.getvalue())

    def told(self, command: str, *arguments: str) -> dict[str, Any]:
        ran = self.run(command, *arguments, "--json")
        assert ran.code == 0, ran.err
        return ran.json

    @property
    def text(self) -> str:
        return self.board.read_text(encoding="utf-8")

    def change(self, old: str, new: str) -> None:
        assert self.text.count(old) == 1
        self.board.write_text(self.text.replace(old, new), encoding="utf-8")

    def generated(self) -> int:
        """How many generations the provider was asked for, in all."""
        return int(httpx.get(f"{self._server.origin}/_emulator/books").json()["counts"]["videoInference"])


@pytest.fixture
def desk(home: Home, runware: EmulatorServer) -> Desk:
    return Desk(home, runware)


def why(told: dict[str, Any]) -> dict[str, str]:
    return {f"{take['shot']} {take['take']}": take["why"] for take in told["takes"] if take["what"] == "generated"}


# -- plan --diff -------------------------------------------------------------------------------------------------------


def test_a_plan_tells_what_has_changed_since_the_last_render(desk: Desk, home: Home) -> None:
    first = desk.told("plan", "--diff")
    assert why(first["diff"]) == {"lake 1": "new shot", "boat 1": "new shot", "hill 1": "new shot"}
    assert (first["diff"]["compared"], first["diff"]["to_pay_usd"]) == (False, "1.26")
    assert not (home.folder / "ledger.db").exists()

    desk.told("render", "--output", "film.mp4")
    unchanged = desk.run("plan", "--diff")
    assert unchanged.code == 0
    assert "nothing to generate: all 3 takes are there; to pay: $0.00" in unchanged.out

    desk.change("A calm lake", "A wild lake")
    desk.change("title: Lakes\n", "title: Lakes\nretries: 1\n")
    told = desk.told("plan", "--diff")
    assert why(told["diff"]) == {
        "lake 1": "prompt: «A calm lake at dawn» → «A wild lake at dawn»",
        "boat 1": "first_frame: takes frame 24 of 'lake', which is generated anew",
    }
    assert told["diff"]["to_pay_usd"] == told["to_pay_usd"] == "0.84"
    assert desk.generated() == 3

    # The same storyboard under another name is compared with itself; nothing of it is new.
    moved = home.storyboard(desk.text.replace("A wild lake", "A calm lake"), "moved.yaml")
    desk.board = moved
    assert desk.told("plan", "--diff")["diff"]["compared"]
    for clip in (home.folder / "work").rglob("*.mp4"):
        clip.unlink()
    gone = desk.told("plan", "--diff")["diff"]
    assert {take["reason"] for take in gone["takes"]} == {"clip_gone"}


# -- takes -------------------------------------------------------------------------------------------------------------


def test_takes_are_listed_and_one_is_selected(home: Home, runware: EmulatorServer) -> None:
    desk = Desk(home, runware, BOARD.replace("dawn\n", "dawn\n    takes: 2 # two\n"))
    before = desk.told("takes")
    assert [(shot["id"], [take["state"] for take in shot["takes"]]) for shot in before["shots"]] == [
        ("lake", ["not made", "not made"]),
        ("boat", ["not made"]),
        ("hill", ["not made"]),
    ]
    desk.told("render", "--output", "film.mp4")

    (lake,) = desk.told("takes", "lake")["shots"]
    assert [(take["number"], take["selected"], take["made"], take["price_usd"]) for take in lake["takes"]] == [
        (1, True, True, "0.42"),
        (2, False, True, "0.42"),
    ]
    for take in lake["takes"]:
        assert Path(take["clip"]).name == f"{take['content_key']}.mp4"
        assert Path(take["clip"]).is_file()

    none = desk.run("takes", "lake", "3")
    assert none.code == 2
    assert "shot 'lake': there is no take 3: the takes are 1 (made), 2 (made)" in none.err
    assert desk.run("takes", "sea", "1").code == 2

    written = desk.text
    chosen = desk.run("takes", "lake", "2")
    assert chosen.code == 0, chosen.err
    assert desk.text == written.replace("takes: 2 # two\n", "takes: 2 # two\n    select: 2\n")
    assert "'lake': take 2 is selected, instead of take 1" in chosen.out
    assert "what takes a frame or the clip of it is made anew: 'boat'" in chosen.out
    assert "first_frame: 'lake' take 2 is selected now" in chosen.out
    assert "1 take to generate, 3 reused; to pay: $0.42" in chosen.out

    desk.told("retake", "boat")
    assert desk.generated() == 5
    back = desk.told("takes", "lake", "1")
    assert back["choices"] == [{"shot": "lake", "take": 1, "was": 2, "made": True}]
    assert (back["stale"], back["to_pay_usd"]) == ([], "0.00")
    assert desk.told("plan", "--diff")["diff"]["to_pay_usd"] == "0.00"


# -- retake ------------------------------------------------------------------------------------------------------------


def test_a_retake_makes_one_more_take_and_nothing_else(desk: Desk, home: Home, shotchain: Shotchain) -> None:
    refused = desk.run("retake", "boat")
    assert refused.code == 2
    assert "'lake', of which the selected take is not made" in refused.err
    assert desk.generated() == 0

    # A take that is wanted and not made is made, and no other asked for.
    first = desk.told("retake", "lake")
    assert [(take["shot"], take["number"], take["reused"]) for take in first["takes"]] == [("lake", 1, False)]
    assert (desk.text, desk.generated()) == (BOARD, 1)

    again = desk.run("retake", "lake", "hill")
    assert again.code == 0, again.err
    assert desk.text == BOARD.replace("# calm\n", "# calm\n    takes: 2\n")
    assert desk.generated() == 3
    assert "lake · take 2: $0.42" in again.err
    assert "$0.84 paid" in again.out
    assert not list(home.folder.glob("*.mp4"))
    place, command = (line.strip() for line in again.out.splitlines() if "lake" in line)
    assert Path(place.removeprefix("lake · take 2: ")).is_file()
    selected = shotchain(*shlex.split(command.removeprefix("select it: shotchain ")))
    assert selected.code == 0, selected.err
    assert desk.text == BOARD.replace("# calm\n", "# calm\n    takes: 2\n    select: 2\n")

    third = desk.told("retake", "lake", "--select")
    assert third["choices"] == [{"shot": "lake", "take": 3, "was": 2, "made": True}]
    assert desk.text == BOARD.replace("# calm\n", "# calm\n    takes: 3\n    select: 3\n")
    assert (third["stale"], third["to_pay_usd"]) == ([], "0.42")  # 'boat', which nobody has made yet
    assert desk.told("plan")["to_pay_usd"] == "0.42"


def test_what_is_refused_leaves_the_storyboard_as_it_was(desk: Desk) -> None:
    desk.told("retake", "lake")
    for flags, code in ((["--budget", "0.41"], 3), (["--approve-above", "0.41"], 4)):
        ran = desk.run("retake", "lake", *flags)
        assert ran.code == code, ran.err
        assert desk.text == BOARD
    assert desk.run("retake", "sea").code == 2
    assert desk.run("retake").code == 2
    desk.change("# calm\n", "# calm\n    takes: 4\n")
    four = desk.told("retake", "lake")
    assert four["cost_usd"] == "1.26"
    full = desk.run("retake", "lake")
    assert full.code == 2
    assert "there are 4 takes of it already" in full.err
    assert desk.generated() == 4


def test_a_retake_that_was_broken_off_is_finished_not_repeated(home: Home) -> None:
    with EmulatorServer(EmulatorSettings(latency_s=0.0, instant=True)) as server:
        desk = Desk(home, server)
        desk.told("retake", "lake")
        port = int(server.origin.rsplit(":", 1)[1])
    broken = desk.run("retake", "lake")
    assert broken.code == 6, broken.err
    raised = BOARD.replace("# calm\n", "# calm\n    takes: 2\n")
    assert desk.text == raised
    with EmulatorServer(EmulatorSettings(latency_s=0.0, instant=True, port=port)):
        finished = desk.told("retake", "lake")
    assert [(take["number"], take["reused"]) for take in finished["takes"]] == [(1, True), (2, False)]
    assert desk.text == raised


def test_a_storyboard_on_the_web_is_not_retaken_but_what_to_write_is_said(
    home: Home, shotchain: Shotchain, runware: EmulatorServer, web: str
) -> None:
    where = ["--base-url", runware.base_url]
    first = shotchain("retake", web, "lake", *where)
    assert first.code == 0, first.err  # there is nothing to write for the first take
    ran = shotchain("retake", web, "lake", *where)
    assert ran.code == 2
    assert "cannot be written from here" in ran.err
    assert "'takes: 2' in shot 'lake'" in ran.err


@pytest.fixture
def web() -> Iterator[str]:
    """The address of the storyboard on a server."""
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
    from threading import Thread

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(BOARD.encode())

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/film.yaml"
        server.shutdown()
        thread.join()
