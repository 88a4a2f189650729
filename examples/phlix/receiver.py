"""A receiver of Phlix's webhooks, after its guide to verification.

`X-Phlix-Signature-V2` wins where it is present: `t=<unix seconds>,v1=<hex>`, several v1 while a secret is rotated, over
"<t>." and the body, and not older or newer than 300 seconds. `X-Phlix-Signature` is `sha256=` and the hex HMAC of the
body.
"""

import hashlib
import hmac
import json
import time

TOLERANCE_SECONDS = 300


def answer(headers: dict[str, str], body: bytes, secret: str) -> tuple[int, str]:
    """Status code and text; names of headers are in lower case."""
    if "x-phlix-signature-v2" in headers:
        verified = fresh_and_signed(headers["x-phlix-signature-v2"], body, secret)
    else:
        expected = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        verified = same(expected, headers.get("x-phlix-signature", ""))
    if not verified:
        return 401, "bad signature"
    event = json.loads(body)
    return 200, f"{event['event_type']} at {event['occurred_at']}"


def fresh_and_signed(header: str, body: bytes, secret: str) -> bool:
    """Whether one of the v1 values signs time and body, and the time is about now."""
    parts = [part.strip().partition("=") for part in header.split(",")]
    stamp = next((value for name, _, value in parts if name == "t"), "")
    if not stamp.isdecimal() or abs(time.time() - int(stamp)) > TOLERANCE_SECONDS:
        return False
    expected = hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return any(same(expected, value) for name, _, value in parts if name == "v1")


def same(expected: str, given: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(expected.encode(), given.encode())
