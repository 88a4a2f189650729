"""Forms are taken apart as PHP does it, and Splynx posts them."""

import gzip
import json
from pathlib import Path
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.event import Message
from bridge.formats.forms import CONTENT_TYPE, form_data, form_of
from tests.support.publishers import event, facts

VECTORS = json.loads((Path(__file__).parents[2] / "data" / "vectors" / "splynx.json").read_text())
FORMS = [vector for vector in VECTORS if vector.get("content_type") == CONTENT_TYPE]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", {}),
        (b"a=1&b=", {"a": "1", "b": ""}),
        (b"a%5Bb%5D%5Bc%5D=x+y%7E&a[b][d]=%2B", {"a": {"b": {"c": "x y~", "d": "+"}}}),
        (b"a[0]=x&a[1]=y", {"a": ["x", "y"]}),
        (b"a[]=x&a[]=y", {"a": ["x", "y"]}),
        (b"a[1]=x&a[0]=y", {"a": {"1": "x", "0": "y"}}),
        (b"a[5]=x&a[]=y", {"a": {"5": "x", "6": "y"}}),
        (
            b"a[1]=x&a[]=y&a[k]=z&a[][b]=1&a[][b]=2",
            {"a": {"1": "x", "2": "y", "k": "z", "3": {"b": "1"}, "4": {"b": "2"}}},
        ),
        (b"a[01]=x&a[-1]=y&a[]=z", {"a": {"01": "x", "-1": "y", "0": "z"}}),
        (b"=x&a=1&=y", {"": "y", "a": "1"}),
        (b"a=1&a=2&b=1&b[c]=2&d[c]=1&d=2", {"a": "2", "b": {"c": "2"}, "d": "2"}),
        (b"a[b=1&[c]=2&]=3", {"a[b": "1", "[c]": "2", "]": "3"}),
        (b"a" + b"[x]" * 65 + b"=1", {"a" + "[x]" * 65: "1"}),
        (b"a=1&" * 10_001, None),
        (b"\xff", None),
    ],
)
def test_a_form_becomes_objects_and_lists_of_text(body, expected):
    assert form_of(body) == expected


@given(st.binary(max_size=60) | st.text("a[]=&%25", max_size=60).map(str.encode))
def test_no_form_raises(body):
    form_of(body)


@pytest.mark.parametrize("form", ["auto", "splynx"])
@pytest.mark.parametrize("content_type", [CONTENT_TYPE, "Application/X-WWW-Form-Urlencoded; charset=utf-8"])
def test_an_event_that_splynx_posts_as_a_form_is_read(form, content_type):
    assert FORMS
    message = Message(body=FORMS[0]["body"].encode(), content_type=content_type, routing_key="hooks2")
    found = event(message, form, "Europe/Prague")
    assert facts(found) == ("splynx", "customers.customer.update", None, "2025-03-14T08:26:53Z")
    assert found.data["model"] == "models\\admin\\customers\\Customer"
    assert found.data["attributes"]["id"] == "4711"
    assert found.message.body == message.body


@pytest.mark.parametrize("form", ["auto", "splynx"])
def test_a_compressed_form_is_read_too(form):
    body = FORMS[0]["body"].encode()
    plain = Message(body=body, content_type=CONTENT_TYPE)
    packed = Message(body=gzip.compress(body), content_type=CONTENT_TYPE, content_encoding="gzip")
    assert event(packed, form).data == event(plain, form).data
    assert event(packed, form).type == "customers.customer.update"
    cut = Message(body=packed.body[:20], content_type=CONTENT_TYPE, content_encoding="gzip", type="t")
    assert (event(cut, form).type, event(cut, form).data) == ("t", None)


def test_a_ping_in_a_form_is_one_where_the_source_is_splynxs():
    assert event(Message(body=b"type=ping", content_type=CONTENT_TYPE), "splynx").type == "ping"


def test_anybody_elses_form_is_no_splynx():
    message = Message(body=urlencode({"data[model]": "T-34"}).encode(), content_type=CONTENT_TYPE)
    assert facts(event(message)) == ("json", "unknown", None, None)
    assert event(message).data == {"data": {"model": "T-34"}}


def part(head: str, content: bytes) -> bytes:
    return b"--b\r\nContent-Disposition: form-data; " + head.encode() + b"\r\n\r\n" + content + b"\r\n"


MULTIPART = "multipart/form-data; boundary=b"


@pytest.mark.parametrize(
    ("parts", "data"),
    [
        ([('name="a"', b"1"), ('name="a"', b"2")], {"a": "2"}),
        ([('name="a[b]"', b"1"), ('name="a[c][]"', b"2")], {"a": {"b": "1", "c": ["2"]}}),
        ([('name="a"\r\nContent-Type: application/json', b'{"n":[1]}')], {"a": {"n": [1]}}),
        ([('name="a"\r\nContent-Type: application/json', b"{no")], {"a": "{no"}),
        ([('name="a"\r\nContent-Type: text/plain; charset=iso-8859-1', b"\xe9")], {"a": "é"}),
        ([('name="a"\r\nContent-Type: text/plain; charset=punycode', b"\xe9")], {"a": "\\xe9"}),
        ([('name="a"', b"\xff")], {"a": "\\xff"}),
        ([('name="payload"\r\nContent-Type: application/json', b'{"a":1}')], {"a": 1}),
        ([('name="a"', b"1")] * 1001, None),
        ([], {}),
    ],
)
def test_the_parts_of_a_form_are_its_fields(parts, data):
    body = b"".join(part(*each) for each in parts) + b"--b--\r\n"
    found, fault = form_data(body, MULTIPART)
    assert (found, bool(fault)) == (data, data is None)


@given(
    st.lists(
        st.one_of(
            st.just(b"--b"), st.just(b"\r\n"), st.just(b"--"), st.just(b"Content-Disposition: form-data; name=a"),
            st.just(b"Content-Type: text/plain; charset=utf-16"), st.just(b'; filename="x"'), st.binary(max_size=5),
        ),
        max_size=20,
    )
)  # fmt: skip
def test_no_multipart_body_raises(pieces):
    form_data(b"".join(pieces), MULTIPART)


@given(st.text(max_size=40))
def test_no_content_type_raises(text):
    form_data(b"--b\r\n", text)
    form_data(b"--b\r\n", "multipart/form-data;" + text)


def test_what_is_too_large_is_not_taken_apart():
    found, fault = form_data(b"a=" + b"x" * 16_777_215, CONTENT_TYPE)
    assert (found, fault) == (None, "the form has 16777217 bytes, of which 16777216 are read")


@pytest.mark.parametrize("body", [b"a=%E9%F1", "a=éñ".encode("latin-1")])
def test_a_form_in_another_character_set_is_read_as_it_is_labelled(body):
    message = Message(body=body, content_type=CONTENT_TYPE + "; charset=iso-8859-1")
    assert event(message).data == {"a": "éñ"}


def test_files_of_a_form_are_left_alone_whatever_character_set_it_is_labelled_with():
    body = part('name="f"; filename="x"', b"\xe9\xff\0") + b"--b--\r\n"
    found = event(Message(body=body, content_type=MULTIPART + "; charset=iso-8859-1"))
    assert found.data["f"]["base64"] == "6f8A"


def test_why_a_form_has_no_data_is_told():
    found = event(Message(body=b"--b", content_type=MULTIPART))
    assert found.data is None
    assert found.data_fault.startswith("the body is labelled as multipart/form-data, and is cut off")
