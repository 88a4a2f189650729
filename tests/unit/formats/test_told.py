"""A source may say by expressions what its events' type and id are."""

import json
from pathlib import Path
from typing import Any

import pytest

from bridge.checks.configuration import check
from bridge.cli.inspect import Options, findings_of
from bridge.core.errors import SettingsError
from bridge.core.event import Event, Message, Received, Source
from bridge.formats.decoder import Decoder
from bridge.formats.text import webhook_id
from bridge.settings.tree import Settings


def decode(body: Any, *, headers: Any = None, message_id: str | None = None, **settings: Any) -> Any:
    source = Source.model_validate({"name": "s", "queue": "q", **settings})
    message = Message(
        json.dumps(body).encode(), "", "q", headers or {}, message_id=message_id, type="amqp.type"
    )
    received = Decoder(source).decode(message, new_id=lambda: "e", received_at=1.0)
    return received if received.is_batch else received.event


@pytest.mark.parametrize(
    ("expression", "body", "expected"),
    [
        ("event.data.event_name", {"event_name": "order.paid"}, "order.paid"),
        ("event.data.kind + '.' + event.data.action", {"kind": "a", "action": "b"}, "a.b"),
        ("event.headers.name", {}, "from.header"),
        ("event.envelope.code", {"code": 17}, "17"),
        ("event.data.event_name", {"event_name": "  spaced\n"}, "spaced"),
        ("event.data.event_name", {}, "amqp.type"),
        ("event.data.event_name", {"event_name": ""}, "amqp.type"),
        ("event.data.event_name", {"event_name": None}, "amqp.type"),
        ("event.data.event_name", {"event_name": ["a"]}, "amqp.type"),
        ("event.data.event_name", {"event_name": True}, "amqp.type"),
        ("event.data.a / event.data.b == 1 ? 'x' : 'y'", {"a": 1, "b": 0}, "amqp.type"),
        ("event.type.startsWith('amqp') ? 'renamed' : event.type", {}, "renamed"),
    ],
)
def test_the_type_is_what_the_expression_gives_or_else_the_formats(expression, body, expected):
    assert decode(body, headers={"name": "from.header"}, type=expression).type == expected


def test_the_expression_sees_what_the_format_found():
    body = {
        "event": "a.b",
        "timestamp": "2025-05-05T07:08:09Z",
        "data": {"x": "inner"},
        "metadata": {"tenantId": "t"},
    }
    assert decode(body, type="event.envelope.metadata.tenantId + '.' + event.type").type == "t.a.b"
    assert decode(body, type="event.data.x", format="json").type == "amqp.type"


def test_the_id_is_the_publishers_and_makes_the_webhook_id():
    event = decode({"uid": "u-7"}, message_id="m-1", id="event.data.uid")
    assert event.publisher_id == "u-7"
    assert event.webhook_id == webhook_id("s", "u-7", event.message.body)
    again = decode({"uid": "u-7"}, message_id="m-2", id="event.data.uid")
    assert again.webhook_id == event.webhook_id
    without = decode({}, message_id="m-1", id="event.data.uid")
    assert (without.publisher_id, without.webhook_id) == ("m-1", webhook_id("s", "m-1", b"{}"))
    assert len(decode({"uid": "u" * 9000}, id="event.data.uid").publisher_id) <= 512


def test_each_event_of_a_batch_is_asked():
    batch = [{"specversion": "1.0", "id": "1", "source": "s", "type": "t", "data": {"n": n}} for n in (1, 2)]
    made = decode(batch, type="'n.' + string(event.data.n)", id="event.data.n")
    assert isinstance(made, Received)
    assert [(event.type, event.publisher_id) for event in made.events] == [("n.1", "1"), ("n.2", "2")]


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("event.data.", "Syntax error"),
        ("event.dat.x", "no field event.dat"),
        ("true", "it must give text or a whole number"),
        ("[event.type]", "it must give text or a whole number"),
    ],
)
@pytest.mark.parametrize("name", ["type", "id"])
def test_an_expression_that_cannot_work_is_refused(name, expression, said):
    with pytest.raises(ValueError, match=said):
        Decoder(Source.model_validate({"name": "s", "queue": "q", name: expression}))


def test_an_event_without_expressions_is_made_as_ever():
    assert isinstance(decode({}), Event)


@pytest.mark.parametrize("name", ["type", "id"])
def test_a_check_names_the_place(name):
    source = {"name": "main", "queue": "q", name: "event.dat.x"}
    [problem] = check(Settings.model_validate({"sources": [source]}), Path.cwd())
    assert str(problem).startswith(f"sources[0].{name}: ")


@pytest.mark.parametrize("name", ["type", "id"])
def test_inspect_names_the_place(name, tmp_path):
    file = tmp_path / "bridge.yaml"
    file.write_text(f"sources: [{{name: main, queue: q, {name}: event.dat.x}}]\n")
    with pytest.raises(SettingsError, match=rf"sources\[0\]\.{name}"):
        findings_of(Message(b"{}"), Options(config=file), {}, alone=True)
