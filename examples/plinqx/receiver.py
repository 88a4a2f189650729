"""A receiver of Plinqx's webhooks, after its documentation.

The signature is the hex HMAC-SHA256 of the timestamp header and the body, one right after the other. The unit of the
timestamp is not published, so it is signed as text, and its age is judged by whoever knows more.
"""

import hashlib
import hmac
import json


def answer(headers: dict[str, str], body: bytes, secret: str) -> tuple[int, str]:
    """Status code and text; names of headers are in lower case."""
    signed = headers.get("x-plinqx-timestamp", "").encode() + body
    expected = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected.encode(), headers.get("x-plinqx-signature", "").encode()):
        return 401, "bad signature"
    event = json.loads(body)["event"]
    if headers.get("x-plinqx-event") != event:
        return 400, "header and body tell different events"
    return 200, event
