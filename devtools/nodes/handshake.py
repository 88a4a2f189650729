"""Whether an AMQP broker really lets us in: a TCP port that accepts proves nothing."""

import socket
import ssl
import struct
import time
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import SplitResult, unquote, urlsplit

from pamqp import base, commands, exceptions, frame, header
from pamqp.common import FieldTable

# With it a broker says why it refuses; without, it just closes the connection.
CLIENT: FieldTable = {"capabilities": {"authentication_failure_close": True}}

Method = TypeVar("Method", bound=base.Frame)


class HandshakeError(Exception):
    """The broker cannot be used; the message says how far we got."""


@dataclass(frozen=True)
class Greeting:
    """What the broker says of itself."""

    product: str
    version: str


def shake_hands(url: str, timeout_seconds: float = 5) -> Greeting:
    """The greeting of the broker after user, password and virtual host were accepted.

    Synchronous and without a client library, so that it also serves inside a running event loop.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"amqp", "amqps"}:
        raise HandshakeError(f"not an AMQP URL: its scheme is {parts.scheme!r}")
    try:
        with connect(parts, timeout_seconds) as connection:
            return converse(Wire(connection, timeout_seconds), parts)
    except (OSError, exceptions.PAMQPException, ValueError) as error:
        raise HandshakeError(f"{parts.hostname}: {error or type(error).__name__}") from error


def connect(parts: SplitResult, timeout_seconds: float) -> socket.socket:
    """An open connection, encrypted when the URL says amqps."""
    host, secure = parts.hostname or "localhost", parts.scheme == "amqps"
    port = parts.port or (5671 if secure else 5672)
    plain = socket.create_connection((host, port), timeout=timeout_seconds)
    if not secure:
        return plain
    try:
        return ssl.create_default_context().wrap_socket(plain, server_hostname=host)
    except BaseException:
        plain.close()
        raise


class Wire:
    """Frames over a socket, all of them within one deadline."""

    def __init__(self, connection: socket.socket, timeout_seconds: float) -> None:
        self._connection = connection
        self._deadline = time.monotonic() + timeout_seconds

    def send(self, *frames: base.Frame | header.ProtocolHeader) -> None:
        """Sends on channel 0."""
        self._connection.sendall(b"".join(frame.marshal(each, 0) for each in frames))

    def expect(self, kind: type[Method]) -> Method:
        """The next frame, which has to be of this kind."""
        head = self._read(7)
        _, _, received = frame.unmarshal(head + self._read(struct.unpack(">I", head[3:])[0] + 1))
        if isinstance(received, kind):
            return received
        if isinstance(received, commands.Connection.Close):
            raise HandshakeError(f"the broker refused: {received.reply_code} {received.reply_text}")
        raise HandshakeError(f"expected {kind.__name__}, got {type(received).__name__}")

    def _read(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            self._connection.settimeout(max(0.01, self._deadline - time.monotonic()))
            chunk = self._connection.recv(count - len(data))
            if not chunk:
                raise ConnectionResetError("the broker closed the connection")
            data += chunk
        return data


def converse(wire: Wire, parts: SplitResult) -> Greeting:
    """The opening of a connection up to the point where channels could be opened, and its close."""
    connection = commands.Connection
    user, password = unquote(parts.username or "guest"), unquote(parts.password or "guest")
    wire.send(header.ProtocolHeader())
    start = wire.expect(connection.Start)
    wire.send(connection.StartOk(CLIENT, mechanism="PLAIN", response=f"\0{user}\0{password}"))
    tune = wire.expect(connection.Tune)
    wire.send(
        connection.TuneOk(tune.channel_max, tune.frame_max, heartbeat=0),
        connection.Open(virtual_host=unquote(parts.path[1:]) or "/"),
    )
    wire.expect(connection.OpenOk)
    wire.send(connection.Close(200, "thanks", 0, 0))
    wire.expect(connection.CloseOk)
    return greeting(start.server_properties)


def greeting(properties: FieldTable) -> Greeting:
    """What the broker's properties say, as far as they do."""
    return Greeting(str(properties.get("product", "unknown")), str(properties.get("version", "unknown")))
