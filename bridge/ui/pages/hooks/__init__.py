"""The pages of hooks."""

from collections.abc import Sequence

from bridge.ui.page import Action, Page
from bridge.ui.pages.hooks import editor, history, listing, one, secrets, switches

PAGES: Sequence[Page] = (
    *listing.PAGES,
    *editor.PAGES,
    *one.PAGES,
    *secrets.PAGES,
    *history.PAGES,
    *switches.PAGES,
)
ACTIONS: Sequence[Action] = (
    *listing.ACTIONS,
    *editor.ACTIONS,
    *secrets.ACTIONS,
    *history.ACTIONS,
    *switches.ACTIONS,
)
