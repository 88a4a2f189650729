"""A receiver of Splynx's webhooks, after its documentation (hooks, type webhook).

The signature is the hex HMAC-SHA1 of the body as it was sent, be it JSON or a form. A ping is answered before any
signature is looked at, and whatever is neither a ping nor an event is refused. JSON is only what says
`application/json` and nothing behind it, as in Splynx's own example: anything else is taken for a form.
"""

import hashlib
import hmac
import json
from urllib.parse import parse_qs


def answer(headers: dict[str, str], body: bytes, secret: str) -> tuple[int, str]:
    """Status code and text; names of headers are in lower case."""
    kind = kind_of(headers.get("content-type", ""), body)
    if kind == "ping":
        return 200, "ok"
    if kind != "event":
        return 400, f"unknown type {kind!r}"
    expected = hmac.new(secret.encode(), body, hashlib.sha1).hexdigest()
    if not hmac.compare_digest(expected.encode(), headers.get("x-splynx-signature", "").encode()):
        return 401, "bad signature"
    return 200, "ok"


def kind_of(content_type: str, body: bytes) -> str:
    """The key `type` of a JSON object or a form."""
    if content_type == "application/json":
        return str(json.loads(body).get("type", ""))
    return parse_qs(body.decode()).get("type", [""])[0]
