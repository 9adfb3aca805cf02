"""docs/emulator.md: every example does what it says, and no fault, field or flag is left out."""

from __future__ import annotations

import contextlib
import inspect
import io
import json
import re
import shlex
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import fields
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import httpx
import pytest
import yaml
from PIL import Image

from flows import cli
from flows.commands.emulator import emulator
from flows.commands.render import render
from tasks.emulator import (
    EmulatorServer,
    EmulatorSettings,
    Tries,
    UploadEndpointSettings,
    WebhookSettings,
    WebSocketSettings,
)
from tasks.emulator.fault_plan import DELIVERY_FAULTS, FAULTS, parse_faults
from tasks.emulator.faults import AnyRule
from tasks.emulator.result_faults import Media
from tasks.emulator.rule import Rule
from tests.emulator.receivers import Receiver, receiving, wait_until

if TYPE_CHECKING:
    from tests.emulator.conftest import Api, Faulty, Pictures

PAGE = (Path(__file__).parents[2] / "docs" / "emulator.md").read_text(encoding="utf-8")
HERE = "http://127.0.0.1:8787"


def blocks(info: str) -> list[str]:
    return re.findall(rf"^```{info}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def lines(program: str) -> list[str]:
    return [line for block in blocks("sh") for line in block.splitlines() if program in line]


def table(first: str) -> dict[str, set[str]]:
    """What stands in backticks in the second cell, by the name in the first, of all tables that begin so."""
    found: dict[str, set[str]] = {}
    for part in PAGE.split(f"| {first} |")[1:]:
        for row in part.split("\n\n")[0].splitlines()[2:]:
            cells = row.strip("|").split("|")
            for name in re.findall(r"`([^`]+)`", cells[0]):
                found[name] = set(re.findall(r"`([^`]+)`", cells[1]))
    return found


def rows(first: str) -> dict[str, list[str]]:
    """The further cells of each row, by the name in its first, of the table that begins so."""
    lines = PAGE.split(f"| {first} |")[1].split("\n\n")[0].splitlines()[2:]
    return {cells[0].strip(" `"): cells[1:] for cells in (line.strip("|").split("|") for line in lines)}


def use(api: Faulty, receiver: Receiver) -> None:
    """What a patient client may do: four tasks, each sent, asked about and fetched more often than needed, and told."""
    ways = {"webhookURL": f"{receiver.url}/hook", "uploadEndpoint": f"{receiver.url}/put"}
    ended = contextlib.suppress(httpx.RemoteProtocolError)
    for number in range(4):
        task = api.text_task(positivePrompt=f"A tram in the harbour, {number}", **ways)
        question = {"taskType": "getResponse", "taskUUID": task["taskUUID"]}
        unknown = {"taskType": "getResponse", "taskUUID": str(uuid.uuid4())}
        for _ in range(4):
            with ended:
                api.post(task)
        for asked in ([question], [question, unknown], [unknown], [question], [question]):
            with ended:
                api.post(*asked)
        upload = {"taskType": "mediaStorage", "taskUUID": str(uuid.uuid4()), "operation": "delete"}
        api.post(upload)
        items = api.poll_any(question)
        for item in items:
            for _ in range(4):
                with ended:
                    api.http.get(item["videoURL"])


@pytest.mark.parametrize("block", blocks("yaml faults"), ids=lambda block: block.split("fault: ")[1].split(",")[0])
def test_each_rule_of_an_example_is_met(faulty: Faulty, block: str) -> None:
    assert faulty.http.put(faulty.plan_url, content=block).status_code == 200
    rules = yaml.safe_load(block)["rules"]

    with receiving() as receiver:
        use(faulty, receiver)
        # What is sent on its own comes when it comes.
        wait_until(lambda: all(faulty.given()) or "webhook" not in block)

    given = faulty.given()
    assert len(given) == len(rules)
    assert [rule for rule, times in zip(rules, given, strict=True) if not times] == []


def test_the_examples_show_every_fault() -> None:
    shown = {rule.fault for block in blocks("yaml faults") for rule in parse_faults(block).rules}

    assert shown == {*FAULTS, *DELIVERY_FAULTS}


def test_every_fault_and_its_fields_are_told() -> None:
    kinds: dict[str, type[Rule]] = {
        get_args(kind.model_fields["fault"].annotation)[0]: kind for kind in get_args(get_args(AnyRule)[0])
    }
    common = {*Rule.model_fields, "results"}
    own = {name: set(kind.model_fields) - common for name, kind in kinds.items()}
    media = own.pop("media")
    told = table("fault")

    assert told.pop("media") == set()
    assert told == own
    assert set(table("field")) == media == set(Media.model_fields) - common
    assert set(table("when")) == set(Rule.model_fields) - {"fault"}


@pytest.mark.parametrize("kind", [WebhookSettings, UploadEndpointSettings, WebSocketSettings, Tries])
def test_every_setting_is_told_with_its_default(kind: type[Any]) -> None:
    told = {name: cells[0].strip(" `") for name, cells in rows(f"`{kind.__name__}`").items()}

    usual = kind()
    assert told == {
        each.name: f"{value:g}" if isinstance(value := getattr(usual, each.name), float) else shown(value)
        for each in fields(kind)
    }


def shown(value: object) -> str:
    """A default as the page shows it."""
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, Tries):
        others = {each.name: getattr(value, each.name) for each in fields(value)}
        told = [f"{name}={chosen:g}" for name, chosen in others.items() if chosen != getattr(Tries(), name)]
        return f"Tries({', '.join(told)})"
    return str(value)


def test_every_flag_is_told() -> None:
    told = {name for name in table("flag") if name != "--no-extra-frame"}

    assert told == {f"--{name.replace('_', '-')}" for name in inspect.signature(emulator).parameters}


@pytest.fixture
def server() -> Iterator[EmulatorServer]:
    with EmulatorServer(EmulatorSettings(instant=True, frames_per_second=1)) as started:
        yield started


def test_the_programs_run(server: EmulatorServer) -> None:
    told = []
    for block in blocks("python"):
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            names: dict[str, Any] = {}
            exec(block.replace(HERE, server.origin), names)  # noqa: S102  it is the page's own example
            if "runware" in names:
                names["runware"].close()
        told.append(output.getvalue().splitlines())

    client, own, *others = told
    assert client == ["0.42 True"]
    assert [re.sub(r":\d+/", ":PORT/", line) for line in own] == ["http://127.0.0.1:PORT/v1", "[0]"]
    assert [[re.sub(r":\d+/", ":PORT/", line) for line in lines] for lines in others] == [
        ["http://127.0.0.1:PORT/v1"],
        ["ws://127.0.0.1:PORT/v1"],
    ]


@pytest.mark.parametrize("line", lines("shotchain emulator"))
def test_the_command_serves(line: str, tmp_path: Path) -> None:
    (tmp_path / "faults.yaml").write_text(blocks("yaml faults")[0])
    arguments = shlex.split(line.replace("8787", "0"))[1:]
    command = [sys.executable, "-c", "from flows.cli import main; main()", *arguments]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=tmp_path, env={"PYTHONPATH": str(root)}, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        url = re.search(r"http://\S+", process.stdout.readline().decode())
        assert url is not None
        plan = httpx.get(url[0].replace("/v1", "/_emulator/faults")).json()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=10)

    assert (process.returncode, len(plan["rules"])) == (130, 3 if "--faults" in line else 0)


@pytest.mark.parametrize("line", lines("shotchain render"))
def test_the_commands_for_films_are_understood(line: str) -> None:
    words = shlex.split(line.removeprefix("RUNWARE_API_KEY=anything "))
    command, bound, _ = cli.app.parse_args(words[1:], exit_on_error=False, print_error=False)

    assert command is render
    assert (Path(__file__).parents[2] / bound.arguments["storyboard"]).exists()


def test_the_plan_is_changed_as_told(server: EmulatorServer, tmp_path: Path) -> None:
    (tmp_path / "faults.yaml").write_text(blocks("yaml faults")[0])
    counts = []
    for line in lines("curl"):
        *options, url = shlex.split(line.replace(HERE, server.origin))[1:]
        method, content = "GET", b""
        for option, value in zip(options[::2], options[1::2], strict=True):
            match option:
                case "-X":
                    method = value
                case "-d" | "--data-binary":
                    content = (tmp_path / value[1:]).read_bytes() if value.startswith("@") else value.encode()
                case _:
                    raise AssertionError(option)
        counts.append(len(httpx.request(method, url, content=content).json()["rules"]))

    assert counts == [3, 4, 4, 0]


def test_remote_files_are_what_the_example_says(api: Api, pictures: type[Pictures], tmp_path: Path) -> None:
    remote = blocks("json")[0]
    (tmp_path / "remote.json").write_text(remote)
    street, harbour = json.loads(remote)
    with EmulatorServer(EmulatorSettings(instant=True, frames_per_second=1, state_dir=tmp_path)) as server:
        (tmp_path / "media" / "harbour.png").write_bytes(pictures.png(Image.new("RGB", (960, 960))))
        client = type(api)(server)
        cost = client.make(client.media_task({"video": street}))["cost"]
        path = client.download(client.make(client.media_task({"frameImages": [harbour]})), tmp_path)
        client.http.close()

    assert Decimal(str(cost)) == Decimal("0.126") * Decimal("3.5")
    assert path.stat().st_size > 0


def test_the_books_look_as_told(faulty: Faulty) -> None:
    told = json.loads(blocks("json")[1])
    faulty.set({"fault": "drop_reply", "times": 1})
    with pytest.raises(httpx.RemoteProtocolError):
        faulty.post(faulty.text_task())
    books = faulty.books()

    assert told.keys() == books.keys()
    assert told["tasks"][0].keys() == books["tasks"][0].keys()
    assert told["counts"].keys() == books["counts"].keys()
    assert told["faults"].items() <= {"drop_reply": 1}.items()
    assert books["faults"]["drop_reply"] >= 1


def test_no_example_goes_untested() -> None:
    tested = {"sh", "python", "json", "yaml faults"}
    programs = [line.split()[:2] for block in blocks("sh") for line in block.splitlines()]

    assert set(re.findall(r"^```(\S.*)$", PAGE, re.MULTILINE)) == tested
    assert len(blocks("json")) == 2
    assert len(programs) == sum(len(lines(name)) for name in ("shotchain emulator", "shotchain render", "curl"))
