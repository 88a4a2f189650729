"""The description of the API, from the parts of a bridge that is made and never started."""

import asyncio
import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
from prometheus_client import CollectorRegistry

from bridge.app.api import Actions, Repeating, make_api
from bridge.app.connections import make_links
from bridge.app.parts import Resources
from bridge.app.stages import Parts
from bridge.core.base import new_id
from bridge.history.history import SqlHistory, open_history
from bridge.hooks.reloading import Reloading, ReloadRequests
from bridge.hooks.store import message_keys, open_hook_store
from bridge.http.api import PREFIX
from bridge.settings.tree import Settings
from bridge.telemetry.metrics import Metrics
from bridge.terminal.configuration import Configuration, ReloadableConfiguration
from devtools.openapi_description import description
from devtools.openapi_page import DocsPage


def openapi_text() -> str:
    """The OpenAPI document, for people who read it in the repository."""
    return json.dumps(_made(), indent=2, ensure_ascii=False) + "\n"


def served_text() -> str:
    """The OpenAPI document as the server sends it."""
    return orjson.dumps(_made()).decode()


def page_text() -> str:
    """The OpenAPI document as the HTML page at /docs."""
    return DocsPage(orjson.loads(served_text())).html()


@cache
def _made() -> dict[str, Any]:
    with TemporaryDirectory() as folder:
        return asyncio.run(_document(Path(folder)))


async def _document(folder: Path) -> dict[str, Any]:
    settings = Settings()
    history = await open_history(f"sqlite:///{folder}/bridge.db")
    try:
        return await _described(settings, history, folder)
    finally:
        await history.close()


async def _described(settings: Settings, history: SqlHistory, base: Path) -> dict[str, Any]:
    metrics = Metrics(CollectorRegistry(), every_hook=False)
    parts = Parts(
        Resources(
            settings,
            history,
            history_id="",
            links=make_links(settings, metrics),
            metrics=metrics,
            store=await open_hook_store(settings, history.engine),
            keys=await message_keys(settings, history.engine),
            base=base,
            served=None,
            replica_id=new_id(),
        )
    )
    actions = Actions(parts)
    written = ReloadableConfiguration(Configuration(None, {}), None, strict=False)
    reloading = Reloading(
        settings, written, ReloadRequests(), parts.hooks.in_force, control=parts.broker.control, replica=""
    )
    api = make_api(parts, actions, Repeating(parts, actions.sender), reloading, dict)
    return description(api.operations(), PREFIX)
