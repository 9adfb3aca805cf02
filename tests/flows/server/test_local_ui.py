"""`make ui` starts Prefect once, and `make ui-stop` ends exactly that."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from flows.server.local_ui import LocalUi, Started, birth
from tasks.errors import PrefectUnreachable
from tests.flows.conftest import Home

ROOT = Path(__file__).parents[3]


def do(home: Home, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "flows.server.local_ui", *arguments, "--folder", str(home.folder / "ui")],
        cwd=ROOT,
        env={**os.environ, **home.environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.server
@pytest.mark.timeout(180)
def test_starting_twice_starts_once_and_stopping_ends_it(home: Home) -> None:
    ui = LocalUi(home.folder / "ui", ROOT)
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"])
    try:
        address = do(home, "start", "--port", "0").split()[0]
        notes = (home.folder / "ui" / "running.json").read_text()
        assert ui.address == address
        deployed = httpx.post(f"{address}/api/deployments/filter", json={}).json()
        assert "render" in {item["name"] for item in deployed}
        assert httpx.get(f"{address}/").text.startswith("<!")
        assert [pool["name"] for pool in httpx.post(f"{address}/api/work_pools/filter", json={}).json()] == [
            "shotchain"
        ]

        assert do(home, "start").split()[0] == address
        assert (home.folder / "ui" / "running.json").read_text() == notes

        assert do(home, "stop") == "ended: worker, server\n"
        assert LocalUi(home.folder / "ui", ROOT).address is None
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"{address}/api/health")
        assert do(home, "stop") == "nothing of ours runs\n"
        assert bystander.poll() is None
    finally:
        ui.stop()
        bystander.kill()
        bystander.wait()


def test_another_process_with_the_same_id_is_not_ours() -> None:
    kind, *_ = str(birth(os.getpid())).split()

    assert not Started(os.getpid(), f"{kind} another").may_live()
    assert not Started(0, "").may_live()
    assert Started(os.getpid(), str(birth(os.getpid()))).lives()


BIRTH = "import os, sys; from flows.server.local_ui import birth; print(birth(int(sys.argv[1])))"


def told(program: str, *arguments: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"], start_new_session=True)
    yield process
    process.kill()
    process.wait()


def test_a_process_is_known_again_in_another_time_zone_and_language(sleeper: subprocess.Popen[bytes]) -> None:
    here = birth(sleeper.pid)

    assert here
    assert told(BIRTH, str(sleeper.pid), TZ="Asia/Tokyo", LC_ALL="de_DE.UTF-8").strip() == here
    sleeper.kill()
    sleeper.wait()
    assert birth(sleeper.pid) == ""


# As on a machine that is no Linux, where `ps` is asked, or is not there.
ELSEWHERE = BIRTH.replace("; print", "; sys.platform = 'darwin'; print")


def test_ps_is_asked_for_words_of_no_time_zone_or_language(sleeper: subprocess.Popen[bytes], tmp_path: Path) -> None:
    (tmp_path / "ps").write_text('#!/bin/sh\necho "Ss   began in $TZ, told in $LC_ALL"\n')
    (tmp_path / "ps").chmod(0o755)
    here = {"PATH": str(tmp_path), "TZ": "Asia/Tokyo", "LC_ALL": "de_DE.UTF-8"}

    assert told(ELSEWHERE, str(sleeper.pid), **here) == "ps began in UTC, told in C\n"


def test_without_ps_nobody_can_tell_and_what_is_gone_is_gone(sleeper: subprocess.Popen[bytes], tmp_path: Path) -> None:
    assert told(ELSEWHERE, str(sleeper.pid), PATH=str(tmp_path)) == "None\n"
    sleeper.kill()
    sleeper.wait()
    assert told(ELSEWHERE, str(sleeper.pid), PATH=str(tmp_path)) == "\n"


@pytest.mark.parametrize("born", ["", "Thu Jan  1 00:00:00 1970"])
def test_what_may_still_run_stays_noted(sleeper: subprocess.Popen[bytes], tmp_path: Path, born: str) -> None:
    """Of the worker it is known that it runs, of the server only that a process has its id."""
    worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"], start_new_session=True)
    notes = {
        "address": "http://127.0.0.1:9",
        "server": {"pid": sleeper.pid, "born": born},
        "worker": {"pid": worker.pid, "born": birth(worker.pid)},
    }
    (tmp_path / "running.json").write_text(json.dumps(notes))
    ui = LocalUi(tmp_path, ROOT)

    with pytest.raises(PrefectUnreachable, match=rf"server \(process {sleeper.pid}\) may still run"):
        ui.stop()

    assert birth(worker.pid) == ""
    worker.wait(10)
    assert sleeper.poll() is None
    assert ui.address == "http://127.0.0.1:9"
    assert set(json.loads((tmp_path / "running.json").read_text())) == {"address", "server"}
    sleeper.kill()
    sleeper.wait()
    assert ui.stop() == []
    assert not (tmp_path / "running.json").exists()


def test_a_note_that_cannot_be_read_is_not_thrown_away(tmp_path: Path) -> None:
    (tmp_path / "running.json").write_text("{")

    with pytest.raises(PrefectUnreachable, match="cannot be read"):
        LocalUi(tmp_path, ROOT).stop()

    assert (tmp_path / "running.json").exists()


@pytest.mark.parametrize(("stops", "is_kept"), [("exit 1", True), ("rm .ui/running.json", False), (None, True)])
def test_clean_leaves_all_where_something_may_still_run(tmp_path: Path, stops: str | None, is_kept: bool) -> None:
    (tmp_path / ".ui").mkdir()
    (tmp_path / ".ui" / "running.json").write_text("{}")
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    if stops is not None:
        python = tmp_path / ".venv" / "bin" / "python"
        python.write_text(f"#!/bin/sh\n{stops}\n")
        python.chmod(0o755)

    shutil.copy(ROOT / "Makefile", tmp_path)

    done = subprocess.run(
        ["make", "clean"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode != 0) is is_kept, done.stderr
    assert (tmp_path / ".ui").exists() is (tmp_path / ".venv").exists() is is_kept
