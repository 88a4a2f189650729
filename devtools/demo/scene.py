"""What makes a demo worth looking at: besides healthy hooks one that fails, one that is gone, a message in quarantine, a replay."""

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

from devtools.project import SetupError, say

ORDERS = "orders"
HOOKS = ("erp", "old-shop")
"""The hooks that are made over the API."""
ANSWERS = {"/erp": 503, "/old-shop": 410}
SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "required": ["order", "customer", "total"],
    "properties": {"order": {"type": "integer"}, "customer": {"type": "string"}, "total": {"type": "number"}},
}
TYPE = "order.created"
SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SECONDS = 30
_DIRECT = build_opener(ProxyHandler({}))


def source(queue: str, folder: Path) -> dict[str, object]:
    """The source of the orders, with a schema that one of them does not satisfy."""
    schema = folder / "order.schema.json"
    schema.write_text(json.dumps(SCHEMA), encoding="utf-8")
    dimensions = {"customer": "event.data.customer", "total": "event.data.total"}
    return {
        "name": ORDERS,
        "queue": queue,
        "format": "json",
        "schema": str(schema),
        "dimensions": dimensions,
    }


def orders() -> Iterator[bytes]:
    """Their bodies; the last one does not satisfy the schema: its customer is a number."""
    for number, (customer, total) in enumerate(
        (("ada", 99.5), ("grace", 12), ("ada", 45), ("linus", 7.25)), 4711
    ):
        yield json.dumps({"order": number, "customer": customer, "total": total}).encode()
    yield json.dumps({"order": 4715, "customer": 17, "total": 30}).encode()


class _Trouble(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(ANSWERS.get(self.path, 404))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Says nothing: the bridge tells of each answer."""


@contextmanager
def trouble() -> Iterator[str]:
    """An endpoint that takes nothing; its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Trouble)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Api:
    """The API of the demo's bridge."""

    def __init__(self, address: str, token: str) -> None:
        self._address, self._token = address, token

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """The document that is answered; raises SetupError for a refusal."""
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = Request(f"{self._address}/api/v1{path}", data=data, headers=headers, method=method)
        try:
            with _DIRECT.open(request, timeout=10) as response:
                return json.loads(response.read() or b"null")
        except HTTPError as error:
            with error:
                raise SetupError(f"{method} {path}: {error.read().decode()}") from None

    def make_hooks(self, url: str) -> Iterator[str]:
        """Makes the hooks that have trouble; their ids."""
        for name in HOOKS:
            target = {"type": "webhook", "url": f"{url}/{name}", "secrets": [SECRET]}
            retry = {"schedule": ["1s"], "jitter": 0}
            asked = {"name": name, "events": [TYPE], "retry": retry, "target": target}
            yield self.ask("POST", "/hooks", asked)["id"]

    def await_failures(self) -> bool:
        """Waits until an order has failed for good; False if that takes too long."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            if self.ask("GET", "/deliveries?hook=erp&status=FAILED")["items"]:
                return True
            time.sleep(0.1)
        return False

    def replay(self) -> None:
        """Starts the replay of what has failed."""
        self.ask("POST", "/replays", {"filter": {"hook": "erp", "status": ["FAILED"]}, "rate": "50/s"})
        say("demo", "erp fails, old-shop is gone, one order is in quarantine, a replay was made: see the UI")
