"""Brings a database to this version's tables."""

import logging
from typing import Any

from sqlalchemy import Connection, inspect, text

from bridge.model.errors import Problem, SettingsError

HEAD = "0005"
"""The newest revision: a database that is there already needs no Alembic at start, which saves time and memory."""

_LOCK = 0x616D_7170_6272
"""Key of the advisory lock that replicas starting together queue up for."""


def migrate(connection: Connection) -> None:
    """Apply what is missing, within the connection's transaction; raises SettingsError for a newer database.

    One process does so at a time: with SQLite the transaction itself has locked the file.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
    revision = _revision(connection)
    if revision != HEAD:
        _upgrade(connection, revision)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _upgrade(connection: Connection, revision: str | None) -> None:
    from alembic import command

    config = alembic_config(connection)
    if revision is not None and revision not in _revisions(config):
        message = (
            f"the database was made by a newer version of amqp-bridge (revision {revision}, "
            f"this version knows up to {HEAD}); run that version, or use another database"
        )
        raise SettingsError([Problem("storage.url", message)])
    logging.getLogger("alembic").setLevel(logging.WARNING)
    command.upgrade(config, "head")


def alembic_config(connection: Connection) -> Any:
    """Alembic's configuration for our revisions on this connection."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "bridge.storage:migrations")
    config.attributes["connection"] = connection
    return config


def _revisions(config: Any) -> set[str]:
    from alembic.script import ScriptDirectory

    return {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
