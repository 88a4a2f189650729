#!/usr/bin/env python3
"""A webhook receiver that verifies signatures, with nothing but Python's standard library.

    CRM_SECRET=whsec_... python3 receiver.py --port 9000 CRM_SECRET

The arguments are names of environment variables that hold secrets; each of them may sign. A request with a good
signature is answered with 200, any other with 401, and each is told in one line. To verify in a receiver of your
own, take the functions `standard`, `splynx` and `github`.
"""

import argparse
import base64
import hashlib
import hmac
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MOST_BODY = 16 * 1024 * 1024
TOLERANCE_SECONDS = 300
_COUNTING = threading.Lock()


class Unverified(Exception):
    """The request does not come from whom it should, or was changed on its way."""


def standard(headers: Mapping[str, str], body: bytes, secret: str) -> bool:
    """Standard Webhooks v1: HMAC-SHA256 over `id.timestamp.body`; several signatures may be listed."""
    stamp = headers.get("webhook-timestamp", "")
    if not stamp.isdecimal() or abs(time.time() - int(stamp)) > TOLERANCE_SECONDS:
        raise Unverified("webhook-timestamp is missing, too old or too new")
    if not secret.startswith("whsec_"):
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers.get('webhook-id', '')}.{stamp}.".encode() + body
    expected = "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    return any(same(expected, given) for given in headers["webhook-signature"].split())


def splynx(headers: Mapping[str, str], body: bytes, secret: str) -> bool:
    """Splynx: hex HMAC-SHA1 of the body."""
    return same(hmac.new(secret.encode(), body, hashlib.sha1).hexdigest(), headers["x-splynx-signature"])


def github(headers: Mapping[str, str], body: bytes, secret: str) -> bool:
    """GitHub: `sha256=` and the hex HMAC-SHA256 of the body."""
    expected = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return same(expected, headers["x-hub-signature-256"])


def same(expected: str, given: str) -> bool:
    """Compare in constant time: how long it takes must not tell how much of a guess was right."""
    return hmac.compare_digest(expected.encode(), given.encode())


SCHEMES = {"webhook-signature": standard, "x-splynx-signature": splynx, "x-hub-signature-256": github}


def verified(headers: Mapping[str, str], body: bytes, secrets: list[str]) -> str:
    """The name of the scheme by which a secret signed this body; raises Unverified. Header names are lower case."""
    for header, scheme in SCHEMES.items():
        if header in headers:
            if any(scheme(headers, body, secret) for secret in secrets):
                return scheme.__name__
            raise Unverified(f"{header} does not match the body")
    raise Unverified("there is no signature")


class Handler(BaseHTTPRequestHandler):
    """Answers 200 or 401 to every request."""

    protocol_version = "HTTP/1.1"  # which keeps connections open
    disable_nagle_algorithm = True
    secrets: list[str]
    failing = ""
    failures = 0

    def do_POST(self) -> None:
        """Read, verify, tell, answer."""
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > MOST_BODY:
            self.close_connection = True
            self.answer(413)
            return
        body = self.rfile.read(int(length))
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            outcome, status = f"verified  {verified(headers, body, self.secrets):<10}", 200
        except Unverified as error:
            outcome, status = f"REFUSED   {error}", 401
        if status == 200 and self.path == self.failing and self.fails_once_more():
            outcome, status = "answered  503 on purpose", 503
        # In one write: requests are handled by several threads, and lines must not mix.
        sys.stdout.write(f"{outcome}  {self.path:<12}  {len(body)} bytes\n")
        sys.stdout.flush()
        self.answer(status)

    def fails_once_more(self) -> bool:
        """Whether one of the failures that were asked for is left; requests are handled by several threads."""
        with _COUNTING:
            Handler.failures -= 1
            return Handler.failures >= 0

    do_PUT = do_PATCH = do_POST  # noqa: N815 -- names that the standard library asks for

    def answer(self, status: int) -> None:
        """A response without a body."""
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing more: each request has its line."""


class Server(ThreadingHTTPServer):
    """A thread for each connection."""

    # The usual 5 makes a burst of connections wait a second for the client's system to try again.
    request_queue_size = 128


def main() -> None:
    """Serve until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(description="A webhook receiver that verifies signatures.")
    parser.add_argument("--port", type=int, default=9000, help="0 takes any free one")
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 for other machines and containers")
    parser.add_argument("--failing", metavar="PATH", default="", help="answer 503 there at first")
    parser.add_argument("--times", type=int, default=2, help="how often, with --failing")
    parser.add_argument(
        "secret", nargs="+", metavar="VARIABLE", help="environment variable that holds a secret"
    )
    options = parser.parse_args()
    if missing := [name for name in options.secret if not os.environ.get(name)]:
        parser.error(f"not set: {', '.join(missing)}")
    Handler.failing, Handler.failures = options.failing, options.times
    Handler.secrets = [os.environ[name] for name in options.secret]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with Server((options.host, options.port), Handler) as server:
        print(f"listening on http://{options.host}:{server.server_address[1]}", flush=True)
        with suppress(KeyboardInterrupt):
            server.serve_forever()


if __name__ == "__main__":
    main()
