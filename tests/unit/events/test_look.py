"""What is looked at comes without secrets and without surprises."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.bodies.exact import json_text
from bridge.core.errors import SettingsError
from bridge.core.event import Source
from bridge.core.hook import Hook
from bridge.core.target import QueueTarget, ScriptTarget, WebhookTarget
from bridge.events.explain import Explain, asked
from bridge.formats.decoder import Decoder
from bridge.formats.text import utc_seconds
from bridge.pipeline.hook_table import HookTable
from bridge.routing.table import RoutingTable
from bridge.settings.shown import shown, without_password
from tests.support.api_server import runner_of
from tests.support.records import new_id

HOOK = Hook.model_validate(
    {"name": "crm", "filter": "event.data.n > 1", "target": {"type": "queue", "queue": "q"}}
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
NAMES = ("source", "exchange", "routing_key", "properties", "headers", "body", "redelivered")


def explain() -> Explain:
    table = HookTable(lambda _event, _filters: None)
    table.swap(RoutingTable([HOOK]), {HOOK.id: runner_of(HOOK)})
    source = Source(name="main", queue="q")
    return Explain(table, [source], {"main": Decoder(source)}, new_id)


@given(st.dictionaries(st.sampled_from(NAMES), JSON))
def test_any_message_is_explained_or_refused_in_words(fields: dict[str, Any]):
    try:
        found = explain().message(asked(json.dumps(fields).encode()))
    except SettingsError as error:
        assert error.problems[0].path or "JSON" in str(error)  # noqa: PT017 - an error is one of two good ends
        return
    assert json.loads(json_text(found))["source"] == "main"


async def test_a_hook_that_this_process_does_not_serve_is_said_to_wait():
    table = HookTable(lambda _event, _filters: None)
    table.swap(RoutingTable([HOOK]), {HOOK.id: runner_of(HOOK, served=False)})
    source = Source(name="main", queue="q")
    found = Explain(table, [source], {"main": Decoder(source)}, new_id).message(asked(b'{"body": {"n": 2}}'))
    [decided] = found["events"][0]["hooks"]
    assert decided["matches"]
    assert "does not serve" in decided["reason"]


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("https://example.net/in?a=1#b", "https://example.net/in?a=1#b"),
        ("https://u:p@example.net:8443/in", "https://***@example.net:8443/in"),
        ("https://p@example.net/p@x", "https://***@example.net/p@x"),
        ("https://e.net/?Access_Token=x&b=2", "https://e.net/?Access_Token=***&b=2"),
        ("https://e.net/?b=2&sig=x%3D%26#token=y", "https://e.net/?b=2&sig=***#token=y"),
        ("http://[::1", "***"),
    ],
)
def test_an_address_is_shown_without_login_and_telling_parameters(url: str, plain: str):
    assert without_password(url) == plain


def test_what_has_no_secret_is_shown_as_it_is_written():
    target = {"type": "webhook", "url": "https://e.net", "success": [200, 201], "timeout": 20.0}
    found = shown(WebhookTarget.model_validate(target))
    assert found.items() >= target.items()
    assert found["secrets"] == []
    assert WebhookTarget.model_validate(found) == WebhookTarget.model_validate(target)
    for queue in (
        QueueTarget(type="queue", queue="q"),
        ScriptTarget(type="script", command=["x", "-v", "a=b"]),
    ):
        assert type(queue).model_validate(shown(queue)) == queue


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (0.0, "1970-01-01T00:00:00Z"),
        (1_746_428_889.25, "2025-05-05T07:08:09.250000Z"),
        (1e20, "9999-12-31T23:59:59Z"),
        (-1e20, "0001-01-01T00:00:00Z"),
    ],
)
def test_unix_seconds_are_written_in_utc(at: float, text: str):
    assert utc_seconds(at) == text
