"""The request target of json://, xml:// and form:// as it stands in the URL.

Apprise decodes paths and queries and encodes them again, requests and urllib3 do so once more: %40 and %7E become
characters, %c3 becomes %C3, // becomes /. A receiver that compares or verifies what it was asked for means the bytes
that were written.
"""

import re
from typing import NamedTuple

from bridge.targets.web.endpoint import TARGET

_SCHEMES = frozenset({"json", "jsons", "xml", "xmls", "form", "forms"})
_PARTS = re.compile(r"[^:/?#]*://[^/?#]*(?P<path>[^?#]*)(?:[^?]*\?(?P<query>.*))?", re.DOTALL)
_PARAMETER = re.compile(r"(?:-|%2[dD])(?P<sent>.*)", re.DOTALL)
"""Options in the query are Apprise's own; those with a hyphen before their name are sent, without the hyphen."""


class Written(NamedTuple):
    """Path and query; the query None: what Apprise makes of it."""

    path: str
    query: str | None

    def instead_of(self, made: str) -> str:
        """The target to send in place of the one that was made of it."""
        query = made.partition("?")[2] if self.query is None else self.query
        return f"{self.path}?{query}" if query else self.path


def written(url: str, scheme: str, method: str) -> Written | None:
    """What the URL says of the target; None where the service asks for something else, or it is no valid URL.

    With GET Apprise puts the message into the query.
    """
    parts = _PARTS.match(url.strip())
    if scheme not in _SCHEMES or parts is None:
        return None
    sent = [
        found["sent"]
        for option in re.split("[&;]", parts["query"] or "")
        if (found := _PARAMETER.match(option))
    ]
    query = None if method == "GET" and scheme.startswith("form") else "&".join(sent)
    whole = Written(parts["path"] or "/", query)
    return whole if TARGET.fullmatch(whole.path + (query or "")) else None
