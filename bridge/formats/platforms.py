"""Formats of platforms: Keycloak, OpenStack, Debezium, GitLab; Splynx, Phlix, Plinqx and Cockpit."""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from bridge.core.event import Decoded, Message
from bridge.formats.parse import parse
from bridge.formats.text import by_lower_name, from_milliseconds, from_text, from_value, text_of, utc_text

# Keycloak's events, as its RabbitMQ plugin publishes them: the routing key is the type.
# Source: aznamier/keycloak-event-listener-rabbitmq, `KK.EVENT.ADMIN.<realm>.<result>.<resource>.<operation>` and
# `KK.EVENT.CLIENT.<realm>.<result>.<client>.<type>`; `time` is in milliseconds.


KEYCLOAK_APP_ID = "Keycloak"
KEYCLOAK_ROUTING_KEYS = "KK.EVENT."
"""The prefix of its routing keys."""
KEYCLOAK_KEYS = frozenset({"@class"})
_CLASSES = "com.github.aznamier.keycloak."


def is_keycloak_body(data: Any) -> bool:
    """Returns whether the plugin's class is named."""
    name = data.get("@class") if isinstance(data, dict) else None
    return isinstance(name, str) and name.startswith(_CLASSES)


def read_keycloak(data: Any, message: Message, _timezone: ZoneInfo) -> Decoded:
    """Returns the routing key as type, if it is one of Keycloak's, and the whole body as data."""
    return Decoded(
        type=next((key for key in _routing_keys(message) if key.startswith(KEYCLOAK_ROUTING_KEYS)), None),
        data=data,
        time=from_milliseconds(data.get("time")) if isinstance(data, dict) else None,
    )


def _routing_keys(message: Message) -> Iterator[str]:
    """Yield the message's routing key, then those from before it was dead-lettered: a queue may replace the key."""
    yield message.routing_key
    deaths = message.headers.get("x-death")
    for death in deaths if isinstance(deaths, list) else ():
        keys = death.get("routing-keys") if isinstance(death, Mapping) else None
        yield from (key for key in (keys if isinstance(keys, list) else ()) if isinstance(key, str))


# OpenStack notifications by oslo.messaging: JSON text in `oslo.message`; version 1 has no such envelope.
# Source: oslo.messaging, `common.serialize_msg` and `notify.notifier`. Keys `_context_*` carry the request's context
# with tokens, which are removed from the data.


OSLO_KEYS = frozenset({"oslo.message", "publisher_id"})
_SECRET = re.compile(r"token|password|secret", re.IGNORECASE)


def is_oslo_body(data: Any) -> bool:
    """Returns whether the body is the envelope, or a notification without one."""
    if not isinstance(data, dict):
        return False
    if isinstance(data.get("oslo.message"), (str, dict)):
        return True
    return (
        isinstance(data.get("event_type"), str)
        and "publisher_id" in data
        and "payload" in data
        and ("priority" in data or "message_id" in data)
    )


def read_oslo(data: Any, _message: Message, _timezone: ZoneInfo) -> Decoded:
    """Returns type, id, time (UTC) and payload of the notification; without a payload, everything but its secrets."""
    inner = _notification(data)
    if not isinstance(inner, dict):
        return Decoded(data=data)
    kind = inner.get("event_type")
    return Decoded(
        type=kind if isinstance(kind, str) else None,
        data=_without_secrets(inner.get("payload", inner)),
        time=from_text(inner.get("timestamp")),
        publisher_id=text_of(inner.get("message_id")) or text_of(inner.get("_unique_id")),
    )


def oslo_envelope(data: Any, _message: Message) -> Any:
    """Returns the notification without its secrets."""
    return _without_secrets(_notification(data))


def _notification(data: Any) -> Any:
    inner = data.get("oslo.message", data) if isinstance(data, dict) else data
    return parse(inner.encode(errors="surrogatepass")) if isinstance(inner, str) else inner


def _without_secrets(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {
        key: item for key, item in value.items() if not (key.startswith("_context_") and _SECRET.search(key))
    }


# Debezium's change events, with or without their schema; tombstones cannot be recognized.
# Source: Debezium documentation of the connectors: `op` (c, u, d, r, t, m), `source`, `before`, `after`, `ts_ms`.


DEBEZIUM_KEYS = frozenset({"op", "payload"})
_OPERATIONS = frozenset({"c", "u", "d", "r", "t", "m"})


def is_debezium_body(data: Any) -> bool:
    """Returns whether an operation and its source are present, in `payload` or in the body itself."""
    return isinstance(data, dict) and _change(data) is not None


def read_debezium(data: Any, _message: Message, _timezone: ZoneInfo) -> Decoded:
    """Returns schema (or database), table and operation as type, such as `public.orders.c`, the change as data."""
    change = _change(data) if isinstance(data, dict) else None
    if change is None:
        return Decoded(data=data)
    source = change["source"]
    parts = (
        source.get("schema") or source.get("db"),
        source.get("table") or source.get("collection"),
        change["op"],
    )
    return Decoded(
        type=".".join(part for part in parts if part and isinstance(part, str)),
        data=change,
        time=from_milliseconds(change.get("ts_ms")) or from_milliseconds(source.get("ts_ms")),
    )


def _change(data: dict[str, Any]) -> dict[str, Any] | None:
    payload = data.get("payload")
    for change in (payload, data):
        if isinstance(change, dict) and isinstance(change.get("source"), dict):
            operation = change.get("op")
            if isinstance(operation, str) and operation in _OPERATIONS:
                return change
    return None


# GitLab's webhooks and system hooks, which reach a queue through an inlet or a forwarder. Source: GitLab documentation,
# "Webhook events" and "System hooks". Forwarders may drop the headers; times are those of the event's object.


GITLAB_HEADERS = frozenset({"x-gitlab-event"})
GITLAB_KEYS = frozenset({"object_kind", "event_name"})
_CONTEXT = frozenset({"project_id", "group_id", "user_id", "username", "updated_at"})
_SUBJECTS = ("project_", "group_", "user_", "key_", "gitlab_")
_PUSHES = frozenset({"push", "tag_push", "repository_update"})
_OBJECT_TIMES = ("updated_at", "finished_at", "created_at")
_EVENT_TIMES = (
    "status_changed_at",
    "build_finished_at",
    "build_started_at",
    "build_created_at",
    "released_at",
    "updated_at",
    "created_at",
)


def is_gitlab_body(data: Any) -> bool:
    """Returns whether the body names a kind of object, or an event of a system hook."""
    if not isinstance(data, dict):
        return False
    if isinstance(data.get("object_kind"), str):
        return True
    name = data.get("event_name")
    if not isinstance(name, str) or _CONTEXT.isdisjoint(data):
        return False
    return name in _PUSHES or name.startswith(_SUBJECTS)


def read_gitlab(data: Any, message: Message, timezone: ZoneInfo) -> Decoded:
    """Returns object kind or event name as type, else the header's (`Push Hook`: `push`), and the body as data."""
    if not isinstance(data, dict):
        return Decoded(type=_by_header(message), data=data)
    name = data.get("object_kind") or data.get("event_name")
    return Decoded(
        type=name if isinstance(name, str) else _by_header(message), data=data, time=_time(data, timezone)
    )


def _by_header(message: Message) -> str | None:
    told = text_of(by_lower_name(message.headers).get("x-gitlab-event"))
    return told.strip().removesuffix(" Hook").replace(" ", "_").lower() if told else None


def _time(data: dict[str, Any], timezone: ZoneInfo) -> str | None:
    attributes = data.get("object_attributes")
    if isinstance(attributes, dict):
        for key in _OBJECT_TIMES:
            if found := from_text(attributes.get(key), timezone):
                return found
    for key in _EVENT_TIMES:
        if found := from_text(data.get(key), timezone):
            return found
    return None


ReadEvent = Callable[[Any, Message, ZoneInfo], Decoded]


# Splynx hooks of type queue: an object `type`, `call`, `data`, with the first two empty. Hooks of type webhook arrive through an
# inlet and may be posted as a form. Source: Splynx documentation, hooks.md, and its public receivers. Every key may be absent.


def reader(kind: str, data: str, time: str | None = None, or_time: str | None = None) -> ReadEvent:
    """Returns a function that reads type, data and time from these keys of the body."""

    def read(body: Any, _message: Message, timezone: ZoneInfo) -> Decoded:
        if not isinstance(body, dict):
            return Decoded(data=body)
        name = body.get(kind)
        at = body.get(time, body.get(or_time))
        return Decoded(
            type=name if isinstance(name, str) else None,
            data=body.get(data, body),
            time=None if at is None else from_value(at, timezone),
        )

    return read


def is_splynx_body(data: dict[str, Any]) -> bool:
    """Returns whether `data.model` is a PHP class, or the envelope holds an object of that shape."""
    inner = data.get("data")
    if not isinstance(inner, dict):
        return False
    model = inner.get("model")
    return isinstance(model, str) and ("\\" in model or ("call" in data and "type" in data))


def read_splynx(data: Any, _message: Message, timezone: ZoneInfo) -> Decoded:
    """Returns type, time and the inner `data` object; an envelope without one is returned whole."""
    if not isinstance(data, dict):
        return Decoded(data=data)
    inner = data.get("data", data)
    if not isinstance(inner, dict):
        return Decoded(type=_type_of_envelope(data), data=inner)
    return Decoded(
        type=_type_of_model(inner) or _type_of_envelope(data),
        data=inner,
        time=_splynx_time(inner.get("date"), inner.get("time"), timezone),
    )


def _type_of_model(inner: dict[str, Any]) -> str | None:
    model = inner.get("model")
    if not isinstance(model, str) or not model:
        return None
    parts = [part for part in model.rsplit("\\", 2)[-2:] if part]
    action = inner.get("action")
    if isinstance(action, str) and action:
        parts.append(action)
    return ".".join(parts).lower()


def _type_of_envelope(data: dict[str, Any]) -> str | None:
    """Returns `call` with dots, else `type` (a ping has nothing else), unless that is only "event"."""
    call = data.get("call")
    if isinstance(call, str) and call:
        return call.replace("/", ".").lower()
    kind = data.get("type")
    return kind if isinstance(kind, str) and kind != "event" else None


def _splynx_time(date: Any, time: Any, timezone: ZoneInfo) -> str | None:
    if isinstance(date, str) and isinstance(time, str) and len(date) == 10 and 0 < len(time) <= 32:
        return _in_utc(date, time, timezone)
    return None


@lru_cache(maxsize=64)  # cached: events of one second share it, and it costs more than parsing the body
def _in_utc(date: str, time: str, timezone: ZoneInfo) -> str | None:
    """Returns the publisher's local time in UTC, None for an invalid date.

    A time skipped by a clock change gets the offset before it; an ambiguous time is the first one.
    """
    try:
        moment = datetime.fromisoformat(f"{date}T{time}")
    except ValueError:
        return None
    return utc_text(moment if moment.tzinfo else moment.replace(tzinfo=timezone))


# Phlix's webhooks and its unsigned subscription deliveries, which use `timestamp` for `occurred_at`. Source:
# detain/phlix-server, `src/Webhooks`. Its documentation calls the time `timestamp` everywhere.


def is_phlix_body(data: dict[str, Any]) -> bool:
    """Returns whether all keys of either kind are present."""
    return (
        "event_type" in data
        and "payload" in data
        and ("occurred_at" in data or ("event_id" in data and "delivery_id" in data))
        and isinstance(data["event_type"], str)
    )


read_phlix = reader("event_type", "payload", "occurred_at", "timestamp")


# Plinqx's webhooks: `event`, `timestamp`, `data`, and mostly `metadata`. Source: Plinqx documentation, admin webhooks.


def is_plinqx_body(data: dict[str, Any]) -> bool:
    """Returns whether an event, a time as text and data are present."""
    return (
        "event" in data
        and "data" in data
        and isinstance(data.get("timestamp"), str)
        and isinstance(data["event"], str)
    )


read_plinqx = reader("event", "data", "timestamp")


# Cockpit's webhooks: version 1 sends `event`, `hook`, `backend` and `args`, version 2 only the arguments. Source:
# agentejo/cockpit, `modules/Cockpit/webhooks.php`, and the documentation of Cockpit Pro. An event for one collection
# has its name at the end: `collections.save.after.articles`.


def is_cockpit_body(data: dict[str, Any]) -> bool:
    """Returns whether all four keys of version 1 are present; a bare array of arguments is not specific enough."""
    return (
        "hook" in data
        and "backend" in data
        and isinstance(data.get("args"), list)
        and isinstance(data.get("event"), str)
    )


read_cockpit = reader("event", "args")
