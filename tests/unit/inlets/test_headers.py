"""What of a request's headers is passed on."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.inlet import Inlet
from bridge.inlets.headers import PassedOn, joined, sender_id


def chosen(*fields: tuple[str, str], verify: list[dict[str, Any]] | None = None) -> dict[str, str] | None:
    inlet = {"name": "a", "source": "main"} | ({"verify": verify} if verify else {"open": True})
    return PassedOn(Inlet.model_validate(inlet)).choose(fields)


def test_what_senders_say_is_passed_on_as_they_spell_it():
    fields = [
        ("User-Agent", "GitHub-Hookshot"),
        ("X-GitHub-Event", "push"),
        ("ce-id", "1"),
        ("traceparent", "00-a"),
    ]
    assert chosen(*fields) == dict(fields)


def test_the_trace_context_is_passed_on_under_the_names_that_messages_have():
    fields = [("Traceparent", "00-a"), ("TraceState", "a=1"), ("tracestate", "b=2")]
    assert chosen(*fields) == {"traceparent": "00-a", "tracestate": "a=1, b=2"}


@pytest.mark.parametrize(
    "name",
    [
        "Host", "Content-Type", "content-length", "Content-MD5", "Authorization", "Cookie", "Connection", "TE",
        "Transfer-Encoding", "Upgrade", "Proxy-Authorization", "Forwarded", "X-Forwarded-For", "X-Real-IP",
        "X-Gitlab-Token", "X-Hub-Signature-256", "Stripe-Signature", "X-Api-Key", "X-Auth-Token", "Client-Secret",
        "X-Bridge-Identity", "x-bridge-inlet", "CC", "BCC", "x-death", "Expect",
    ],
)  # fmt: skip
def test_what_belongs_to_the_connection_to_us_or_to_nobody_else_is_not(name: str):
    assert chosen((name, "v"), ("X-Other", "o")) == {"X-Other": "o"}


def test_names_that_only_look_like_credentials_are_passed_on():
    fields = [("X-Author", "me"), ("X-Tokens-Left", "5"), ("X-Secretary", "Ann")]
    assert chosen(*fields) == dict(fields)


def test_what_concerns_one_connection_only_is_not():
    assert chosen(("Connection", "close, X-Hop"), ("X-Hop", "1"), ("X-Stay", "2")) == {"X-Stay": "2"}


@pytest.mark.parametrize(
    ("verifier", "names"),
    [
        ({"type": "token", "header": "X-Pass"}, ["x-pass"]),
        ({"type": "standard"}, ["webhook-id", "webhook-timestamp", "webhook-signature"]),
        (
            {"type": "standard", "header": "svix-signature"},
            ["svix-id", "svix-timestamp", "svix-signature"],
        ),
        ({"type": "phlix"}, ["X-Phlix-Signature", "X-Phlix-Signature-V2"]),
        ({"type": "phlix", "header": "X-Sign"}, ["X-Sign", "X-Sign-V2"]),
        ({"type": "plinqx"}, ["X-Plinqx-Signature", "X-Plinqx-Timestamp"]),
        (
            {"type": "generic", "template": "{timestamp}{body}", "timestamp_header": "X-When"},
            ["X-Signature", "X-When"],
        ),
    ],
)
def test_what_a_verifier_looks_at_is_not_passed_on(verifier: dict[str, Any], names: list[str]):
    fields = [(name, "v") for name in names]
    secret = {"secret": "whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQ="}
    assert chosen(*fields, ("X-Other", "o"), verify=[verifier | secret]) == {"X-Other": "o"}


@pytest.mark.parametrize("text", ["my-pass-1", "Bearer my-pass-1", "joe:my-pass-1"])
def test_a_value_that_holds_a_secret_is_not_passed_on_wherever_it_stands(text: str):
    verify = [{"type": "basic", "secret": "joe:my-pass-1"}]
    assert chosen(("X-Copy", text), verify=verify) == {}


def test_fields_of_one_name_are_joined():
    fields = [("X-List", "a"), ("x-list", "b")]
    assert chosen(*fields) == {"X-List": "a, b"}
    assert joined(fields) == {"x-list": "a, b"}


def test_bytes_that_are_no_utf_8_become_latin_1():
    raw = b"caf\xe9".decode("utf-8", "surrogateescape")
    assert chosen(("X-Name", raw), ("X-Good", "café")) == {"X-Name": "café", "X-Good": "café"}


def test_more_than_a_message_is_to_carry_is_none():
    assert chosen(*[(f"X-{number}", "v") for number in range(101)]) is None
    assert chosen(("X-Long", "v" * 33_000)) is None
    assert chosen(("X" * 256, "v")) is None


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({"webhook-id": "msg_1", "idempotency-key": "2"}, "msg_1"),
        ({"x-github-delivery": "72d3162e"}, "72d3162e"),
        ({"x-gitlab-event-uuid": " 13792a34 "}, "13792a34"),
        ({"webhook-id": "two words"}, None),
        ({"webhook-id": "x" * 256}, None),
        ({"webhook-id": "", "idempotency-key": "2"}, "2"),
        ({}, None),
    ],
)
def test_the_senders_id_is_taken_where_it_can_be_one(headers: dict[str, str], found: str | None):
    assert sender_id(headers) == found


@given(st.lists(st.tuples(st.text(min_size=1, max_size=20), st.text(max_size=50)), max_size=20))
def test_whatever_is_sent_is_text_that_a_message_can_hold(fields: list[tuple[str, str]]):
    verify = [{"type": "token", "header": "X-Pass", "secret": "pass-1234"}]
    sendable = [(name, text) for name, text in fields if text.isprintable()]
    for text in (chosen(*sendable, verify=verify) or {}).values():
        text.encode()
        assert "pass-1234" not in text
