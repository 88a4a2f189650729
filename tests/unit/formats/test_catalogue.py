"""What the catalogues of event types promise."""

import json
from pathlib import Path
from typing import Any

import pytest

from bridge.core.event import Event, Message, Source
from bridge.formats.decoder import Decoder
from bridge.formats.event_types import CATALOGUES, Catalogue, KnownEventType, beginning_with, catalogue_of
from bridge.routing import table
from tests.support.publishers import FOLDER

SAMPLES = [
    *FOLDER.glob("phlix/*.json"),
    *FOLDER.glob("plinqx/*.json"),
    *FOLDER.glob("cockpit/v1_*.json"),
    *FOLDER.glob("splynx/queue*.json"),
    *FOLDER.glob("splynx/webhook_event*.json"),
]

each_catalogue = pytest.mark.parametrize("catalogue", CATALOGUES, ids=lambda catalogue: catalogue.system)


def decoded(body: bytes, form: str = "auto") -> Event:
    source = Source.model_validate({"name": "main", "queue": "hooks2", "format": form})
    event = (
        Decoder(source)
        .decode(Message(body=body, routing_key="hooks2"), new_id=lambda: "0197", received_at=1.5)
        .event
    )
    assert isinstance(event, Event)
    return event


def envelope(catalogue: Catalogue, known: KnownEventType) -> dict[str, Any]:
    """The least that a message with this event holds."""
    name = known.type.replace("*", "articles")
    match catalogue.system:
        case "splynx" if name.count(".") == 2:
            model, _, action = name.rpartition(".")
            part, _, kind = model.partition(".")
            return {"type": "", "data": {"model": f"models\\admin\\{part}\\{kind.title()}", "action": action}}
        case "splynx":
            return {"type": name if name == "ping" else "", "call": name.replace(".", "/"), "data": {}}
        case "phlix":
            return {"event_type": name, "payload": {}, "occurred_at": "2025-05-05T07:08:09+00:00"}
        case "plinqx":
            return {"event": name, "timestamp": "2025-05-05T07:08:09Z", "data": {}}
        case "cockpit":
            return {"event": name, "hook": "any", "backend": 0, "args": []}
    raise AssertionError(catalogue.system)


@each_catalogue
def test_every_type_is_a_pattern_too_and_stands_there_once_with_one_line(catalogue: Catalogue) -> None:
    types = [known.type for known in catalogue.events]
    assert len(types) == len(set(types)) > 0
    for known in catalogue.events:
        table.check(known.type)
        assert known.meaning
        assert not set("|\n") & set(known.meaning)


@pytest.mark.parametrize(
    ("catalogue", "known"),
    [
        (catalogue, known)
        for catalogue in CATALOGUES
        for known in catalogue.events
        if catalogue.system != "tiki"
    ],
    ids=lambda value: value.type if isinstance(value, KnownEventType) else value.system,
)
def test_the_bridge_names_an_event_as_its_catalogue_does(catalogue: Catalogue, known: KnownEventType) -> None:
    event = decoded(json.dumps(envelope(catalogue, known)).encode(), catalogue.system)
    assert table.matches(known.type, event.type)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_the_event_of_every_sample_stands_in_its_systems_catalogue(sample: Path) -> None:
    event = decoded(sample.read_bytes())
    catalogue = catalogue_of(event.format)
    assert catalogue is not None, event
    assert any(table.matches(known.type, event.type) for known in catalogue.events), event.type


def test_plinqx_has_ten_events_and_tiki_one() -> None:
    plinqx, tiki = catalogue_of("plinqx"), catalogue_of("tiki")
    assert plinqx is not None
    assert plinqx.complete
    assert len(plinqx.events) == 10
    assert tiki is not None
    assert [known.type for known in tiki.events] == ["tiki.webhook.received"]


def test_splynx_does_not_claim_to_be_complete() -> None:
    splynx = catalogue_of("splynx")
    assert splynx is not None
    assert not splynx.complete
    assert "publishes no list" in splynx.note


def test_a_system_without_a_catalogue_has_none() -> None:
    assert catalogue_of("celery") is None


def test_completion_offers_types_and_no_patterns() -> None:
    assert [known.type for known in beginning_with("invocation.")] == [
        "invocation.started",
        "invocation.completed",
        "invocation.failed",
    ]
    offered = [known.type for known in beginning_with("")]
    assert len(offered) > 60
    assert not any("*" in name for name in offered)
    assert beginning_with("no such event") == []
