"""The migration of a database to this version's tables."""

import logging
from typing import Any

from sqlalchemy import Column, Connection, MetaData, String, Table, inspect, text

from bridge.core.errors import Problem, SettingsError
from bridge.db import admin_tables  # noqa: F401 - they put their tables into `metadata`
from bridge.db.engine import HEAD, misfit
from bridge.db.tables import metadata

OURS = frozenset(metadata.tables)
"""The names of this version's tables."""
_SQUASHED = "0009"
"""The revision that migrates a history of any older revision: Alembic need not know those."""
_VERSION = Table(
    "alembic_version", MetaData(), Column("version_num", String(32), primary_key=True, nullable=False)
)
_LOCK = 0x616D_7170_6272
"""The key of the advisory lock for which replicas that start together wait."""


def migrate(connection: Connection) -> None:
    """Migrates within the connection's transaction; raises SettingsError for a newer database.

    One process does so at a time: with SQLite the transaction itself has locked the file.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
    tables = frozenset(inspect(connection).get_table_names())
    revision = _revision(connection) if "alembic_version" in tables else None
    ours = None if connection.dialect.name == "sqlite" else OURS
    if unfit := misfit(tables, revision, ours):
        raise SettingsError([Problem("storage.url", unfit)])
    if revision is None:
        _create(connection)
    elif revision != HEAD:
        if revision < _SQUASHED:
            connection.execute(text("DELETE FROM alembic_version"))
        _upgrade(connection)


def _revision(connection: Connection) -> str | None:
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _create(connection: Connection) -> None:
    """Creates all tables, as the revisions would: without Alembic, which takes 8 MB and 0.3 s to load."""
    metadata.create_all(connection)
    _VERSION.create(connection, checkfirst=True)
    connection.execute(_VERSION.insert().values(version_num=HEAD))


def _upgrade(connection: Connection) -> None:
    from alembic import command

    config = alembic_config(connection)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    command.upgrade(config, "head")


def alembic_config(connection: Connection) -> Any:
    """Returns Alembic's configuration for these revisions on this connection."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "bridge.db:migrations")
    config.attributes["connection"] = connection
    return config
