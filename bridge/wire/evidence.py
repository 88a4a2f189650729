"""Evidence of attempts: requests and responses without bodies, read back from their compact form.

Most of it is the same in many attempts: the address, the names of headers, nearly all of their values. That part is a
`Form`, which is stored once; an attempt stores the ids of two forms, a digest of the body, and the values that change.
bridge.targets.evidence makes them.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from bridge.core.delivery import Evidence, KnownEvidence

Pair = tuple[str, str]


def unfolded(evidence: Evidence) -> KnownEvidence:
    """Returns the evidence of an attempt that was just made, for display."""
    heard = evidence.heard
    return told(evidence.sent.text, heard.text if heard else None, evidence.digest, evidence.values)


def told(sent: str, heard: str | None, body: str, values: Sequence[str]) -> KnownEvidence:
    """Returns the evidence of two forms' texts and the changed values, for display."""
    about, rest = json.loads(sent), iter(values)
    always = ((name, value) for name, value in about.get("always", ()))
    headers = (*always, *_filled(about["headers"], rest))
    answered = None if heard is None else tuple(_filled(json.loads(heard)["headers"], rest))
    return KnownEvidence(
        about["type"], about["to"], about.get("method"), about["settings"], headers, body, answered
    )


def _filled(headers: Sequence[Any], values: Iterator[str]) -> Iterator[Pair]:
    for name, value in headers:
        yield name, next(values, "") if value is None else value
