"""What a Phlix server sends when playback ends: its own bytes, and both signatures."""

import hashlib
import hmac
import time
from pathlib import Path


def request(secret: str) -> tuple[str, dict[str, str], bytes]:
    """Path, headers and body."""
    body = Path(__file__).with_name("event.json").read_bytes()
    stamp = int(time.time())
    legacy = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    timed = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    headers = {
        "Content-Type": "application/json",
        "X-Phlix-Signature": f"sha256={legacy}",
        "X-Phlix-Signature-V2": f"t={stamp},v1={timed}",
    }
    return "/in/phlix", headers, body
