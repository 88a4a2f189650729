"""Handshakes: requests by which a sender validates an endpoint. They are answered and create no events.

Sources: CloudEvents, "HTTP 1.1 Web Hooks for Event Delivery", section 4; WebSub, section 5.3, and Meta's "Verification
Requests"; Slack, "URL verification handshake"; Microsoft Graph, "Receive change notifications"; Azure Event Grid,
"Endpoint validation with Event Grid event schema".
"""

import hmac
import json
import re
from collections.abc import Mapping

from bridge.core.base import value
from bridge.core.inlet import Handshake, Inlet
from bridge.formats.parse import parse

ORIGIN = "webhook-request-origin"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "REPORT", "SEARCH"})
"""Methods that never carry an event (safe methods, RFC 9110, 9.2.1)."""

_LONGEST_BODY = 65_536
_TOKEN = re.compile(r"[\x21-\x7e]{1,255}")
_CHALLENGE = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,4096}")
_EVENT_GRID = "Microsoft.EventGrid.SubscriptionValidationEvent"


@value(frozen=True, slots=True)
class Greeting:
    """The response to a handshake."""

    label: str
    status: int = 200
    text: str = ""
    content_type: str = "text/plain"
    headers: tuple[tuple[str, str], ...] = ()


PROBE = Greeting("probe", text="ok")
DENIED = Greeting("refused", 404, "not wanted here")
"""404 because a hub treats it as a refusal (WebSub, 5.3.1), and other senders do not distinguish."""


@value(frozen=True, slots=True)
class Question:
    """A request's method, query and headers, header names in lower case."""

    method: str
    query: Mapping[str, str]
    headers: Mapping[str, str]


class Handshakes:
    """The handshakes of one inlet."""

    def __init__(self, inlet: Inlet) -> None:
        self._by_type = {each.type: each for each in inlet.handshakes}
        self._cloudevents = self._by_type.get("cloudevents") or Handshake(type="cloudevents")
        self._methods = frozenset(inlet.methods)
        self._allow = ", ".join(inlet.methods) or "POST"
        self._told_by_body = not self._by_type.keys().isdisjoint({"slack", "eventgrid"})

    def greet(self, asked: Question) -> Greeting | None:
        """Returns the response to a handshake without a body; None for an event whose method the inlet accepts."""
        if asked.method == "OPTIONS" and ORIGIN in asked.headers:
            return self._permission(asked.headers)
        if (hub := self._by_type.get("hub")) and asked.method == "GET" and "hub.challenge" in asked.query:
            return _hub(hub, asked.query)
        if "graph" in self._by_type and (token := _graph_token(asked.query)):
            return _echo(token)
        if (query := self._by_type.get("query")) and asked.method == "GET" and query.name in asked.query:
            return _echo(asked.query[query.name])
        return PROBE if self._is_probe(asked.method) else None

    def greet_verified(self, body: bytes) -> Greeting | None:
        """Returns the response to a handshake in a verified request's body, or None for an event."""
        if not self._told_by_body or len(body) > _LONGEST_BODY:
            return None
        data = parse(body)
        if "slack" in self._by_type and isinstance(data, dict) and data.get("type") == "url_verification":
            challenge = data.get("challenge")
            return _echo(challenge) if isinstance(challenge, str) else None
        if "eventgrid" in self._by_type and (code := _validation_code(data)):
            return Greeting("handshake", 200, json.dumps({"validationResponse": code}), "application/json")
        return None

    def _is_probe(self, method: str) -> bool:
        """Returns whether this is a probe: with a list of methods only HEAD, as part of GET, others get 405."""
        if not self._methods:
            return method in SAFE_METHODS
        return method == "HEAD" and "GET" in self._methods and "HEAD" not in self._methods

    def _permission(self, headers: Mapping[str, str]) -> Greeting:
        origin = headers[ORIGIN].strip()
        allowed = self._cloudevents.origins
        if not _TOKEN.fullmatch(origin) or (allowed and origin.lower() not in map(str.lower, allowed)):
            return DENIED
        rate = "*" if self._cloudevents.rate is None else str(self._cloudevents.rate)
        told = (("WebHook-Allowed-Origin", origin), ("WebHook-Allowed-Rate", rate), ("Allow", self._allow))
        return Greeting("handshake", headers=told)


def _hub(settings: Handshake, query: Mapping[str, str]) -> Greeting:
    """Confirm subscriptions only: anybody who can reach the path could end a subscription otherwise."""
    if query.get("hub.mode") != "subscribe":
        return DENIED
    if settings.topics and query.get("hub.topic") not in settings.topics:
        return DENIED
    if settings.token is not None:
        given = query.get("hub.verify_token", "").encode(errors="replace")
        if not hmac.compare_digest(given, settings.token.get_secret_value().encode()):
            return DENIED
    return _echo(query["hub.challenge"])


def _graph_token(query: Mapping[str, str]) -> str | None:
    """Returns the token; SharePoint writes the name in lower case."""
    return next((text for name, text in query.items() if name.lower() == "validationtoken"), None)


def _validation_code(data: object) -> str | None:
    first = data[0] if isinstance(data, list) and len(data) == 1 else None
    if not isinstance(first, dict) or first.get("eventType") != _EVENT_GRID:
        return None
    told = first.get("data")
    code = told.get("validationCode") if isinstance(told, dict) else None
    return code if isinstance(code, str) and _CHALLENGE.fullmatch(code) else None


def _echo(challenge: str) -> Greeting:
    """Returns the challenge as plain text, never as HTML: its content may come from an attacker's link."""
    return Greeting("handshake", text=challenge) if _CHALLENGE.fullmatch(challenge) else DENIED
