"""Command lines with curl: what they send is what the bridge would send."""

import http.server
import shutil
import subprocess
import threading
from collections.abc import Iterator
from queue import Queue
from typing import Any

import pytest

from bridge.ui.curl import command

BODIES = [
    b"",
    b"{}",
    b'{"a": "it\'s"}',
    b"'",
    b"''\"\"``",
    b"$HOME $(id) `id` ${X}",
    b"\\n \\0 \\\\ \\101",
    b"%s %d %% %",
    b"-n -e --",
    b"@/etc/passwd",
    b"line\nline\n",
    b"\n",
    b"\r\n\r\n",
    b"\t\t",
    b"\x00",
    b"a\x00b",
    bytes(range(256)),
    b"\xff\xfe",
    b"\xc3\x28",
    "zażółć 漢字 🎉".encode(),
    "\u202e\u2066".encode(),
    "\u2028\u2029".encode(),
    b"!history !!",
    b"# no comment",
    b"a; rm -rf /; b",
    b"a && b || c | d > e",
    b"*?[a-z]{1,2}~",
    b"</script><img src=x onerror=alert(1)>",
    b"\x1b[31m",
    b"x" * 20_000,
]


@pytest.fixture
def receiver() -> Iterator[tuple[str, "Queue[tuple[Any, bytes]]"]]:
    got: Queue[tuple[Any, bytes]] = Queue()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.put((self.headers, self.rfile.read(int(self.headers["Content-Length"] or 0))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/in?a=[1]&b='x'", got
    server.shutdown()
    thread.join()
    server.server_close()


def a_request(url: str, *headers: tuple[str, str]) -> dict[str, Any]:
    told = [{"name": name, "value": value} for name, value in headers]
    return {"type": "webhook", "method": "POST", "to": url, "headers": told}


def run(text: str, **variables: str) -> None:
    done = subprocess.run(
        ["sh"],
        check=False,
        input=text.encode(),
        env={"PATH": "/usr/bin:/bin", **variables},
        capture_output=True,
        timeout=20,
    )
    assert done.returncode == 0, (text, done.stderr)


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_a_body_arrives_byte_for_byte(receiver, body: bytes):
    url, got = receiver
    text = command(a_request(url, ("Content-Type", "application/json"), ("X-It's", "a 'b' $c")), body)
    assert text is not None
    run(text)
    headers, arrived = got.get(timeout=10)
    assert arrived == body
    assert (headers["Content-Type"], headers["X-It's"]) == ("application/json", "a 'b' $c")


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_secrets_come_from_variables_and_signatures_are_left_out(receiver):
    url, got = receiver
    text = command(
        a_request(url, ("Authorization", "Bearer ***"), ("webhook-signature", "v1,abc..."), ("Host", "x")),
        b"{}",
    )
    assert text is not None
    assert "# left out, as they are of the moment: webhook-signature" in text
    run(text, AUTHORIZATION='it\'s a "secret"')
    headers, _ = got.get(timeout=10)
    assert headers["Authorization"] == 'Bearer it\'s a "secret"'
    assert headers["webhook-signature"] is None
    assert headers["Content-Type"] is None


def test_other_targets_have_no_command():
    assert command({"type": "queue", "method": None, "to": "q", "headers": []}, b"") is None
