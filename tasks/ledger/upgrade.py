"""Create the tables, or bring an older ledger to them; refuse what is newer, or no ledger at all."""

from __future__ import annotations

from importlib.resources import as_file, files

from sqlalchemy import Connection, inspect, text

from tasks.errors import LedgerTooNew, SettingsError
from tasks.ledger.engine import Database, lock_schema
from tasks.ledger.schema import METADATA, REVISIONS, VERSION_TABLE

__all__ = ["bring_up_to_date"]


def bring_up_to_date(database: Database) -> None:
    """Make the schema of `database` the current one.

    Raises:
        LedgerTooNew: a newer shotchain wrote it; it is left untouched.
        SettingsError: it is a database, but not a ledger.
        StorageUnreachable: see `Database.write`.
    """
    current = database.read(lambda connection: _is_current(connection, database.place))
    database.prepare()
    if not current:
        database.write(lambda connection: _upgrade(connection, database.place))


def _is_current(connection: Connection, place: str) -> bool:
    tables = set(inspect(connection).get_table_names())
    if VERSION_TABLE not in tables:
        if alien := tables & set(METADATA.tables):
            raise SettingsError(
                f"{place} is a database, but not a ledger: it has a table `{min(alien)}` of somebody else",
                advice="Name another file or another database for the ledger.",
            )
        return False
    version = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608  # our own constant
    if version is not None and version not in REVISIONS:
        raise LedgerTooNew(
            f"the ledger at {place} was written by a newer shotchain (its version is {version})",
            advice=f"Upgrade shotchain; this one knows version {REVISIONS[-1]}. The ledger was not touched.",
        )
    return bool(version == REVISIONS[-1])


def _upgrade(connection: Connection, place: str) -> None:
    lock_schema(connection)
    if _is_current(connection, place):  # another process may have come first
        return
    # Loaded here alone: a ledger that is current opens without alembic.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    with as_file(files("tasks.ledger") / "migrations") as folder:
        config = Config()
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
