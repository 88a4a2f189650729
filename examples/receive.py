#!/usr/bin/env python3
"""Be one of the receivers in this folder, with nothing but Python's standard library.

    PHLIX_SECRET=... python3 examples/receive.py phlix --port 9000

Each request is answered as that system's receivers answer it, and told in one line. What decides is the function
`answer` in <system>/receiver.py, which knows nothing of the bridge.
"""

import argparse
import os
import runpy
import signal
import sys
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

MOST_BODY = 16 * 1024 * 1024
HERE = Path(__file__).parent
SYSTEMS = sorted(file.parent.name for file in HERE.glob("*/receiver.py") if "def answer" in file.read_text())


def handler(answer, secret: str) -> type[BaseHTTPRequestHandler]:  # noqa: ANN001 -- (headers, body, secret) -> (status, text)
    """Requests are read whole, and answered by `answer`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # which keeps connections open

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(min(length, MOST_BODY))
            status, text = answer({name.lower(): value for name, value in self.headers.items()}, body, secret)
            # In one write: requests are handled by several threads, and lines must not mix.
            sys.stdout.write(f"{status}  {text:<40}  {self.path}  {len(body)} bytes\n")
            sys.stdout.flush()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        do_PUT = do_PATCH = do_POST  # noqa: N815 -- names that the standard library asks for

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Say nothing more: each request has its line."""

    return Handler


def main() -> None:
    """Serve until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(description="Receive webhooks as one of the systems does.")
    parser.add_argument("system", choices=SYSTEMS)
    parser.add_argument("--port", type=int, default=9000, help="0 takes any free one")
    options = parser.parse_args()
    variable = f"{options.system.upper()}_SECRET"
    if not os.environ.get(variable):
        parser.error(f"not set: {variable}")
    answer = runpy.run_path(str(HERE / options.system / "receiver.py"))["answer"]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with ThreadingHTTPServer(("127.0.0.1", options.port), handler(answer, os.environ[variable])) as server:
        print(f"listening on http://127.0.0.1:{server.server_address[1]}", flush=True)
        with suppress(KeyboardInterrupt):
            server.serve_forever()


if __name__ == "__main__":
    main()
