"""How an inlet answers."""

from aiohttp import web

from bridge.http.problem import problem
from bridge.model.value import value
from bridge.rules.inlets.handshakes import Greeting

RETRY_AFTER = 5
"""Seconds after which a sender that got 503 may try again."""


@value(frozen=True, slots=True)
class Refusal:
    """A request that was not accepted; `label` is the metric's, `reason` for the log alone."""

    label: str
    status: int
    detail: str
    reason: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    close: bool = False
    """The connection cannot be used further: a body is unread."""

    def response(self) -> web.Response:
        """The problem (RFC 9457)."""
        response = problem(self.status, self.detail)
        response.headers.extend(self.headers)
        if self.close:
            response.force_close()
        return response


NOT_AUTHORIZED = Refusal("refused", 403, "Webhook not authorized.")
TOO_SLOW = Refusal("too_slow", 408, "the body did not arrive in time", close=True)
MALFORMED = Refusal("malformed", 400, "the body ended early or is not framed as HTTP has it", close=True)
TOO_MANY_HEADERS = Refusal("headers_too_large", 431, "more headers than a message can carry")


def greeted(greeting: Greeting) -> web.Response:
    """The answer to a question, in what a sender chose never taken for anything but text."""
    response = web.Response(
        status=greeting.status, text=greeting.text, content_type=greeting.content_type, charset="utf-8"
    )
    response.headers.extend(greeting.headers)
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def unavailable(reason: str, label: str = "unavailable", *, close: bool = False) -> Refusal:
    """Nothing was accepted, and the sender should try again soon; `reason` is for the log."""
    return Refusal(
        label,
        503,
        "the message cannot be taken now; try again",
        reason,
        (("Retry-After", str(RETRY_AFTER)),),
        close,
    )


def too_large(limit: int) -> Refusal:
    """A body over the limit, of which the rest is not read."""
    return Refusal("too_large", 413, f"the body is larger than {limit} bytes", close=True)


def wrong_method(method: str, allowed: tuple[str, ...]) -> Refusal:
    """A method that the inlet does not take."""
    names = ", ".join(allowed)
    return Refusal(
        "method", 405, f"{method} is not allowed here; allowed: {names}", headers=(("Allow", names),)
    )
