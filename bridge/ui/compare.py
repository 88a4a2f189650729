"""What differs between two attempts of a delivery."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from bridge.ui.words import visible

_MEMBERS = ("outcome", "status_code", "error", "response")
_SENT = ("method", "to", "body_sha256", "settings")


class Change(NamedTuple):
    """A member or header with its value before and after; empty: there was none."""

    name: str
    before: str
    after: str


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """Returns what differs between two attempts of the API, but for times."""
    found = [*_of(before, after, _MEMBERS)]
    sent, again = before.get("request") or {}, after.get("request") or {}
    if sent and again:
        found += _of(sent, again, _SENT)
        found += _headers(sent["headers"], again["headers"], "request")
    heard, now = before.get("response_headers"), after.get("response_headers")
    if heard is not None and now is not None:
        found += _headers(heard, now, "response")
    return found


def _of(before: Mapping[str, Any], after: Mapping[str, Any], names: tuple[str, ...]) -> Iterator[Change]:
    for name in names:
        one, other = before.get(name), after.get(name)
        if one != other:
            yield Change(name.replace("_", " "), _text(one), _text(other))


def _headers(before: list[Any], after: list[Any], which: str) -> Iterator[Change]:
    one, other = _joined(before), _joined(after)
    for name in [*one, *(name for name in other if name not in one)]:
        if one.get(name) != other.get(name):
            yield Change(f"{which} header {visible(name)}", _text(one.get(name)), _text(other.get(name)))


def _joined(pairs: list[Any]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for each in pairs:
        name = each["name"].lower()
        joined[name] = f"{joined[name]}, {each['value']}" if name in joined else each["value"]
    return joined


def _text(value: Any) -> str:
    return "" if value is None else visible(value)
