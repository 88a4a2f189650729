"""All pages and actions: a new module is registered here."""

from collections.abc import Sequence

from bridge.ui.page import Action, Page
from bridge.ui.pages import (
    audit,
    deliveries,
    deliveries_many,
    events,
    explain,
    find,
    hooks,
    now,
    quarantine,
    quarantine_bulk,
    replays,
    sources,
    statistics,
    system,
)

_MODULES = (
    now,
    deliveries,
    deliveries_many,
    events,
    hooks,
    quarantine,
    quarantine_bulk,
    replays,
    sources,
    statistics,
    audit,
    system,
    explain,
    find,
)
"""Each has PAGES, and ACTIONS if it has forms."""

PAGES: Sequence[Page] = tuple(page for module in _MODULES for page in module.PAGES)
ACTIONS: Sequence[Action] = tuple(action for module in _MODULES for action in getattr(module, "ACTIONS", ()))
