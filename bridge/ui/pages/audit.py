"""Audit: who changed what, and from where."""

from collections.abc import Iterator, Mapping
from typing import Any

from bridge.bodies.exact import json_text
from bridge.ui.page import Page, View

FILTERS = ("actor", "action", "object_type", "object_id", "from", "to")
_PLACES = {"hook": "hooks", "delivery": "deliveries", "replay": "replays", "quarantine": "quarantine"}
_SHORT = 80
"""Characters of a value that a row shows."""


async def _list(view: View) -> Mapping[str, Any]:
    found = await view.list("audit.list", FILTERS)
    return {
        "found": found,
        "filters": FILTERS,
        "place": _place,
        "changes": lambda entry: list(_changes(entry["detail"])),
        "long": lambda told: any(len(value) > _SHORT for _, *values in told for value in values if value),
    }


def _place(entry: Mapping[str, Any]) -> str:
    """Returns the path of the changed object's page; empty text if there is none."""
    kind = _PLACES.get(entry["object_type"])
    return f"{kind}/{entry['object_id']}" if kind and entry["object_id"] else ""


def _changes(detail: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str, str | None]]:
    """Yields name, value, and for a change the value before."""
    for name, value in detail.items():
        if isinstance(value, Mapping) and value.keys() == {"before", "after"}:
            yield path + name, _told(value["after"]), _told(value["before"])
        elif isinstance(value, Mapping) and value and not path:
            yield from _changes(value, f"{name}.")
        else:
            yield path + name, _told(value), None


def _told(value: Any) -> str:
    return value if isinstance(value, str) else json_text(value)


PAGES = (
    Page(
        path="audit",
        section="audit",
        template="audit/list.html",
        show=_list,
        operations=("audit.list",),
        command="audit",
        options={
            "actor": "--actor",
            "action": "--action",
            "object_type": "--object-type",
            "object_id": "--object-id",
            "from": "--since",
            "to": "--until",
        },
        export="audit.list",
    ),
)
