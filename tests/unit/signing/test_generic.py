"""The profile that options describe: templates, prefixes, headers."""

import base64
import hmac
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.target import Signature
from bridge.signing.profiles import signer


def headers_of(body: bytes, webhook_id: str = "msg_1", stamp: str = "17", **options: Any) -> dict[str, str]:
    made = signer("generic", ["key"], Signature(**options), method="PUT", path="/in/%7Bbody%7D")
    return dict(made.headers(body, webhook_id, stamp, "order.paid"))


def hex_of(message: bytes, algorithm: str = "sha256") -> str:
    return hmac.digest(b"key", message, algorithm).hex()


def test_without_options_it_is_the_hex_hmac_of_the_body():
    assert headers_of(b"x") == {"X-Signature": hex_of(b"x")}


@pytest.mark.parametrize(
    ("template", "signed"),
    [
        ("{timestamp}.{body}", b"17.B"),
        ("{id}:{event}:{body}", b"msg_1:order.paid:B"),
        ("{method} {path}\n{body}", b"PUT /in/%7Bbody%7D\nB"),
        ("{body}{body}", b"BB"),
        ('{"a": {}, {body}', b'{"a": {}, B'),
        ("{timestamp}", b"17"),
        ("no hole, é", "no hole, é".encode()),
    ],
)
def test_the_template_says_what_is_signed(template, signed):
    assert headers_of(b"B", template=template)["X-Signature"] == hex_of(signed)


@given(body=st.binary(max_size=200))
def test_braces_in_the_body_mean_nothing(body):
    body = b"{timestamp}%s{0}{" + body
    assert headers_of(body, template="{id}{body}")["X-Signature"] == hex_of(b"msg_1" + body)


def test_encoding_algorithm_prefix_and_headers_are_free():
    headers = headers_of(
        b"B",
        header="Authorization",
        algorithm="sha512",
        encoding="base64",
        prefix="HMAC t={timestamp}, s=",
        timestamp_header="X-Time",
        id_header="X-Id",
        event_header="X-Event",
    )
    signature = base64.b64encode(hmac.digest(b"key", b"B", "sha512")).decode()
    assert headers == {
        "Authorization": f"HMAC t=17, s={signature}",
        "X-Time": "17",
        "X-Id": "msg_1",
        "X-Event": "order.paid",
    }


def test_what_is_signed_is_what_the_header_says():
    headers = headers_of(b"", "é", template="{id}", id_header="X-Id")
    assert headers["X-Signature"] == hex_of(headers["X-Id"].encode())
