"""What a database promises: one winner, all or nothing, kept through a kill. With threads and real processes."""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, literal, select, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from tasks.errors import LedgerError, OverBudget, SettingsError, ShotchainError, StorageUnreachable
from tasks.ledger import Attempt, Ledger, State, Wanted, open_ledger
from tasks.ledger.engine import Database, connect
from tasks.ledger.schema import METADATA, attempts, runs
from tests.ledger.races import PROLOGUE, Child, race

pytestmark = pytest.mark.thorough

Begin = Callable[..., str]
Want = Callable[..., Wanted]


def test_of_four_processes_exactly_one_submits_each_attempt(
    url: str, ledger: Ledger, begin: Begin, want: Want, child: Child
) -> None:
    made = ledger.reserve(begin(), [want(f"{n}") for n in range(50)])
    program = """
ledger = open_ledger(sys.argv[1])
uuids = [attempt.task_uuid for attempt in ledger.attempts()]
GO
won = [u for u in uuids if ledger.move(u, State.SUBMITTED, expect={State.RESERVED})]
print(json.dumps(won))
"""
    won = Counter(task_uuid for each in race(child, program, [(url,)] * 4) for task_uuid in each)
    assert won == Counter(attempt.task_uuid for attempt in made)
    assert {attempt.posts for attempt in ledger.attempts()} == {1}


def test_of_four_processes_that_want_the_same_one_reserves_and_the_others_adopt(
    url: str, ledger: Ledger, begin: Begin, child: Child
) -> None:
    names = [f"run {n}" for n in range(4)]
    for name in names:
        begin(name)
    program = """
ledger = open_ledger(sys.argv[1])
GO
got = [ledger.reserve(sys.argv[2], [want(f"{n + k}") for k in range(3)])[0].task_uuid for n in range(20)]
print(json.dumps(got))
"""
    got = race(child, program, [(url, name) for name in names])
    assert got[0] == got[1] == got[2] == got[3]
    assert len(ledger.attempts()) == 22
    held = sum((ledger.totals(name).held_usd for name in names), Decimal(0))
    assert held == Decimal("0.42") * 22


def test_four_processes_cannot_together_pass_one_budget(url: str, ledger: Ledger, begin: Begin, child: Child) -> None:
    run = begin(budget="4.20")
    program = """
ledger, fits = open_ledger(sys.argv[1]), []
GO
for n in range(10):
    try:
        fits.append(ledger.reserve("run", [want(f"{sys.argv[2]} {n}")])[0].task_uuid)
    except OverBudget:
        pass
print(json.dumps(fits))
"""
    fits = race(child, program, [(url, f"{n}") for n in range(4)])
    assert sum(map(len, fits)) == len(ledger.attempts()) == 10
    assert ledger.totals(run).held_usd == Decimal("4.20")


def test_threads_share_one_ledger(ledger: Ledger, begin: Begin, want: Want) -> None:
    run = begin(budget="8.40")
    start = threading.Barrier(8)

    def work(name: int) -> list[str]:
        start.wait()
        won = []
        for n in range(20):
            try:
                (attempt,) = ledger.reserve(run, [want(f"{n + name % 2}")])
            except OverBudget:
                continue
            if ledger.move(attempt.task_uuid, State.SUBMITTED, expect={State.RESERVED}):
                won.append(attempt.task_uuid)
        return won

    with ThreadPoolExecutor(8) as pool:
        won = [task_uuid for each in pool.map(work, range(8)) for task_uuid in each]
    assert len(won) == len(set(won)) == len(ledger.attempts()) == 20
    assert ledger.totals(run).held_usd == Decimal("8.40")


def killed(child: Child, url: str, program: str) -> str:
    """Run a program until its first line, kill it, and return that line."""
    process = child(PROLOGUE + program + "\ntime.sleep(60)", url)
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    process.kill()
    process.communicate()
    return line


@pytest.mark.parametrize(
    ("then", "state"),
    [("", State.RESERVED), ("ledger.move(attempt.task_uuid, State.SUBMITTED)", State.SUBMITTED)],
)
def test_what_returned_is_kept_through_a_kill(
    *, url: str, ledger: Ledger, begin: Begin, child: Child, then: str, state: State
) -> None:
    begin()
    program = f"""
ledger = open_ledger(sys.argv[1])
(attempt,) = ledger.reserve("run", [want("key")])
{then}
print(attempt.task_uuid, flush=True)
"""
    found = ledger.attempt(killed(child, url, program))
    assert found is not None
    assert found.state is state


def test_what_was_not_committed_is_gone_and_blocks_nobody(
    url: str, ledger: Ledger, begin: Begin, want: Want, child: Child
) -> None:
    begin()
    program = """
from tasks.ledger.reserve import reserve
def half(connection):
    reserve(connection, "run", [want("key")])
    print("half", flush=True)
    time.sleep(60)
connect(sys.argv[1]).write(half)
"""
    assert killed(child, url, program) == "half"
    assert ledger.attempts() == []
    assert len(ledger.reserve("run", [want("key")])) == 1


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    opened = connect(url)
    yield opened
    opened.close()


@pytest.fixture
def file(path: Path) -> Iterator[Database]:
    opened = connect(str(path))
    yield opened
    opened.close()


def test_sqlite_is_set_up_for_money(file: Database) -> None:
    names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
    found = file.read(lambda c: {name: c.execute(text(f"PRAGMA {name}")).scalar() for name in names})
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 60_000}


def test_a_writing_transaction_holds_the_lock_before_it_reads(file: Database, path: Path) -> None:
    def write(_: object) -> None:
        other = sqlite3.connect(path, timeout=0, isolation_level=None)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        other.execute("SELECT count(*) FROM attempts").close()  # readers are not in the way
        other.close()

    file.write(write)


def test_an_error_in_the_middle_undoes_everything(database: Database, ledger: Ledger) -> None:
    def work(connection: Connection) -> None:
        row = {"run_id": "half", "provider": "emulator", "storyboard": "", "started_at": 0}
        connection.execute(insert(runs).values(row))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        database.write(work)
    assert ledger.runs() == []


@pytest.mark.parametrize(
    ("state", "number", "run_id"),
    [("accepted", 2, "run"), ("stored", 1, "run"), ("stored", 2, "nobody")],
    ids=["a second live attempt", "a number given twice", "a run that was never begun"],
)
def test_the_database_itself_refuses(
    *, database: Database, ledger: Ledger, begin: Begin, want: Want, state: str, number: int, run_id: str
) -> None:
    (held,) = ledger.reserve(begin(), [want("key")])
    columns = [column for column in attempts.c if column.name not in {"task_uuid", "state", "number", "run_id"}]
    facts = {"task_uuid": "other", "state": state, "number": number, "run_id": run_id}
    other = [literal(value).label(name) for name, value in facts.items()]
    copy = select(*columns, *other).where(attempts.c.task_uuid == held.task_uuid)
    names = [column.name for column in copy.selected_columns]
    with pytest.raises(LedgerError, match="refused a change"):
        database.write(lambda connection: connection.execute(insert(attempts).from_select(names, copy)))
    assert len(ledger.attempts()) == 1


def test_ended_attempts_do_not_hold_their_key(ledger: Ledger, attempt_in: Callable[..., Attempt], want: Want) -> None:
    for _ in range(3):
        attempt_in(State.FAILED)
    assert [attempt.number for attempt in ledger.attempts()] == [1, 2, 3]


def test_postgresql_gets_the_same_promises() -> None:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    said = [
        str(CreateIndex(index).compile(dialect=dialect))
        for index in sorted(attempts.indexes, key=lambda index: str(index.name))
    ]
    assert any("UNIQUE" in line and "WHERE state IN ('reserved', 'submitted'" in line for line in said)
    assert any("UNIQUE" in line and "(provider, content_key, number)" in line for line in said)
    for table in METADATA.sorted_tables:
        assert "BIGINT" in str(CreateTable(table).compile(dialect=dialect))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "  ",
        "mysql://host/db",
        "sqlite://",
        "sqlite:///:memory:",
        ":memory:",
        "postgresql+asyncpg://h/d",
        "http://x:y:z/",
    ],
)
def test_a_url_that_no_ledger_can_have(url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError):
        open_ledger(url)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_no_ledger(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="is a folder"):
        open_ledger(str(tmp_path))


@pytest.mark.parametrize("create", [True, False])
def test_a_path_that_is_none(tmp_path: Path, create: bool) -> None:
    with pytest.raises(SettingsError, match="no ledger can be kept at"):
        open_ledger(str(tmp_path / ("x" * 300)), create=create)
    with pytest.raises(SettingsError, match="names the home folder of a user"):
        open_ledger("~nobody-of-that-name/ledger.db", create=create)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageUnreachable, match="cannot be created"):
        open_ledger(str(tmp_path / "file" / "ledger.db"))


def test_a_server_that_is_not_there_or_not_to_be_spoken_to_keeps_its_password() -> None:
    # Without the driver for PostgreSQL the answer is another, and as clear.
    with pytest.raises((StorageUnreachable, SettingsError)) as refused:
        open_ledger("postgresql+psycopg://me:hunter2@127.0.0.1:9/films?connect_timeout=2")
    assert isinstance(refused.value, ShotchainError)
    assert "hunter2" not in str(refused.value)
    assert refused.value.advice


def test_a_ledger_that_vanishes_under_way_is_a_storage_that_cannot_be_reached(
    ledger: Ledger, change: Callable[..., object], begin: Begin
) -> None:
    change("ALTER TABLE attempts RENAME TO gone")
    with pytest.raises(StorageUnreachable, match="cannot be used"):
        ledger.attempts()


@pytest.mark.parametrize("form", ["{}", "sqlite:///{}"])
def test_who_only_reads_makes_no_ledger(tmp_path: Path, path: Path, form: str) -> None:
    absent = tmp_path / "new" / "none.db"
    with pytest.raises(SettingsError, match="there is no ledger at") as caught:
        open_ledger(form.format(absent), create=False)
    assert caught.value.exit_code == 2
    assert not absent.parent.exists()
    with open_ledger(form.format(path), create=False) as opened:
        assert opened.attempts() == []
