"""A Tiki with one webhook handler: verification `base64 hmac`, header `Webhook-Signature`.

Tiki compares base64(HMAC-SHA256(body)) with the header, whatever method, content type or body; it answers `ok`, or 403
to everything that no handler verifies.
"""

import base64
import hashlib
import hmac


def answer(headers: dict[str, str], body: bytes, secret: str) -> tuple[int, str]:
    """Status code and text; names of headers are in lower case."""
    expected = base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest())
    if not hmac.compare_digest(expected, headers.get("webhook-signature", "").encode()):
        return 403, "Webhook not authorized."
    return 200, "ok"
