"""A receiver of Cockpit's webhooks: nothing is signed, so it goes by HTTP basic authentication.

The body is an object with the event's name, the webhook's name, whether the admin interface was at work, and the list
of the event's arguments. It may also be empty, when PHP could not write it as JSON. `secret` is `user:password`.
"""

import base64
import hmac
import json


def answer(headers: dict[str, str], body: bytes, secret: str) -> tuple[int, str]:
    """Status code and text; names of headers are in lower case."""
    expected = b"Basic " + base64.b64encode(secret.encode())
    if not hmac.compare_digest(expected, headers.get("authorization", "").encode()):
        return 401, "wrong user or password"
    if not body:
        return 200, "something happened"
    event = json.loads(body)
    return 200, f"{event['event']} with {len(event['args'])} arguments"
