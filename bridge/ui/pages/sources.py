"""Sources: the queues that are consumed, and what waits in them."""

from collections.abc import Mapping
from typing import Any

from bridge.ui.page import Page, View


async def _list(view: View) -> Mapping[str, Any]:
    inlets = await view.ask("inlets.list") if view.may("inlets.list") else None
    return {
        "found": await view.list("sources.list", ()),
        "inlets": inlets.document["items"] if inlets is not None and inlets.ok else None,
    }


PAGES = (
    Page(
        path="sources",
        section="sources",
        template="sources/list.html",
        show=_list,
        operations=("sources.list",),
        topics=("sources",),
        command="sources",
    ),
)
