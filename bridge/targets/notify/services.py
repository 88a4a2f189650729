"""Which of Apprise's services the bridge notifies by, and how each is set up.

Apprise has local ones as well (syslog, desktops, programs), and options that read files or fetch attachments:
only what is named here is ever constructed.
"""

import io
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
from apprise import Apprise, AppriseAsset
from apprise.common import OverflowMode, PersistentStoreMode
from apprise.manager_plugins import NotificationManager
from apprise.plugins import url_to_dict
from apprise.plugins.base import NotifyBase
from requests import PreparedRequest, Response, sessions
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from bridge.core.target import NotifyTarget as Settings
from bridge.targets.notify import mqtt
from bridge.targets.notify.guard import Call, Reply, Written, current, written
from bridge.targets.webhook.address import parse_url

# The HTTP of Apprise's plugins, bounded.
# They call requests.post(), which makes a new session each time and leaves nothing to hand in (Apprise 2.2).
# The one place to stand is the adapter that every new session mounts: this one behaves as its original in every
# thread but those that work for a Call.


_MOST_BYTES = 256 * 1024
"""Bytes of an answer that are read; answers to notifications are short."""
_KEPT = 16 * 1024
_CHUNK = 16 * 1024


class _AsWritten(HTTPConnection):
    """Asks for what the call's URL says, byte for byte."""

    def putrequest(self, method: str, url: str, *args: Any, **options: Any) -> None:
        """The last place before the request line is written: all above it encode the target anew."""
        call = current()
        if call is not None and call.asks_for is not None:
            url = call.asks_for.instead_of(url)
        super().putrequest(method, url, *args, **options)


class _AsWrittenByTls(_AsWritten, HTTPSConnection):
    """The same by TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _AsWritten


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _AsWrittenByTls


class BoundedAdapter(HTTPAdapter):
    """Sends within the call's deadline, reads a bounded answer, and remembers it for the call.

    Proxies of the environment are not used: the address gate could not see where a request goes. After a 429
    the same URL is not asked again in the same call, as Discord's plugin would at once.
    """

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """As HTTPAdapter's, with our connections."""
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}

    def send(self, request: PreparedRequest, *args: Any, **options: Any) -> Response:
        """As HTTPAdapter.send; a session gives all but the request by name."""
        call = current()
        if call is None:
            return super().send(request, *args, **options)
        url = request.url or ""
        if url in call.limited:
            raise requests.ConnectionError("asked to wait a moment ago", request=request)
        left = _left(call, request)
        timeout = options.get("timeout")
        waits = timeout if isinstance(timeout, tuple) else (timeout, timeout)
        connect, read = (left if wait is None else min(float(wait), left) for wait in waits)
        bounded = {"stream": True, "timeout": (connect, read), "proxies": {}}
        response = super().send(request, *args, **{**options, **bounded})
        if response.status_code == 429:
            call.limited.add(url)
        try:
            _read(call, response)
        except HTTPError as error:
            # Plugins expect the exceptions of requests only, as a session that reads by itself raises.
            raise requests.ConnectionError(error, request=request) from error
        return response


def _left(call: Call, request: PreparedRequest) -> float:
    try:
        return call.left()
    except TimeoutError as error:
        raise requests.Timeout(str(error), request=request) from error


def _read(call: Call, response: Response) -> None:
    raw = response.raw
    body = bytearray()
    try:
        while len(body) < _MOST_BYTES and (chunk := raw.read(_CHUNK, decode_content=True)):
            body += chunk
            _left(call, response.request)
    finally:
        raw.close()
        # Also an answer that breaks off: its status stands.
        call.replies.append(
            Reply(response.status_code, response.headers.get("Retry-After", ""), bytes(body[:_KEPT]))
        )
    response.raw = io.BytesIO(bytes(body))


vars(sessions)["HTTPAdapter"] = BoundedAdapter


# fmt: off
_ALLOWED = frozenset({
    "apprise", "apprises", "bark", "barks", "discord", "form", "forms", "gchat", "gotify", "gotifys",
    "json", "jsons", "mailto", "mailtos", "mmost", "mmosts", "mqtt", "mqtts", "nctalk", "nctalks", "ntfy",
    "ntfys", "opsgenie", "pagerduty", "pbul", "pover", "prowl", "rocket", "rockets", "signal", "signals",
    "slack", "tgram", "twilio", "workflow", "workflows", "wxteams", "xml", "xmls", "zulip",
})
# fmt: on
_REFUSED = frozenset({"attach", "filename", "pgp", "pgppub", "pgpprv", "template", "wkd"})
"""Options that make Apprise read files, or fetch what others name."""
_FOREIGN = {
    "avatar": ("avatar",),
    "footer": ("footer", "include_footer"),
    "image": ("include_image",),
}
"""Options that are off unless the URL has them, and the attributes they set: pictures and words that are not ours."""
_BASES = {
    "discord": ("notify_url",),
    "ntfy": ("cloud_notify_url",),
    "ntfys": ("cloud_notify_url",),
    "pover": ("notify_url",),
    "slack": ("webhook_url", "webhook_gov_url", "workflow_url", "workflow_trigger_url", "api_url"),
    "tgram": ("notify_url",),
}
"""Where the plugins keep the addresses of services that have no host in their URL."""
_CONNECT_SECONDS = 10.0

with warnings.catch_warnings():
    # Asking for one loads all 174 plugins, and some of them import what Python is about to drop.
    warnings.simplefilter("ignore", DeprecationWarning)
    _PLUGINS = NotificationManager()
    _ALLOWED &= set(_PLUGINS.schemas())


@dataclass(frozen=True, slots=True)
class Service:
    """One URL, ready to send: Apprise's plugin for it, and what the URL says about long messages.

    `where` names it without its secrets. `close` ends a connection that the plugin keeps. `asks_for` is the target of its
    requests where that stands in the URL.
    """

    where: str
    scheme: str
    plugin: NotifyBase
    overflow: str
    close: Callable[[], None] | None
    asks_for: Written | None


def service(url: str, position: int, settings: Settings) -> Service:
    """The service of a URL. Raises ValueError, which never quotes the URL."""
    scheme = _scheme(url)
    given = _parsed(url, scheme)
    options = set(given.get("qsd") or ())
    _check_address(given)
    if refused := sorted(_REFUSED & options):
        raise ValueError(f"the option `{refused[0]}` of {given['schema']}:// is not supported here")
    plugin = _plugin(given)
    for option, attributes in _FOREIGN.items():
        for attribute in attributes:
            if option not in options and hasattr(plugin, attribute):
                setattr(plugin, attribute, False)
    scheme = str(given["schema"])
    _bound(plugin, options, settings.timeout)
    _set_base(plugin, scheme, settings.endpoints)
    overflow = str((given.get("qsd") or {}).get("overflow", "split")).lower()
    close = mqtt.adopt(plugin) if scheme in {"mqtt", "mqtts"} else None
    asks_for = written(url, scheme, getattr(plugin, "method", ""))
    return Service(f"urls[{position}] ({scheme})", scheme, plugin, overflow, close, asks_for)


def check_endpoints(endpoints: Mapping[str, str]) -> None:
    """Raise a ValueError for a scheme that takes no base URL, or for a base that is no URL."""
    for scheme, base in endpoints.items():
        if scheme not in _BASES:
            known = ", ".join(sorted(_BASES))
            raise ValueError(
                f"{scheme!r} takes no base URL; these do: {known}. Others have the host in their URL"
            )
        try:
            parse_url(base)
        except ValueError as error:
            raise ValueError(f"{scheme}: {error}") from None


def _scheme(url: str) -> str:
    scheme, separator, _ = url.strip().partition("://")
    scheme = scheme.lower()
    if not separator or not scheme.replace("-", "").isalnum():
        raise ValueError("not an Apprise URL; write for example ntfys://ntfy.example.net/topic")
    if scheme not in _ALLOWED and scheme not in {"http", "https"}:
        raise ValueError(
            f"the bridge does not notify by {scheme}://; it does by {', '.join(sorted(_ALLOWED))}"
        )
    return scheme


def _parsed(url: str, scheme: str) -> dict[str, Any]:
    """What Apprise reads in the URL: its own form, or the address that a service gives to its users."""
    try:
        given: dict[str, Any] | None = url_to_dict(url.strip())
    except Exception:  # noqa: BLE001 - plugins raise whatever their parsing meets, with the URL in it
        given = None
    if given is None or str(given.get("schema")) not in _ALLOWED:
        if scheme in {"http", "https"}:
            raise ValueError(
                f"no service is known by this {scheme}:// address; write json{scheme[4:]}:// for a plain endpoint"
            )
        raise ValueError(f"what follows {scheme}:// cannot be read; docs/notify.md has an example")
    return given


def _check_address(given: Mapping[str, Any]) -> None:
    """Apprise takes any number for a port, and MQTT without a topic, and finds out when it sends."""
    port = given.get("port")
    if port is not None and not 0 < int(port) < 65536:
        raise ValueError(f"{given['schema']}:// has a port that cannot be; they go from 1 to 65535")
    if str(given["schema"]) in {"mqtt", "mqtts"} and not given.get("targets"):
        raise ValueError(f"{given['schema']}:// needs a topic: {given['schema']}://host/topic")


def _plugin(given: dict[str, Any]) -> NotifyBase:
    scheme = given["schema"]
    if not _PLUGINS[scheme].enabled:
        raise ValueError(f"{scheme}:// needs a Python package that is not installed")
    plugin = Apprise.instantiate(given, asset=_asset())
    if plugin is None:
        raise ValueError(
            f"{scheme}:// lacks something, or has something wrong in it; docs/notify.md has an example"
        )
    return plugin


def _asset() -> AppriseAsset:
    """How we show ourselves, and that Apprise fetches no picture, follows no redirect and writes no file."""
    return AppriseAsset(
        app_id="amqp-bridge",
        app_desc="amqp-bridge",
        app_url="",
        image_url_mask="",
        image_url_logo="",
        image_path_mask="",
        interpret_escapes=False,
        default_service_retry=0,
        http_redirects=False,
        pgp_autogen=False,
        pem_autogen=False,
        storage_mode=PersistentStoreMode.MEMORY,
    )


def _bound(plugin: Any, options: set[str], timeout: float) -> None:
    """Time limits within ours; no throttle, as the hook's `rate` rules; no cutting, as ours is better."""
    plugin.throttle = _nothing
    plugin.overflow_mode = OverflowMode.UPSTREAM
    plugin.retry = 0
    if "cto" not in options:
        plugin.socket_connect_timeout = min(_CONNECT_SECONDS, timeout)
    if "rto" not in options:
        plugin.socket_read_timeout = timeout
    if hasattr(plugin, "smtp_host"):
        # The one timeout that Apprise gives to smtplib is for its whole conversation.
        plugin.socket_connect_timeout = timeout
    if hasattr(plugin, "ntfy_json_upstream_size_limit"):
        # Counted after JSON has made 12 characters of an emoji; then the text would become an attachment.
        plugin.ntfy_json_upstream_size_limit = 1_000_000


def _set_base(plugin: Any, scheme: str, endpoints: Mapping[str, str]) -> None:
    base = endpoints.get(scheme)
    for attribute in _BASES.get(scheme, ()) if base else ():
        path = urlsplit(getattr(plugin, attribute)).path.rstrip("/")
        root = str(base).rstrip("/")
        setattr(plugin, attribute, root if root.endswith(path) and path else root + path)


def _nothing(*_: Any, **__: Any) -> None:
    """For what is switched off."""
