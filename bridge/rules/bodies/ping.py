"""What a system sends to a new webhook, or when somebody asks, to see whether it is there."""


def ping_body(profile: str) -> bytes | None:
    """The body of a ping as the profile's system sends it, as JSON; None where the system knows no such thing.

    It is signed like any other body. Splynx's receivers answer it with 200 and `ok` before they look at the
    signature (Splynx's documentation of hooks, "Webhook").
    """
    return b'{"type":"ping"}' if profile == "splynx" else None
