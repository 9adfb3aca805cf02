"""Opening a ledger: new, old, current, newer, and what is none."""

from __future__ import annotations

import logging
import sqlite3
import subprocess
from collections.abc import Callable
from decimal import Decimal
from importlib.resources import files
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from tasks.errors import LedgerTooNew, SettingsError
from tasks.ledger import LIVE, PAID, State, Wanted, open_ledger
from tasks.ledger.schema import METADATA, REVISIONS, VERSION_TABLE
from tests.ledger.races import race
from tests.postgres import Postgres

Child = Callable[..., subprocess.Popen[str]]


def schema_of(path: Path) -> set[tuple[str, str]]:
    """Every table and index with its columns and conditions, however it was written."""
    with sqlite3.connect(path) as database:
        rows = database.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    database.close()
    return {(name, " ".join(sql.split()).replace(" ,", ",")) for name, sql in rows if name != "ledger_version"}


def version_of(path: Path) -> list[tuple[str]]:
    with sqlite3.connect(path) as database:
        rows = database.execute("SELECT version_num FROM ledger_version").fetchall()
    database.close()
    return rows


def change(path: Path, *statements: str) -> None:
    with sqlite3.connect(path) as database:
        for statement in statements:
            database.execute(statement)
    database.close()


def test_a_new_ledger_is_made_with_its_folders(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b%20c" / "ledger.db"
    open_ledger(str(path)).close()
    assert version_of(path) == [(REVISIONS[-1],)]


def test_a_path_and_a_url_are_the_same_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with open_ledger(f"sqlite:///{path}") as ledger:
        ledger.begin_run(run_id="run", provider="emulator", account="", storyboard="", budget_usd=None)
    with open_ledger(str(path)) as ledger:
        assert ledger.run("run") is not None


def test_the_migrations_arrive_at_the_tables_that_the_code_uses(path: Path, tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'direct.db'}")
    METADATA.create_all(engine)
    engine.dispose()
    assert schema_of(path) == schema_of(tmp_path / "direct.db")


def test_the_known_versions_are_those_of_the_migrations() -> None:
    scripts = ScriptDirectory(str(files("tasks.ledger") / "migrations"))
    assert [script.revision for script in scripts.walk_revisions()][::-1] == list(REVISIONS)


@pytest.mark.parametrize("before", [(), ("CREATE TABLE ledger_version (version_num VARCHAR(32) NOT NULL)",)])
def test_an_older_ledger_is_upgraded_by_opening_it(path: Path, tmp_path: Path, before: tuple[str, ...]) -> None:
    old = tmp_path / "old.db"
    change(old, "CREATE TABLE somebody_elses (id INTEGER)", *before)
    open_ledger(str(old)).close()
    assert version_of(old) == [(REVISIONS[-1],)]
    assert schema_of(path) <= schema_of(old)


# One row of each state, as the first version of the schema keeps them.
OLD_RUN = (
    "INSERT INTO runs (run_id, provider, storyboard, budget_micro, started_at) VALUES ('old', 'emulator', '', 0, 1)"
)
OLD_ATTEMPT = (
    "INSERT INTO attempts (task_uuid, number, provider, run_id, storyboard, shot, take, model, content_key, state,"
    " request, reserved_micro, cost_micro, charged, posts, result, created_at, updated_at, accepted_at) VALUES"
    " ('{state}', 1, 'emulator', 'old', '', '{state}', 1, 'kling', '{state}', '{state}',"
    """ '{{"seed": 0.5}}', 420000, 410000, 'yes', 1, '{{"cost": 0.41}}', 1, 2, 3)"""
)


def old_ledger(path: Path) -> Path:
    make_old(f"sqlite:///{path}")
    return path


def make_old(url: str) -> None:
    """A ledger as its first version left it."""
    engine = create_engine(url)
    config = Config()
    config.set_main_option("script_location", str(files("tasks.ledger") / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        for statement in (OLD_RUN, *(OLD_ATTEMPT.format(state=state) for state in State)):
            connection.exec_driver_sql(statement)
    engine.dispose()


def test_an_upgrade_keeps_every_attempt_as_it_is(path: Path, tmp_path: Path) -> None:
    old = old_ledger(tmp_path / "old.db")
    assert version_of(old) == [("0001",)]
    with open_ledger(str(old)) as ledger:
        attempts = {attempt.state: attempt for attempt in ledger.attempts()}
        assert set(attempts) == set(State)
        for state, attempt in attempts.items():
            assert (attempt.task_uuid, attempt.posts, attempt.driver) == (state, 1, None)
            assert (attempt.reserved_usd, attempt.cost_usd) == (Decimal("0.42"), Decimal("0.41"))
            assert (attempt.request, attempt.result) == ({"seed": Decimal("0.5")}, {"cost": Decimal("0.41")})
    assert version_of(old) == [(REVISIONS[-1],)]
    assert schema_of(old) == schema_of(path)


def test_an_old_ledger_on_postgresql_arrives_at_the_same_tables(postgres: Postgres) -> None:
    url = postgres.create()
    make_old(url)
    with open_ledger(url) as ledger:
        assert {attempt.state for attempt in ledger.attempts()} == set(State)
        (run,) = ledger.runs()
        assert (run.run_id, run.tags, run.deployment, run.shot_budget_usd) == ("old", {}, None, None)
        assert ledger.budget_states("emulator", "old")[0].spent_usd == Decimal("0.41") * 5  # and `unknown`, as charged
    engine = create_engine(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert context.get_current_revision() == REVISIONS[-1]
        assert compare_metadata(context, METADATA) == []
    engine.dispose()
    postgres.drop(url)


def test_processes_that_open_the_same_new_ledger_on_postgresql_all_get_it(postgres: Postgres, child: Child) -> None:
    program = """
ledger = open_ledger(sys.argv[1])
ledger.begin_run(run_id=sys.argv[2], provider="emulator", account="", storyboard="", budget_usd=None)
print("0")
ledger.close()
"""
    url = postgres.create()
    race(child, "GO\n" + program, [(url, f"{n}") for n in range(4)])
    with open_ledger(url) as ledger:
        assert sorted(run.run_id for run in ledger.runs()) == ["0", "1", "2", "3"]
    postgres.drop(url)


def test_what_an_old_run_has_left_is_gone_on_with(tmp_path: Path) -> None:
    with open_ledger(str(old_ledger(tmp_path / "old.db"))) as ledger:
        ledger.begin_run(run_id="new", provider="emulator", account="", storyboard="", budget_usd=None)
        ledger.hold_lease("new", 60)
        wanted = [Wanted(state, state, 1, "kling", Decimal("0.42"), {}) for state in State]
        got = dict(zip(State, ledger.reserve("new", wanted), strict=True))
        # Nobody holds a lease for the old run: what it had reserved is free, what it had sent is adopted.
        adopted = {state for state, attempt in got.items() if attempt.run_id == "old"}
        assert adopted == (LIVE | PAID) - {State.RESERVED}
        assert ledger.take_wheel(State.ACCEPTED, "new") is not None


def test_a_newer_ledger_is_left_untouched(path: Path) -> None:
    change(path, "UPDATE ledger_version SET version_num = '9999'")
    before = path.read_bytes()
    with pytest.raises(LedgerTooNew, match="9999") as refused:
        open_ledger(str(path))
    assert refused.value.exit_code == 2
    assert "Upgrade shotchain" in str(refused.value)
    assert path.read_bytes() == before


def test_somebody_elses_database_is_left_untouched(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    change(path, "CREATE TABLE runs (id INTEGER)")
    before = path.read_bytes()
    with pytest.raises(SettingsError, match="`runs` of somebody else"):
        open_ledger(str(path))
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_left_untouched(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(b"not a database at all " * 100)
    with pytest.raises(SettingsError, match="not a ledger"):
        open_ledger(str(path))
    assert path.read_bytes() == b"not a database at all " * 100


def test_an_upgrade_that_fails_leaves_nothing_half_done(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    # The name of the last index is taken, so the migration fails at its end.
    change(path, "CREATE TABLE t (id INTEGER)", "CREATE INDEX attempts_of_run ON t (id)")
    with pytest.raises(Exception, match="attempts_of_run already exists"):
        open_ledger(str(path))
    assert {name for name, _ in schema_of(path)} == {"t", "attempts_of_run"}
    change(path, "DROP INDEX attempts_of_run")
    open_ledger(str(path)).close()
    assert version_of(path) == [(REVISIONS[-1],)]


def test_opening_says_nothing_and_leaves_logging_alone(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before = (root.level, list(root.handlers), logging.getLogger("alembic").level)
    open_ledger(str(tmp_path / "ledger.db")).close()
    assert (root.level, root.handlers, logging.getLogger("alembic").level) == before
    assert capfd.readouterr() == ("", "")


def test_processes_that_open_the_same_new_ledger_all_get_it(tmp_path: Path, child: Child) -> None:
    program = """
import sys
from tasks.ledger import open_ledger
sys.stdin.readline()
ledger = open_ledger(sys.argv[1])
ledger.begin_run(run_id=sys.argv[2], provider="emulator", account="", storyboard="", budget_usd=None)
ledger.close()
"""
    path = tmp_path / "ledger.db"
    children = [child(program, str(path), f"{n}") for n in range(4)]
    for process in children:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in children:
        process.communicate(timeout=50)
    assert [process.returncode for process in children] == [0] * 4
    with open_ledger(str(path)) as ledger:
        assert sorted(run.run_id for run in ledger.runs()) == ["0", "1", "2", "3"]


def test_libraries_are_loaded_only_when_they_are_needed(path: Path, child: Child) -> None:
    program = """
import sys
import tasks.ledger
assert not {"sqlalchemy", "alembic"} & set(sys.modules)
tasks.ledger.open_ledger(sys.argv[1]).close()
assert "alembic" not in sys.modules
"""
    process = child(program, str(path))
    process.communicate(timeout=50)
    assert process.returncode == 0


def test_the_package_offers_what_it_names() -> None:
    import tasks.ledger as package

    assert all(hasattr(package, name) for name in package.__all__)
    assert package.Ledger.__name__ == "Ledger"
    assert Wanted is package.Wanted
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = package.nothing
