"""The MQTT connection of Apprise's plugin, made to wait for the broker's word.

Apprise's plugin (2.2) publishes 10 ms after the TCP connection, whether or not the broker has accepted it; lets
paho-mqtt reconnect in a thread of its own, where no address gate stands; and cannot use TLS a second time after
a failed start. It keeps its client in an attribute, so it gets this one.
"""

import ssl
import threading
from collections.abc import Callable
from typing import Any

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from bridge.targets.notify.guard import current, lifted


class MqttRefused(ConnectionError):
    """The broker answered the CONNECT with no, for example because of the password."""


class Client(paho.Client):
    """Connects in the thread that sends, and only there; connected means accepted by the broker."""

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
        """As paho's, but once."""
        if not self._has_tls:
            # paho's default context verifies; a second call would raise.
            options["tls_version"] = ssl.PROTOCOL_TLS_CLIENT
            super().tls_set(*args, **options)
            self._has_tls = True

    def reconnect(self) -> MQTTErrorCode:
        """Connect and wait for the broker's answer; connect() ends here too. Raises OSError."""
        self.stop()
        self._word.clear()
        self._no = ""
        code = super().reconnect()
        if code == MQTTErrorCode.MQTT_ERR_SUCCESS:
            self.loop_start()
            self._await_word()
        return code

    def loop_start(self) -> MQTTErrorCode:
        """As paho's."""
        with lifted():
            return super().loop_start()

    def stop(self) -> None:
        """Close the connection and end paho's thread."""
        self.disconnect()
        self.loop_stop()
        # paho 2.2 forgets the sockets with which it wakes that thread, and loop_start() makes new ones.
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
    """Give the plugin its client, one sender at a time; returns what closes the connection."""
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
