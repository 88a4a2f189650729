"""The conversion of calls' results to the Answer of an attempt."""

import json
import math
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from smtplib import SMTPException, SMTPRecipientsRefused, SMTPResponseException
from typing import Any, NamedTuple

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from bridge.core.delivery import Answer, Fault
from bridge.targets.notify.cutting import clean, one_line
from bridge.targets.notify.guard import PluginCall, PluginResponse, current, lifted
from bridge.wire.headers import retry_after

# An MQTT client for Apprise's plugin that waits for the broker's acknowledgement.
# Apprise's plugin (2.2) publishes 10 ms after the TCP connection, whether or not the broker has accepted it;
# lets paho-mqtt reconnect in its own thread, outside of the SSRF protection; and cannot use TLS a second time
# after a failed start. It keeps its client in an attribute, which is replaced by this client.


class MqttRefused(ConnectionError):
    """The broker rejected the CONNECT, for example because of the password."""


class MqttClient(paho.Client):
    """A client that connects only in the sending thread; connected means accepted by the broker."""

    def __init__(self, client_id: str | None, *, keep_session: bool, protocol: Any) -> None:
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=None if protocol == paho.MQTTv5 else not keep_session,
            protocol=protocol,
            reconnect_on_failure=False,
        )
        self._word = threading.Event()
        self._no = ""
        self._has_tls = False
        self.on_connect = self._heard

    def tls_set(self, *args: Any, **options: Any) -> None:
        """Configure TLS as paho does, but only once."""
        if not self._has_tls:
            # paho's default context verifies certificates; a second call would raise.
            options["tls_version"] = ssl.PROTOCOL_TLS_CLIENT
            super().tls_set(*args, **options)
            self._has_tls = True

    def reconnect(self) -> MQTTErrorCode:
        """Connect and wait for the broker's CONNACK; connect() calls this too. Raises OSError."""
        self.stop()
        self._word.clear()
        self._no = ""
        code = super().reconnect()
        if code == MQTTErrorCode.MQTT_ERR_SUCCESS:
            self.loop_start()
            self._await_word()
        return code

    def loop_start(self) -> MQTTErrorCode:
        """Start paho's thread."""
        with lifted():
            return super().loop_start()

    def stop(self) -> None:
        """Close the connection and stop paho's thread."""
        self.disconnect()
        self.loop_stop()
        # paho 2.2 leaks the sockets with which it wakes that thread, and loop_start() creates new ones.
        self._reset_sockets(sockpair_only=True)

    def _await_word(self) -> None:
        call = current()
        if not self._word.wait(call.left() if call else self.connect_timeout):
            self.stop()
            raise TimeoutError("the MQTT broker did not answer")
        if self._no:
            self.stop()
            raise MqttRefused(f"the MQTT broker refused: {self._no}")

    def _heard(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self._no = str(reason) if reason.is_failure else ""
        self._word.set()


def adopt(plugin: Any) -> Callable[[], None]:
    """Replace the plugin's client, for one sender at a time; returns the function that closes the connection."""
    client = MqttClient(plugin.client_id, keep_session=plugin.session, protocol=plugin.mqtt_protocol)
    client.connect_timeout = plugin.socket_connect_timeout
    client.max_inflight_messages_set(plugin.mqtt_inflight_messages)
    plugin.client = client
    plugin.mqtt_block_time_sec = 0.02
    plugin.send = _one_at_a_time(plugin.send)
    return client.stop


def _one_at_a_time(send: Callable[..., bool]) -> Callable[..., bool]:
    turn = threading.Lock()

    def in_turn(**message: Any) -> bool:
        call = current()
        if not turn.acquire(timeout=call.left() if call else -1):
            raise TimeoutError("earlier messages on this MQTT connection did not end in time")
        try:
            return send(**message)
        finally:
            turn.release()

    return in_turn


_LONGEST_TEXT = 300


class Result(NamedTuple):
    """The result of one URL; without a fault the whole message was delivered. `where` has no secrets."""

    where: str
    fault: Fault | None = None
    code: int | None = None
    text: str = ""
    retry_after: float | None = None
    response: bytes = b""

    @property
    def for_good(self) -> bool:
        """Returns whether the fault is permanent."""
        return self.fault is Fault.REDIRECT or (self.fault is Fault.STATUS and self.code == 410)


def result_of(where: str, call: PluginCall, *, sent: bool, speaks_http: bool, now: float) -> Result:
    """Returns the result of a finished call; `now` is in Unix seconds."""
    last = call.replies[-1] if call.replies else None
    if sent:
        return Result(where, code=last.code if last else None, response=last.body if last else b"")
    if call.refusal:
        return Result(where, Fault.BLOCKED_ADDRESS, text=call.refusal)
    refused = [reply for reply in call.replies if not 200 <= reply.code < 300]
    if refused or (last and call.error is None):
        return _answered(where, refused[-1] if refused else call.replies[-1], now)
    if call.error is not None:
        return _failed(where, call.error)
    return _untold(where, call, speaks_http=speaks_http)


def merged(results: Sequence[Result], done: tuple[str, ...], *, others_have_it: bool) -> Answer:
    """Returns the Answer of the attempt; `done` is everything that was delivered.

    If some of several URLs have the event, now or from earlier, the fault is PARTIAL. The circuit breaker does not
    count it, so the working URLs stay in use. Permanent faults count only if no other fault is left.
    """
    failed = [result for result in results if result.fault is not None]
    if not failed:
        first = results[0] if results else Result("")
        return Answer(code=first.code, response=first.response, done=done)
    waits = [result.retry_after for result in failed if result.retry_after is not None]
    hopeful = next((result for result in failed if not result.for_good), None)
    told = hopeful or failed[0]
    partial = others_have_it or len(failed) < len(results)
    return Answer(
        fault=Fault.PARTIAL if partial else told.fault,
        code=None if partial else told.code,
        retry_after=max(waits) if waits else None,
        response=told.response,
        error="; ".join(f"{result.where}: {result.text}" for result in failed),
        lasting=hopeful is None and (partial or told.fault is Fault.REDIRECT),
        done=done,
    )


def _untold(where: str, call: PluginCall, *, speaks_http: bool) -> Result:
    if speaks_http:
        # Apprise's log records before sending may quote the URL.
        return Result(where, Fault.CONTENT, text="nothing was sent: Apprise's plugin gave up before")
    told = _short("; ".join(call.lines)) or "the server did not confirm it"
    return Result(where, Fault.NOT_CONFIRMED, text=told)


def _answered(where: str, reply: PluginResponse, now: float) -> Result:
    code = reply.code
    said = _short(reply.body.decode("utf-8", "replace"))
    if 300 <= code < 400:
        text = f"answered {code}; redirects are not followed"
        return Result(where, Fault.REDIRECT, code, text, response=reply.body)
    what = "did not confirm it" if 200 <= code < 300 else ""
    text = ", ".join(part for part in (f"answered {code}", what) if part) + (f": {said}" if said else "")
    wait = retry_after([reply.retry_after], now) if reply.retry_after else _wait_in(reply)
    return Result(where, Fault.STATUS, code, text, wait, reply.body)


def _wait_in(reply: PluginResponse) -> float | None:
    """Returns the seconds to wait that Discord and Telegram put into the body of a 429."""
    if reply.code != 429:
        return None
    try:
        said: Any = json.loads(reply.body)
    except ValueError:
        return None
    for place in (said, said.get("parameters") if isinstance(said, dict) else None):
        wait = place.get("retry_after") if isinstance(place, dict) else None
        if isinstance(wait, int | float) and not isinstance(wait, bool) and math.isfinite(wait) and wait >= 0:
            return float(wait)
    return None


def _failed(where: str, error: OSError) -> Result:
    """Returns the result for the innermost exception of a chain; outer ones are wrappers of libraries."""
    chain = list(_chain(error))
    for one in chain:
        match one:
            case SMTPRecipientsRefused(recipients=dict(refusals)) if refusals:
                code, said = next(iter(refusals.values()))
                return _by_mail(where, code, said)
            case SMTPResponseException(smtp_code=code, smtp_error=said):
                return _by_mail(where, code, said)
            case _:
                pass
    for kind, fault in _KINDS:
        if found := next((one for one in chain if isinstance(one, kind)), None):
            return Result(
                where, fault, text=_short(getattr(found, "strerror", None) or str(found)) or fault.value
            )
    return Result(where, Fault.CONNECTION, text=_short(str(chain[-1])) or "the connection failed")


def _by_mail(where: str, code: int, said: bytes | str) -> Result:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    if not 200 <= code <= 599:
        return Result(where, Fault.CONNECTION, text=_short(text) or "the connection failed")
    return Result(where, Fault.STATUS, code, f"the mail server answered {code}: {_short(text)}")


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    for _ in range(10):
        if seen is None:
            return
        yield seen
        seen = seen.__cause__ or seen.__context__


def _short(text: str) -> str:
    return one_line(clean(text))[:_LONGEST_TEXT]


_KINDS: list[tuple[type[BaseException], Fault]] = [
    (MqttRefused, Fault.STATUS),
    (socket.gaierror, Fault.DNS),
    (ConnectionRefusedError, Fault.REFUSED),
    (ssl.SSLError, Fault.TLS),
    (TimeoutError, Fault.TIMEOUT),
    (SMTPException, Fault.CONNECTION),
]
