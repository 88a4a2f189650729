"""Requests as a signer makes them and a verifier sees them."""

from typing import Any

from bridge.core.inlet import Verifier
from bridge.core.target import Signature
from bridge.signing.profiles import signer, verifier
from bridge.signing.shapes import SignedRequest

NOW = 1_748_802_600
STANDARD = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PRIVATE = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
PUBLIC = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="


def request(headers: dict[str, str], body: bytes = b"{}", **more: str) -> SignedRequest:
    """A request with these headers, in any case."""
    return SignedRequest(body, {name.lower(): value for name, value in headers.items()}, **more)


def signed(profile: str, secrets: list[str], body: bytes, at: float = NOW, **options: Any) -> dict[str, str]:
    """The headers that a profile sends, by name."""
    made = signer(profile, secrets, Signature(**options), path="/in/x")
    return dict(made.headers(body, "msg_1", made.stamp(at), "order.paid"))


def reason(settings: dict[str, Any], asked: SignedRequest, now: float = NOW) -> str | None:
    """Why the verifier of these settings refuses; None when it does not."""
    refused = verifier(Verifier(**settings))(asked, now)
    return refused.reason if refused else None
