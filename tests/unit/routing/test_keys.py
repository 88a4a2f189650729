"""Keys by which a publisher's events are told from one another."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bridge.core.event import Event, Message, Received, Refused, Source, Undecodable
from bridge.expressions.engine import EvaluationError
from bridge.routing.dedupe_keys import Keys, compile_key, keyed_by
from tests.support.records import an_event


def key(by: str, **fields: Any) -> str | EvaluationError | None:
    return Keys("main", by).of(an_event(**fields))


@pytest.mark.parametrize("publisher_id", ["m-1", "0", "\ud800", "x" * 512])
def test_the_publishers_id_is_a_key_whatever_the_body(publisher_id):
    first = key("publisher_id", publisher_id=publisher_id, body=b"1")

    assert first is not None
    assert first == key("publisher_id", publisher_id=publisher_id, body=b"2")
    assert key("publisher_id", publisher_id=publisher_id + "x") != first


@pytest.mark.parametrize("publisher_id", [None, ""])
def test_without_an_id_equal_bodies_have_no_key(publisher_id):
    assert key("publisher_id", publisher_id=publisher_id) is None


@pytest.mark.parametrize(
    ("data", "found"),
    [
        ({"order": "a"}, "text a"),
        ({"order": 7}, "number 7"),
        ({"order": 7.0}, "number 7"),
        ({"order": 7.5}, "number 7.5"),
        ({"order": "7"}, "text 7"),
        ({"order": 0}, "number 0"),
        ({"order": ""}, None),
        ({"order": None}, None),
        ({}, None),
        ([], None),
        (None, None),
    ],
)
def test_an_expression_gives_text_a_number_or_nothing(data, found):
    assert key("event.data.order", data=data) == found


@pytest.mark.parametrize("order", [True, ["a"], {"a": 1}, float("inf"), float("nan")])
def test_what_can_be_no_key_is_told_and_is_none(order):
    found = key("event.data.order", data={"order": order})

    assert isinstance(found, EvaluationError)
    assert not found.missing


def test_an_expression_that_fails_is_told_and_gives_no_key():
    assert isinstance(key("1 / event.data.n", data={"n": 0}), EvaluationError)


@pytest.mark.parametrize(
    "text", ["event.dta.x", "event.data.(", "publisher", "[1]", "true", "event.headers", "event", "null"]
)
def test_an_expression_that_can_give_no_key_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        compile_key(text)


def test_events_of_a_batch_that_have_only_the_messages_id_differ_by_their_places():
    message = Message(b"{}", message_id="m-1")
    alike = replace(an_event(publisher_id="m-1"), message=message)
    own = replace(alike, publisher_id="own-2")
    refused = Refused(message, Undecodable("schema_mismatch", ""), position=1)

    def keys(*events: Event, without: tuple[Refused, ...] = ()) -> list[Any]:
        return [
            found
            for _, found in Keys("main", "publisher_id").of_all(Received(events, without, is_batch=True))
        ]

    assert keys(alike, own, alike) == ["m-1#0", "own-2", "m-1#2"]
    assert keys(alike, own, without=(refused,)) == ["m-1#0", "own-2"]
    assert keys(own, alike, without=(refused,)) == ["own-2", "m-1#2"]
    assert list(Keys("main", "publisher_id").of_all(Received((alike,)))) == [(alike, "m-1")]


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_digests_are_the_same_for_the_same_source_and_key_only(source, one, other_source, other):
    same = Keys(source, "publisher_id").digest(one) == Keys(other_source, "publisher_id").digest(other)

    assert same == ((source, one) == (other_source, other))


def test_a_source_has_keys_where_it_says_so_for_an_hour_unless_it_says_otherwise():
    def a_source(**fields: Any) -> Source:
        return Source.model_validate({"name": "main", "queue": "q", **fields})

    plain = a_source(dedupe={})
    assert plain.dedupe is not None
    assert (plain.dedupe.by, plain.dedupe.window) == ("publisher_id", 3600)
    assert keyed_by(plain) is not None
    assert keyed_by(a_source()) is None
    assert a_source(dedupe={"window": "30d"}).dedupe is not None
    for window in ("0s", "500ms", "31d", "soon"):
        with pytest.raises(ValidationError):
            a_source(dedupe={"window": window})
