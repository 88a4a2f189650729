"""A ping is what the system's receivers know as one."""

import hashlib
import hmac
import json
from typing import get_args

import pytest

from bridge.bodies.builder import ping_body
from bridge.core.target import Profile, Signature
from bridge.signing.profiles import signer

SECRET = "splynx-secret-1"


def splynx_receiver(body: bytes, headers: dict[str, str]) -> tuple[int, str]:
    """The receiver of Splynx's documentation: a ping first, then the type, then the signature."""
    event = json.loads(body)
    if event["type"] == "ping":
        return 200, "ok"
    if event["type"] != "event":
        return 400, "unknown type"
    right = hmac.new(SECRET.encode(), body, hashlib.sha1).hexdigest()
    if not hmac.compare_digest(right, headers.get("X-Splynx-Signature", "")):
        return 401, "bad signature"
    return 200, "ok"


def test_a_splynx_receiver_takes_the_ping() -> None:
    body = ping_body("splynx")
    assert body is not None
    assert splynx_receiver(body, {}) == (200, "ok")
    assert splynx_receiver(body.replace(b"ping", b"event"), {}) == (401, "bad signature")


def test_the_ping_is_signed_as_splynx_signs_it() -> None:
    body = ping_body("splynx")
    assert body is not None
    made = signer("splynx", [SECRET], Signature())
    assert made.headers(body, "id", made.stamp(0.0), "ping") == [
        ("X-Splynx-Signature", "cb4c1210a5237ba7f3c0cde9b7b1186d7409d8e0")
    ]


@pytest.mark.parametrize("profile", [profile for profile in get_args(Profile) if profile != "splynx"])
def test_no_other_system_is_pinged(profile: str) -> None:
    assert ping_body(profile) is None
