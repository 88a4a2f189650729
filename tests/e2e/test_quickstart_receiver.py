import base64
import hashlib
import hmac
import http.client
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from standardwebhooks import Webhook

QUICKSTART = Path(__file__).parents[2] / "examples" / "quickstart"
STANDARD = "whsec_" + base64.b64encode(b"k" * 32).decode()
PLAIN = "a plain secret"
BODY = '{"id":1}'


class Receiver:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.port = int(self.line().rpartition(":")[2])

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def post(self, headers: dict[str, str], body: str = BODY) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("POST", "/in", body.encode(), headers)
            response = connection.getresponse()
            response.read()
            return response.status
        finally:
            connection.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with subprocess.Popen(
        [sys.executable, "-W", "error", QUICKSTART / "receiver.py", "--port", "0", "ONE", "TWO"],
        env=os.environ | {"ONE": PLAIN, "TWO": STANDARD},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        yield Receiver(process)
        process.terminate()
        assert process.wait(10) == 0


def standard(at: datetime | None = None, secret: str = STANDARD) -> dict[str, str]:
    at = at or datetime.now(tz=UTC)
    signature = Webhook(secret).sign("msg_1", at, BODY)
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signature,
    }


def keyed(algorithm: str, secret: str = PLAIN) -> str:
    return hmac.new(secret.encode(), BODY.encode(), getattr(hashlib, algorithm)).hexdigest()


def test_a_good_signature_of_each_scheme_is_verified(receiver: Receiver) -> None:
    requests = {
        "standard": standard(),
        "splynx": {"X-Splynx-Signature": keyed("sha1")},
        "github": {"X-Hub-Signature-256": "sha256=" + keyed("sha256")},
    }
    for scheme, headers in requests.items():
        assert receiver.post(headers) == 200
        assert receiver.line().split() == ["verified", scheme, "/in", "8", "bytes"]


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        # Made when the test runs: a signature of when it was collected would be too old by then.
        (dict, "there is no signature"),
        (lambda: {"X-Splynx-Signature": keyed("sha1", "another secret")}, "does not match"),
        (lambda: {"X-Splynx-Signature": "ä"}, "does not match"),
        (lambda: standard(secret="whsec_" + base64.b64encode(b"x" * 32).decode()), "does not match"),
        (lambda: standard() | {"webhook-id": "msg_2"}, "does not match"),
        (lambda: standard(datetime.now(tz=UTC) - timedelta(minutes=6)), "too old"),
        (lambda: standard() | {"webhook-timestamp": "soon"}, "too old"),
    ],
)
def test_anything_else_is_refused_with_its_reason(
    receiver: Receiver, headers: Callable[[], dict[str, str]], reason: str
) -> None:
    assert receiver.post(headers()) == 401
    line = receiver.line()
    assert line.startswith("REFUSED")
    assert reason in line


def test_a_changed_body_is_refused(receiver: Receiver) -> None:
    assert receiver.post(standard(), body=BODY + " ") == 401


def test_a_burst_of_connections_is_taken_at_once(receiver: Receiver) -> None:
    receiver.process.send_signal(signal.SIGSTOP)
    with ExitStack() as opened:
        for _ in range(60):
            opened.enter_context(socket.create_connection(("127.0.0.1", receiver.port), timeout=0.5))
        receiver.process.send_signal(signal.SIGCONT)
    assert receiver.post(standard()) == 200


def test_a_missing_secret_is_named() -> None:
    argv = [sys.executable, str(QUICKSTART / "receiver.py"), "NO_SUCH_SECRET"]
    ended = subprocess.run(argv, capture_output=True, text=True, timeout=10, check=False)
    assert ended.returncode == 2
    assert "not set: NO_SUCH_SECRET" in ended.stderr


def test_the_script_announces_an_event_and_fails_for_good_for_anything_else() -> None:
    def run(stdin: str) -> tuple[int, str]:
        script = QUICKSTART / "announce.py"
        environment = {"PATH": os.environ["PATH"], "BRIDGE_EVENT_TYPE": "customers.customer.create"}
        ended = subprocess.run(
            [script], input=stdin, env=environment, capture_output=True, text=True, timeout=10, check=False
        )
        return ended.returncode, ended.stdout

    assert run('{"attributes":{"id":"1","name":"Dewey"}}') == (0, "customers.customer.create: Dewey\n")
    assert run('{"attributes":{"id":null}}') == (0, "customers.customer.create: None\n")
    for nonsense in ("", "{", "[]", "null", '{"attributes":[]}', '{"attributes":3}'):
        assert run(nonsense) == (65, ""), nonsense
