"""The addresses of all pages of the UI, from the pages that are registered."""

from collections.abc import Sequence

from bridge.ui.pages import PAGES
from tests.ui_check.seed import GOOD
from tests.ui_check.subject import Subject

MORE = {
    "deliveries": ("deliveries?panel={deliveries}", "deliveries?status=FAILED&type=nothing.has.this"),
    "deliveries/{id}": ("deliveries/{deliveries}?request=1",),
    "deliveries/many": ("deliveries/many?do=retry&status=RETRYING",),
    "events": ("events?type=nothing.has.this", "events?where=event.data.%2B"),
    "events/{id}": ("events/{events}?panel={deliveries}",),
    "hooks": ("hooks?q=nothing-has-this",),
    "quarantine/{id}": ("quarantine/{quarantine}?fix=1",),
    "replays/new": ("replays/new?count=1&hook=ui-check-good",),
    "find": ("find?q=ui-check", "find?q=nothing-has-this"),
}
"""Further states of pages: a panel, empty, a fault in a filter."""


def paths(subject: Subject) -> Sequence[str]:
    """All paths below /ui/ with ids of what was seeded, without those for which nothing was."""
    ids = {name: value for name, value in subject.seeded.items() if isinstance(value, str)}
    found: list[str] = []
    for page in PAGES:
        section = page.path.partition("/")[0]
        which = {"hooks": subject.seeded["hooks"][GOOD], "replays": ids.get("replay", "")}.get(
            section, ids.get(section, "")
        )
        if "{id}" in page.path and not which:
            continue
        found.append(page.path.replace("{id}", which))
        found += [
            each.format(**ids)
            for each in MORE.get(page.path, ())
            if "{quarantine}" not in each or ids["quarantine"]
        ]
    return [*dict.fromkeys(found)]
