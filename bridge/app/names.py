"""Names in requests, made from the parts: what is configured, and what the history knows of."""

from bridge.admin.look_names import Names
from bridge.app.parts import Parts
from bridge.http.api_names import AskedNames
from bridge.rules.statistics.dimensions import dimensions_of
from bridge.storage.history import SqlHistory


def asked_names(parts: Parts, history: SqlHistory) -> AskedNames:
    """Names as parameters have them."""
    return AskedNames(names_of(parts, history), history)


def names_of(parts: Parts, history: SqlHistory) -> Names:
    """Names of hooks, sources and event types."""
    return Names(parts.in_force, parts.settings.sources, history)


def dimension_names(parts: Parts) -> list[str]:
    """Names of the dimensions that sources have."""
    return sorted({name for source in parts.settings.sources for name in dimensions_of(source)})
