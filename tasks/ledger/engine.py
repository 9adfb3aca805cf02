"""SQLite and PostgreSQL: the one module that knows how they differ.

Writing transactions are `BEGIN IMMEDIATE` in SQLite: whoever holds one is alone, and waits for its turn
before it reads. In PostgreSQL they are `READ COMMITTED`; what must not interleave locks a row first, and what
loses a race to a unique index starts again.
"""

from __future__ import annotations

import errno
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import (
    JSON,
    BigInteger,
    ColumnElement,
    Connection,
    Engine,
    Text,
    cast,
    create_engine,
    event,
    func,
    literal_column,
    text,
)
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

from tasks.errors import LedgerError, SettingsError, ShotchainError, StorageUnreachable
from tasks.local_path import local_path

__all__ = ["Database", "clock_us", "connect", "json_text", "lock_schema"]

T = TypeVar("T")

_BUSY_S = 60
_TRIES = 12
_ADVISORY = 0x73686F74  # any number that every shotchain agrees on
# What every SQLite knows, to the millisecond (`unixepoch('subsec')` is of 3.42, and Python may come with less);
# `now()` of PostgreSQL would be the moment at which the transaction began, and one may wait long for a lock.
_CLOCKS_US = {
    "sqlite": "(CAST(round((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000)",
    "postgresql": "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)",
}
_SERIALIZATION, _DEADLOCK, _DUPLICATE = "40001", "40P01", "23505"
# What SQLite calls an operational error, and PostgreSQL a mistake in the program: no such table or column, no right to
# do that, a server that only lets read.
_UNUSABLE = frozenset({"42P01", "42703", "42501", "25006"})


def connect(url: str, *, create: bool = True) -> Database:
    """The database at a path, `sqlite:///PATH` or `postgresql+psycopg://…`. Creates the folders of a path.

    Raises:
        SettingsError: it is none of these, or the driver for PostgreSQL is not installed, or there is no such file
            and none is to be created.
        StorageUnreachable: the folder cannot be created.
    """
    parsed = _parse(url)
    if parsed.get_backend_name() == "sqlite":
        path = Path(str(parsed.database))
        with _looking_at(path):
            is_there = path.exists()
        if not create and not is_there:
            raise SettingsError(
                f"there is no ledger at {path}",
                advice="Name another with --ledger or SHOTCHAIN_LEDGER. The first run makes one.",
            )
        _make_folder(path)
        return Database(_sqlite(parsed))
    try:
        engine = create_engine(
            parsed,
            isolation_level="READ COMMITTED",
            pool_pre_ping=True,
            pool_size=5,
            max_overflow=27,
            hide_parameters=True,
        )
    except ImportError as error:
        raise SettingsError(
            "a ledger in PostgreSQL needs a driver that is not installed",
            advice="Install it with `pip install 'shotchain[postgres]'`.",
        ) from error
    return Database(engine)


def lock_schema(connection: Connection) -> None:
    """Let one process at a time change the schema, until the transaction ends."""
    if connection.dialect.name == "postgresql":  # SQLite's writing transactions are alone anyway
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY})


def clock_us(connection: Connection) -> ColumnElement[int]:
    """The database's own time as SQL: microseconds since 1970. All who share a ledger share its clock."""
    return literal_column(_CLOCKS_US[connection.dialect.name], BigInteger)


def json_text(connection: Connection, column: ColumnElement[str], key: str) -> ColumnElement[str]:
    """What the JSON object in a column has under a key, as SQL; NULL where it has nothing."""
    if connection.dialect.name == "sqlite":
        return cast(func.json_extract(column, f"$.{key}"), Text)
    return cast(column, JSON).op("->>")(key)


class Database:
    """A database that does pieces of work, each in one transaction. Safe to use from many threads.

    `place` names it for people, without its password.
    """

    def __init__(self, engine: Engine) -> None:
        self.place = engine.url.render_as_string(hide_password=True)
        self._engine = engine
        self._writer = engine.execution_options(ledger_writes=True)
        self._is_sqlite = engine.dialect.name == "sqlite"
        # Threads of one process queue here, in turn, instead of polling SQLite's lock.
        self._turn: AbstractContextManager[Any] = threading.Lock() if self._is_sqlite else nullcontext()

    def prepare(self) -> None:
        """Let readers and a writer of a SQLite file work side by side. The file remembers it."""
        if not self._is_sqlite:
            return
        deadline = time.monotonic() + _BUSY_S
        while True:
            try:
                with self._turn:
                    self._enter_wal()
            except sqlite3.Error as error:
                # SQLite does not always wait for its lock here. Others may be opening the same new file.
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise StorageUnreachable(f"the ledger at {self.place} cannot be used: {error}") from error
            else:
                return
            time.sleep(0.02)

    def _enter_wal(self) -> None:
        raw = self._engine.raw_connection()  # outside any transaction: inside one SQLite cannot change this
        try:
            cursor = raw.cursor()
            cursor.execute("PRAGMA journal_mode = WAL")
            cursor.close()
        finally:
            raw.close()

    def read(self, work: Callable[[Connection], T]) -> T:
        """Do `work` on one consistent view of the database.

        Raises:
            StorageUnreachable: the database does not answer, or is damaged.
        """
        try:
            with self._engine.begin() as connection:
                return work(connection)
        except SQLAlchemyError as error:
            raise self._explained(error) from error

    def write(self, work: Callable[[Connection], T]) -> T:
        """Do `work` and commit it before returning. What lost a race is done again, from the start.

        Raises:
            LedgerError: the change would break a promise that the database itself keeps.
            StorageUnreachable: the database does not answer, is full, locked for too long, or read-only.
        """
        for tries_left in reversed(range(_TRIES)):
            try:
                with self._turn, self._writer.begin() as connection:
                    return work(connection)
            except SQLAlchemyError as error:
                # A lost connection is not tried again here: the commit may have arrived.
                if not tries_left or not _lost_a_race(error):
                    raise self._explained(error) from error
            time.sleep(random.uniform(0.002, 0.05))  # noqa: S311  # spreads out those who collided
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def _explained(self, error: SQLAlchemyError) -> ShotchainError | SQLAlchemyError:
        said = str(error.orig if isinstance(error, DBAPIError) else error).strip()
        state = getattr(error.orig, "sqlstate", None) if isinstance(error, DBAPIError) else None
        if isinstance(error, OperationalError | InterfaceError | PoolTimeout) or state in _UNUSABLE:
            return StorageUnreachable(
                f"the ledger at {self.place} cannot be used: {said}",
                advice="Check that the path can be written, or that the server runs and lets you in.",
            )
        if isinstance(error, IntegrityError):
            return LedgerError(f"the ledger at {self.place} refused a change: {said}")
        if type(error) is DatabaseError:
            return SettingsError(
                f"{self.place} is not a ledger, or it is damaged: {said}",
                advice="Name another file, or restore this one from a copy.",
            )
        return error


def _parse(url: str) -> URL:
    if not url.strip():
        raise SettingsError("the ledger has no place: its path or URL is empty")
    accepted = "a path, sqlite:///PATH or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE"
    try:
        parsed = make_url(url) if "://" in url else URL.create("sqlite", database=str(local_path(url)))
    except (ArgumentError, ValueError):
        # The cause would show what it could not read, and that may be a password.
        raise SettingsError("the ledger's URL cannot be read", advice=f"Give {accepted}.") from None
    if parsed.drivername in ("postgres", "postgresql"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    shown = parsed.render_as_string(hide_password=True)
    if parsed.drivername not in ("sqlite", "sqlite+pysqlite", "postgresql+psycopg"):
        raise SettingsError(f"a ledger cannot be kept at {shown}", advice=f"Give {accepted}.")
    if parsed.get_backend_name() == "sqlite" and (not parsed.database or ":memory:" in parsed.database):
        raise SettingsError(
            f"a ledger cannot be kept in memory ({shown}): it would forget what was paid",
            advice=f"Give {accepted}.",
        )
    return parsed


@contextmanager
def _looking_at(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        said = error.strerror or str(error)
        if error.errno == errno.ENAMETOOLONG:
            raise SettingsError(f"no ledger can be kept at {path}: {said}", advice="Name another file.") from error
        raise StorageUnreachable(f"the ledger at {path} cannot be looked at: {said}") from error


def _make_folder(path: Path) -> None:
    with _looking_at(path):
        is_folder = path.is_dir()
    if is_folder:
        raise SettingsError(f"the ledger's path {path} is a folder", advice="Name a file in it.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageUnreachable(f"the ledger's folder {path.parent} cannot be created: {error}") from error


def _sqlite(url: URL) -> Engine:
    engine = create_engine(
        url,
        connect_args={"timeout": _BUSY_S, "check_same_thread": False},
        pool_size=5,
        max_overflow=-1,  # a thread that waits for its turn holds no connection; readers are never refused
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver begins nothing by itself: `_begin` does
        for pragma in ("foreign_keys = ON", "synchronous = FULL"):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("ledger_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _lost_a_race(error: SQLAlchemyError) -> bool:
    if not isinstance(error, DBAPIError):
        return False
    return getattr(error.orig, "sqlstate", None) in (_SERIALIZATION, _DEADLOCK, _DUPLICATE)
