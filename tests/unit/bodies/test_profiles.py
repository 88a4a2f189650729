"""Bodies in the shapes of Splynx, Phlix, Plinqx and Cockpit."""

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.bodies.body import Body
from bridge.core.event import Message
from tests.support.bodies import SPLYNX, build, built_by, event, parsed, refusal, splynx
from tests.support.publishers import event as event_in


def test_splynx_names_the_type_and_touches_nothing_else():
    built = built_by(build(None, "splynx"), splynx("queue_customer_create"))
    original = (SPLYNX / "queue_customer_create.json").read_bytes()
    assert built.content == original.replace(b'"type":""', b'"type":"event"', 1)
    assert json.loads(built.content)["call"] == ""


def test_splynx_keeps_numbers_as_they_were_written():
    original = (SPLYNX / "nasty_bigint_float_edge.json").read_bytes()
    built = built_by(build(None, "splynx"), splynx("nasty_bigint_float_edge"))
    assert built.content == original.replace(b'{"type":""', b'{"type":"event"', 1)


@pytest.mark.parametrize("name", ["webhook_event_customer_create", "webhook_event_customer_update_unicode"])
def test_splynx_leaves_a_type_that_is_there(name):
    sent = splynx(name)
    assert built_by(build(None, "splynx"), sent).content is sent.message.body


def test_an_empty_type_that_is_not_first_is_named_in_the_spelling_of_php():
    sent = parsed({"call": "a/b", "data": {"type": "", "name": "Ž"}, "type": ""}, fmt="splynx")
    built = built_by(build(None, "splynx"), sent)
    assert built.content == b'{"call":"a\\/b","data":{"type":"","name":"\\u017d"},"type":"event"}'


def test_of_two_types_the_last_one_counts():
    sent = event(b'{"type":"","type":"ping"}', {"type": "ping"})
    assert built_by(build(None, "splynx"), sent).content is sent.message.body
    sent = event(b'{"type":"","type":""}', {"type": ""}, fmt="splynx")
    assert built_by(build(None, "splynx"), sent).content == b'{"type":"event"}'


def test_a_type_that_is_null_is_empty_too():
    sent = event(b'{"type":null,"call":"a/b","data":{}}', {}, fmt="splynx")
    assert built_by(build(None, "splynx"), sent).content == b'{"type":"event","call":"a/b","data":{}}'


def test_a_splynx_envelope_without_a_type_gets_one_at_its_beginning():
    sent = event(b'\n{ "data": {"x" : 1.10}}', {"x": 1.1}, fmt="splynx")
    assert built_by(build(None, "splynx"), sent).content == b'\n{"type":"event", "data": {"x" : 1.10}}'
    assert built_by(build("form", "splynx"), sent).content == b"type=event&data%5Bx%5D=1.1"


def test_a_compressed_envelope_with_a_type_to_be_named_is_sent_plain():
    sent = event(gzip.compress(b'{"type":"","data":{}}'), {}, content_encoding="gzip", fmt="splynx")
    assert build(None, "splynx")(sent) == Body(b'{"type":"event","data":{}}', "application/json")
    sent = event(gzip.compress(b'{"type":"ping","data":{}}'), {}, content_encoding="gzip", fmt="splynx")
    assert build(None, "splynx")(sent) == Body(b'{"type":"ping","data":{}}', "application/json")


def test_an_empty_type_deeper_down_is_not_touched():
    sent = parsed({"type": "", "data": {"type": ""}}, fmt="splynx")
    assert built_by(build(None, "splynx"), sent).content == b'{"type": "event", "data": {"type": ""}}'


TYPES = st.sampled_from(['""', "null", '"event"', '"p\\u0069ng"', "0", '{"type":""}'])
NAMES = st.sampled_from(["type", "t\\u0079pe", "call", "x"])


@given(st.lists(st.tuples(NAMES, TYPES | st.just('"type"')), min_size=1, max_size=3), st.booleans())
def test_the_type_is_named_however_often_and_in_whatever_spelling_it_stands(members, spaced):
    text = ",".join(f'"{name}" : {value}' if spaced else f'"{name}":{value}' for name, value in members)
    body = f'{{{text},"data":{{"n":1}}}}'.encode()
    built = built_by(build(None, "splynx"), event(body, {"n": 1}, fmt="splynx"))
    envelope = json.loads(body)
    is_empty = envelope.get("type") in ("", None)
    expected = envelope | {"type": "event"} if is_empty else envelope
    assert json.loads(built.content) == expected
    assert is_empty or built.content is body


def test_a_splynx_event_that_came_as_a_form_goes_on_as_json():
    body = b"type=&call=a%2Fb&data%5Bmodel%5D=models%5CA&data%5Bn%5D=7"
    sent = event_in(Message(body, content_type="application/x-www-form-urlencoded"), "splynx")
    built = build(None, "splynx")(sent)
    expected = b'{"type":"event","call":"a\\/b","data":{"model":"models\\\\A","n":"7"}}'
    assert built == Body(expected, "application/json")


@pytest.mark.parametrize(
    ("sent", "data"),
    [
        (parsed({"n": 1}), {"n": 1}),
        (parsed([1, "ž"]), [1, "ž"]),
        (parsed("text"), "text"),
        (parsed({"type": "", "n": 1}), {"type": "", "n": 1}),
        (parsed({"type": "invoice.paid", "data": {}}), {"type": "invoice.paid", "data": {}}),
        (parsed({"type": "ping", "n": 1}), {"type": "ping", "n": 1}),
        (parsed([7], fmt="splynx"), [7]),
        (
            parsed({"model": "models\\A", "action": "create"}, fmt="splynx"),
            {"model": "models\\A", "action": "create"},
        ),
        (event(b'{"event":"a.b","data":{"x":1}}', {"x": 1}, fmt="plinqx"), {"x": 1}),
        (event(b"null"), None),
        (event(b""), None),
    ],
)
def test_an_event_that_is_not_splynxs_own_is_wrapped(sent, data):
    built = built_by(build(None, "splynx"), sent)
    assert json.loads(built.content) == {"type": "event", "data": data}
    assert list(json.loads(built.content)) == ["type", "data"]
    assert built.content_type == "application/json"


@pytest.mark.parametrize("value", [{"type": "ping"}, {"type": "event", "call": "a/b", "data": {}}])
def test_what_looks_like_splynxs_own_is_left_as_it_is(value):
    sent = parsed(value)
    assert built_by(build(None, "splynx"), sent).content is sent.message.body


@pytest.mark.parametrize("kind", [None, "raw"])
@pytest.mark.parametrize(
    "told", ["application/json; charset=utf-8", "text/plain", None, "application/vnd.x+json"]
)
def test_splynx_always_sends_the_content_type_that_its_receivers_compare_letter_for_letter(kind, told):
    for body in (b'{"type":"event","data":{}}', b'{"type":"","data":{}}'):
        sent = event(body, {}, told, fmt="splynx")
        assert built_by(build(kind, "splynx"), sent).content_type == "application/json"


@pytest.mark.parametrize("body", [b"\xff", b'{"type":""', b"<xml/>"])
def test_splynx_has_nothing_to_wrap_of_what_is_not_json(body):
    assert "choose `body: raw`" in refusal(build(None, "splynx"), event(body, fmt="splynx"))
    assert built_by(build("raw", "splynx"), event(body)).content is body


def test_other_profiles_leave_an_empty_type():
    sent = splynx("queue_customer_create")
    assert built_by(build(None, "standard"), sent).content is sent.message.body


def test_a_kind_that_is_given_wins_over_the_profile():
    sent = splynx("queue_customer_create")
    assert built_by(build("raw", "splynx"), sent).content is sent.message.body
    assert json.loads(built_by(build("data", "splynx"), sent).content) == sent.data
    assert json.loads(built_by(build("event", "phlix"), sent).content)["source"] == "s"


@pytest.mark.parametrize("system", ["phlix", "plinqx", "cockpit"])
def test_an_event_in_the_systems_own_format_goes_on_as_it_is(system):
    sent = event(b'{"any" : "thing"}', {}, "application/json; charset=utf-8", fmt=system)
    assert build(None, system)(sent) == Body(sent.message.body, "application/json; charset=utf-8")


@pytest.mark.parametrize("system", ["phlix", "plinqx", "cockpit"])
def test_what_is_not_json_cannot_be_wrapped(system):
    assert f"profile {system}" in refusal(build(None, system), event(b"plain text"))


def test_phlix_gets_its_three_keys_in_the_spelling_of_php():
    sent = parsed({"media_type": "movie", "path": "a/ü"}, type="playback.started")
    assert build(None, "phlix")(sent) == Body(
        b'{"event_type":"playback.started","payload":{"media_type":"movie","path":"a\\/\\u00fc"},'
        b'"occurred_at":"2025-03-14T08:26:53+00:00"}',
        "application/json",
    )


@pytest.mark.parametrize("sent", [parsed({}), parsed([]), parsed(None), event(b"")])
def test_an_empty_payload_is_a_list_as_php_has_it(sent):
    assert json.loads(built_by(build(None, "phlix"), sent).content)["payload"] == []


@pytest.mark.parametrize(
    ("time", "phlix", "plinqx"),
    [
        ("2025-06-01T18:30:00.987654Z", "2025-06-01T18:30:00+00:00", "2025-06-01T18:30:00.987Z"),
        ("2025-06-01T18:30:00", "2025-06-01T18:30:00+00:00", "2025-06-01T18:30:00Z"),
        ("2025-06-01T20:30:00+02:00", "2025-06-01T18:30:00+00:00", "2025-06-01T18:30:00Z"),
        (None, "2025-03-14T08:26:53+00:00", "2025-03-14T08:26:53.250Z"),
        ("yesterday", "2025-03-14T08:26:53+00:00", "2025-03-14T08:26:53.250Z"),
        ("0001-01-01T00:00:00+14:00", "2025-03-14T08:26:53+00:00", "2025-03-14T08:26:53.250Z"),
    ],
)
def test_the_time_is_the_publishers_or_else_when_it_was_received(time, phlix, plinqx):
    sent = parsed({}, time=time)
    assert json.loads(built_by(build(None, "phlix"), sent).content)["occurred_at"] == phlix
    assert json.loads(built_by(build(None, "plinqx"), sent).content)["timestamp"] == plinqx


def test_plinqx_gets_its_four_keys_compact():
    sent = parsed({"toolName": "a/ü"}, type="tool.called")
    assert build(None, "plinqx")(sent) == Body(
        '{"event":"tool.called","timestamp":"2025-03-14T08:26:53Z","data":{"toolName":"a/ü"},"metadata":{}}'.encode(),
        "application/json",
    )
    assert json.loads(built_by(build(None, "plinqx"), event(b"")).content)["data"] == {}


def test_cockpit_gets_its_four_keys_with_a_list_as_it_is():
    sent = parsed(["articles", {"path": "a/ü"}, False], type="collections.save.after")
    assert build(None, "cockpit")(sent) == Body(
        b'{"event":"collections.save.after","hook":"deploy","backend":0,'
        b'"args":["articles",{"path":"a\\/\\u00fc"},false]}',
        "application/json",
    )


@pytest.mark.parametrize(
    ("sent", "args"),
    [(parsed({"a": 1}), [{"a": 1}]), (parsed(3), [3]), (parsed(None), [None]), (event(b""), [])],
)
def test_cockpit_gets_anything_else_in_a_list(sent, args):
    assert json.loads(built_by(build(None, "cockpit"), sent).content)["args"] == args


def test_the_payload_of_standard_webhooks_is_made_of_any_event():
    sent = parsed({"event": "x", "data": {"n": 1}}, fmt="plinqx")
    built = built_by(build("standard", "standard"), sent)
    assert json.loads(built.content) == {
        "type": "customers.create",
        "timestamp": "2025-03-14T08:26:53Z",
        "data": sent.data,
    }
    assert list(json.loads(built.content)) == ["type", "timestamp", "data"]
    assert built.content_type == "application/json"
    own = event(b'{"type":"a.b", "timestamp":"2025-05-05T07:08:09Z","data":{}}', {}, fmt="standard")
    assert built_by(build("standard", "none"), own).content is own.message.body
    assert built_by(build(None, "standard"), sent).content is sent.message.body
    assert "choose `body: raw`" in refusal(build("standard"), event(b"\xff"))
