"""All pages and actions: a new one is registered here."""

from collections.abc import Sequence

from bridge.ui.page import Action, Page
from bridge.ui.pages import (
    deliveries,
    events,
    find,
    hooks,
    now,
    quarantine,
    quarantine_bulk,
    replays,
    sources,
)

PAGES: Sequence[Page] = (
    *now.PAGES,
    *deliveries.PAGES,
    *events.PAGES,
    *find.PAGES,
    *hooks.PAGES,
    *quarantine.PAGES,
    *quarantine_bulk.PAGES,
    *replays.PAGES,
    *sources.PAGES,
)
ACTIONS: Sequence[Action] = (
    *deliveries.ACTIONS,
    *events.ACTIONS,
    *hooks.ACTIONS,
    *quarantine.ACTIONS,
    *quarantine_bulk.ACTIONS,
    *replays.ACTIONS,
)
