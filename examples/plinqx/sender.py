"""What Plinqx sends when an invocation is complete: its own bytes, and its three headers."""

import hashlib
import hmac
from datetime import UTC, datetime
from pathlib import Path


def request(secret: str) -> tuple[str, dict[str, str], bytes]:
    """Path, headers and body."""
    body = Path(__file__).with_name("event.json").read_bytes()
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    signature = hmac.new(secret.encode(), stamp.encode() + body, hashlib.sha256).hexdigest()
    headers = {
        "Content-Type": "application/json",
        "X-Plinqx-Event": "invocation.completed",
        "X-Plinqx-Timestamp": stamp,
        "X-Plinqx-Signature": signature,
    }
    return "/in/plinqx", headers, body
