"""An MQTT client for Apprise's plugin that waits for the broker's acknowledgement.

Apprise's plugin (2.2) publishes 10 ms after the TCP connection, whether or not the broker has accepted it; lets
paho-mqtt reconnect in its own thread, outside of the SSRF protection; and cannot use TLS a second time after a failed
start. It keeps its client in an attribute, which is replaced by this client.
"""

import ssl
import threading
from collections.abc import Callable
from typing import Any

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from bridge.targets.notify.guard import current, lifted


class MqttRefused(ConnectionError):
    """The broker rejected the CONNECT, for example because of the password."""


class Client(paho.Client):
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
    client = Client(plugin.client_id, keep_session=plugin.session, protocol=plugin.mqtt_protocol)
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
