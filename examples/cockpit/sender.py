"""What Cockpit (v1) sends when an entry of a collection is saved: within a second or not at all, and only once."""

import base64
from pathlib import Path


def request(secret: str) -> tuple[str, dict[str, str], bytes]:
    """Path, headers and body; `secret` is `user:password`."""
    body = Path(__file__).with_name("event.json").read_bytes()
    credentials = base64.b64encode(secret.encode()).decode()
    headers = {"Content-Type": "application/json", "Authorization": f"Basic {credentials}"}
    return "/in/cockpit", headers, body
