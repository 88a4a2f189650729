"""The pages of hooks."""

from collections.abc import Sequence

from bridge.ui.page import Action, Page
from bridge.ui.pages.hooks import listing, one, switches

PAGES: Sequence[Page] = (*listing.PAGES, *one.PAGES, *switches.PAGES)
ACTIONS: Sequence[Action] = (*listing.ACTIONS, *switches.ACTIONS)
