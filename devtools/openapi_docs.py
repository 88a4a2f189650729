"""The description of the API, from the parts of a bridge that is made and never started."""

import asyncio
import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
from prometheus_client import CollectorRegistry

from bridge.access.service import Access
from bridge.access.store import SqlAccess
from bridge.app.api import Actions, Repeating, make_api
from bridge.app.build import Container, new_id
from bridge.app.connections import make_links
from bridge.app.coordination import ReplicaCoordination
from bridge.history.claims_store import SqlClaims
from bridge.history.guards_store import SqlRecollection, SqlSuspects
from bridge.history.history import SqlHistory, open_history
from bridge.hooks.reloading import Reloading
from bridge.hooks.store import message_keys, open_hook_store
from bridge.http.api import PREFIX
from bridge.settings.tree import Settings
from bridge.telemetry.metrics import Metrics
from bridge.terminal.configuration import Configuration, Written
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
    stored = SqlAccess(history.engine)
    access = Access(stored, stored, admin_token=None, new_id=new_id)
    store = await open_hook_store(settings, history.engine)
    parts = Container(
        settings,
        history,
        make_links(settings, metrics),
        metrics,
        access.log,
        store=store,
        suspects=SqlSuspects(history.engine),
        recollection=SqlRecollection(history.engine),
        claims=SqlClaims(history.engine),
        keys=await message_keys(settings, history.engine),
        alone=True,
        base=base,
        served=None,
    )
    together = ReplicaCoordination(parts, store, history.engine, served=None, several=False)
    actions = Actions(parts, history, together.replicas)
    repeating = Repeating(parts, history, together.replicas, actions.sender)
    reloading = Reloading(settings, Written(Configuration(None, {}), None, strict=False))
    api = make_api(parts, history, access, actions, repeating, reloading=reloading)
    return description(api.operations(), PREFIX)
