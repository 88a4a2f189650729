"""The ids of an event: the publisher's own, and the one that receivers see on every attempt."""

from hashlib import sha256

MAX_ID = 512
"""Characters of a publisher's id; it travels in the headers of copies."""


def fitting_id(text: str) -> str:
    """The id, or where it is over 512 characters its beginning and a digest of the whole."""
    if len(text) <= MAX_ID:
        return text
    digest = sha256(text.encode(errors="surrogatepass")).hexdigest()
    return f"{text[: MAX_ID - 72]}~sha256:{digest}"


def webhook_id(source: str, publisher_id: str, body: bytes) -> str:
    """A UUID (version 8) made from where the event came from, the publisher's id and the body.

    So it survives a crash after which the broker hands the message over once more, and two bodies under one
    publisher id stay two. Only for events whose publisher gave an id; all others go by the event's own id.
    """
    name = f"{len(source)}:{source}{len(publisher_id)}:{publisher_id}"
    digest = sha256(name.encode(errors="surrogatepass"))
    digest.update(body)
    text = digest.hexdigest()
    variant = "89ab"[int(text[16], 16) & 3]
    # version 8 is for recipes of one's own (RFC 9562, 5.8)
    return f"{text[:8]}-{text[8:12]}-8{text[13:16]}-{variant}{text[17:20]}-{text[20:32]}"
