"""The id that a sender of Standard Webhooks signed is the one that receivers see."""

import base64
from dataclasses import replace
from typing import Any

import pytest

from bridge.core.event import Event, Message, Source
from bridge.core.inlet import Inlet
from bridge.core.ports import Outgoing
from bridge.formats.decoder import Decoder
from bridge.inlets.headers import joined
from bridge.inlets.message import InletRequest, Messages
from bridge.signing.profiles import verifier
from bridge.signing.shapes import SignedRequest, VerificationFailure
from bridge.signing.standard import Standard
from bridge.wire.headers import SignedInletMarkReader

SECRET = "whsec_" + base64.b64encode(b"k" * 24).decode()
BODY = b'{"type":"invoice.paid","timestamp":"2025-05-05T07:08:09Z","data":{"id":"i"}}'
SOURCE = Source(name="main", queue="q")
NOW = 1_746_428_889.0


def inlet(name: str = "partner", secret: str = SECRET, **options: Any) -> Inlet:
    return Inlet.model_validate(
        {"name": name, "source": "main", "verify": [{"type": "standard", "secret": secret, **options}]}
    )


def fields(webhook_id: str, stem: str = "webhook-") -> tuple[tuple[str, str], ...]:
    signed = Standard([SECRET]).headers(BODY, webhook_id, str(int(NOW)), "")
    return tuple((name.replace("webhook-", stem), value) for name, value in signed)


def arrived(by: Inlet, sent: tuple[tuple[str, str], ...]) -> Message:
    request = InletRequest("POST", "", sent, joined(sent), BODY)
    check = verifier(by.verify[0])
    assert check(SignedRequest(BODY, request.headers), NOW) is None
    made = Messages(by, SOURCE, lambda: "own").message(request, 0, NOW)
    assert isinstance(made, Outgoing)
    assert made.like is not None
    return replace(
        made.like, body=made.body, headers=made.headers, message_id=made.message_id, routing_key="q"
    )


def event_of(message: Message, *inlets: Inlet) -> Event:
    decoder = Decoder(SOURCE, arrivals=SignedInletMarkReader("main", inlets))
    event = decoder.decode(message, new_id=lambda: "e", received_at=NOW).event
    assert isinstance(event, Event)
    return event


@pytest.mark.parametrize("stem", ["webhook-", "svix-", "Webhook-", "Svix-"])
def test_an_id_is_kept_by_whichever_names_it_came(stem):
    by = inlet()
    event = event_of(arrived(by, fields("msg_2Kx~7", stem)), by)
    assert (event.webhook_id, event.publisher_id) == ("msg_2Kx~7", "msg_2Kx~7")
    assert (event.format, event.type) == ("standard", "invoice.paid")
    assert not [name for name in event.message.headers if "id" in name.lower() or "timestamp" in name.lower()]


def test_a_header_that_is_named_is_the_only_one():
    pinned = inlet(header="svix-signature")
    event = event_of(arrived(pinned, fields("msg_1", "svix-")), pinned)
    assert event.webhook_id == "msg_1"
    both = (*fields("msg_1", "svix-"), ("webhook-id", "msg_other"))
    assert event_of(arrived(pinned, both), pinned).webhook_id == "msg_1"


@pytest.mark.parametrize("stem", ["webhook-", "svix-"])
def test_both_names_verify_without_an_option_and_only_whole_sets_do(stem):
    check = verifier(inlet().verify[0])
    sent = joined(fields("msg_1", stem))
    assert check(SignedRequest(BODY, sent), NOW) is None
    assert isinstance(check(SignedRequest(BODY + b" ", sent), NOW), VerificationFailure)
    for name in sent:
        assert isinstance(
            check(SignedRequest(BODY, {k: v for k, v in sent.items() if k != name}), NOW), VerificationFailure
        )


def test_of_both_sets_the_standards_own_counts():
    check = verifier(inlet().verify[0])
    sent = joined(fields("msg_1") + fields("msg_1", "svix-"))
    assert check(SignedRequest(BODY, sent), NOW) is None
    assert isinstance(
        check(SignedRequest(BODY, sent | {"webhook-signature": "v1,AAAA"}), NOW), VerificationFailure
    )


def test_an_id_without_its_proof_is_none_that_receivers_see():
    by, other = inlet(), inlet("other", "whsec_" + base64.b64encode(b"o" * 24).decode())
    message = arrived(by, fields("msg_1"))
    table = message.headers["x-bridge-inlet"]
    for forged in (
        table | {"id": "msg_2"},
        table | {"id-proof": "0" * 64},
        table | {"name": "other"},
        {name: value for name, value in table.items() if name != "id-proof"},
    ):
        event = event_of(replace(message, headers={"x-bridge-inlet": forged}), by, other)
        assert event.webhook_id not in ("msg_1", "msg_2")
    assert event_of(replace(message, body=BODY + b" "), by).webhook_id != "msg_1"
    assert (
        event_of(message, inlet(secret="whsec_" + base64.b64encode(b"n" * 24).decode())).webhook_id != "msg_1"
    )
