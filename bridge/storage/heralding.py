"""How hooks fare, and what was told of it: the port Standings (bridge.ports.herald) on a database."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from sqlalchemy import Connection, func, select, update

from bridge.rules.meta.standing import Standing
from bridge.storage.admin_tables import hook_health as health
from bridge.storage.admin_tables import hooks
from bridge.storage.engines.engine import Engine
from bridge.storage.tables import hook_states, quarantine

_FIELDS = (
    health.c.hook,
    health.c.failing_since,
    health.c.last_failure_at,
    health.c.last_success_at,
    health.c.failed_attempts,
    health.c.warned,
    health.c.warned_since,
)


class SqlStandings:
    """The port Standings."""

    def __init__(self, engine: Engine) -> None:
        """The engine's database has this version's tables."""
        self._engine = engine

    async def standings(self) -> Sequence[Standing]:
        return await self._engine.read(_standings)

    async def told(self, before: Standing, level: int, since: float | None) -> bool:
        return await self._engine.write(partial(_remember, before=before, level=level, since=since))

    async def quarantined(self, since: float) -> Mapping[str, int]:
        return await self._engine.read(partial(_quarantined, since=since))


def _standings(connection: Connection) -> list[Standing]:
    wanted = (
        select(*_FIELDS, hook_states.c.changed_at, hooks.c.updated_at)
        .select_from(health)
        .outerjoin(hook_states, hook_states.c.hook == health.c.hook)
        .outerjoin(hooks, hooks.c.id == health.c.hook)
        .where(health.c.failing_since.is_not(None) | (health.c.warned > 0))
    )
    return [_standing(row) for row in connection.execute(wanted)]


def _standing(row: Sequence[Any]) -> Standing:
    *fields, said_at, changed_at = row
    return replace(Standing(*fields), attended_at=max(said_at or 0.0, changed_at or 0.0))


def _remember(connection: Connection, before: Standing, level: int, since: float | None) -> bool:
    change = (
        update(health)
        .where(
            health.c.hook == before.hook,
            health.c.warned == before.warned,
            health.c.warned_since.is_not_distinct_from(before.warned_since),
        )
        .values(warned=level, warned_since=since)
    )
    return connection.execute(change).rowcount == 1


def _quarantined(connection: Connection, since: float) -> dict[str, int]:
    wanted = (
        select(quarantine.c.source, func.count().label("messages"))
        .where(quarantine.c.quarantined_at >= since)
        .group_by(quarantine.c.source)
    )
    return {row.source: row.messages for row in connection.execute(wanted)}
