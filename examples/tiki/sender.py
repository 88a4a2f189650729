"""What a CRM sends to the address that its administrator pasted from Tiki: signed as Tiki verifies it."""

import base64
import hashlib
import hmac
from pathlib import Path


def request(secret: str) -> tuple[str, dict[str, str], bytes]:
    """Path, headers and body."""
    body = Path(__file__).with_name("event.json").read_bytes()
    signature = base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()
    headers = {"Content-Type": "application/json", "Webhook-Signature": signature}
    return "/tiki-webhooks.php", headers, body
