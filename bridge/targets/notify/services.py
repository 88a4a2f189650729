"""The allowlist of Apprise's services, and how each is set up.

Apprise also has local services (syslog, desktops, programs), and options that read files or fetch attachments: only
services listed here are ever constructed.
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
from bridge.targets.notify import outcome
from bridge.targets.notify.guard import PathAndQuery, PluginCall, PluginResponse, current, written
from bridge.targets.webhook.address import parse_url

# A bounded HTTP adapter for Apprise's plugins. They call requests.post(), which creates a new session each time and
# accepts no configuration (Apprise 2.2), so the adapter that every new session mounts is replaced: it behaves as the
# original in all threads except those of a Call.


_MOST_BYTES = 256 * 1024
"""Maximum bytes of a response that are read; responses to notifications are short."""
_KEPT = 16 * 1024
_CHUNK = 16 * 1024


class _AsWritten(HTTPConnection):
    """A connection that sends the request target of the call's URL byte for byte."""

    def putrequest(self, method: str, url: str, *args: Any, **options: Any) -> None:
        """Replaces the request target just before the request line is written, as all callers re-encode it."""
        call = current()
        if call is not None and call.asks_for is not None:
            url = call.asks_for.instead_of(url)
        super().putrequest(method, url, *args, **options)


class _AsWrittenByTls(_AsWritten, HTTPSConnection):
    """The same connection over TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _AsWritten


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _AsWrittenByTls


class BoundedAdapter(HTTPAdapter):
    """The adapter that keeps the call's deadline, reads a bounded response, and stores it in the call.

    Proxies of the environment are not used: the SSRF protection could not see the destination. After a 429 the same URL
    is not requested again in the same call, as Discord's plugin would do immediately.
    """

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Set up the pool manager with the bridge's connections."""
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}

    def send(self, request: PreparedRequest, *args: Any, **options: Any) -> Response:
        """Send a request as HTTPAdapter.send does; a session passes all but the request by name."""
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
            # Plugins expect exceptions of requests only, as a session raises them.
            raise requests.ConnectionError(error, request=request) from error
        return response


def _left(call: PluginCall, request: PreparedRequest) -> float:
    try:
        return call.left()
    except TimeoutError as error:
        raise requests.Timeout(str(error), request=request) from error


def _read(call: PluginCall, response: Response) -> None:
    raw = response.raw
    body = bytearray()
    try:
        while len(body) < _MOST_BYTES and (chunk := raw.read(_CHUNK, decode_content=True)):
            body += chunk
            _left(call, response.request)
    finally:
        raw.close()
        # Also for a truncated response: its status is valid.
        call.replies.append(
            PluginResponse(response.status_code, response.headers.get("Retry-After", ""), bytes(body[:_KEPT]))
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
"""Options that make Apprise read files, or fetch URLs of others."""
_FOREIGN = {
    "avatar": ("avatar",),
    "footer": ("footer", "include_footer"),
    "image": ("include_image",),
}
"""Options that are off unless the URL has them, and their attributes: images and texts of Apprise."""
_BASES = {
    "discord": ("notify_url",),
    "ntfy": ("cloud_notify_url",),
    "ntfys": ("cloud_notify_url",),
    "pover": ("notify_url",),
    "slack": ("webhook_url", "webhook_gov_url", "workflow_url", "workflow_trigger_url", "api_url"),
    "tgram": ("notify_url",),
}
"""The attributes in which plugins keep the base URLs of services without a host in their URL."""
_CONNECT_SECONDS = 10.0

with warnings.catch_warnings():
    # The first lookup loads all 174 plugins, some of which import modules that Python deprecates.
    warnings.simplefilter("ignore", DeprecationWarning)
    _PLUGINS = NotificationManager()
    _ALLOWED &= set(_PLUGINS.schemas())


@dataclass(frozen=True, slots=True)
class NotifyService:
    """One configured URL: Apprise's plugin, and the URL's option for long messages.

    `where` names it without its secrets. `close` closes a connection that the plugin keeps. `asks_for` is the request
    target, if the URL defines it.
    """

    where: str
    scheme: str
    plugin: NotifyBase
    overflow: str
    close: Callable[[], None] | None
    asks_for: PathAndQuery | None


def service(url: str, position: int, settings: Settings) -> NotifyService:
    """Returns the service of a URL. Raises ValueError, which never quotes the URL."""
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
    close = outcome.adopt(plugin) if scheme in {"mqtt", "mqtts"} else None
    asks_for = written(url, scheme, getattr(plugin, "method", ""))
    return NotifyService(f"urls[{position}] ({scheme})", scheme, plugin, overflow, close, asks_for)


def check_endpoints(endpoints: Mapping[str, str]) -> None:
    """Raises ValueError for a scheme without base URL, or for an invalid base URL."""
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
    """Returns Apprise's parsed URL, in its own form or in the form of the service's native URLs."""
    try:
        given: dict[str, Any] | None = url_to_dict(url.strip())
    except Exception:  # noqa: BLE001 - plugins raise arbitrary errors, with the URL in their text
        given = None
    if given is None or str(given.get("schema")) not in _ALLOWED:
        if scheme in {"http", "https"}:
            raise ValueError(
                f"no service is known by this {scheme}:// address; write json{scheme[4:]}:// for a plain endpoint"
            )
        raise ValueError(f"what follows {scheme}:// cannot be read; docs/notify.md has an example")
    return given


def _check_address(given: Mapping[str, Any]) -> None:
    """Check the address early: Apprise accepts any port number, and MQTT without a topic, and fails when it sends."""
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
    """Returns the settings of Apprise: the bridge's identity, no fetched images, no redirects, no files."""
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
    """Apply the target's timeouts; disable throttling (the hook's `rate` applies) and Apprise's own splitting."""
    plugin.throttle = _nothing
    plugin.overflow_mode = OverflowMode.UPSTREAM
    plugin.retry = 0
    if "cto" not in options:
        plugin.socket_connect_timeout = min(_CONNECT_SECONDS, timeout)
    if "rto" not in options:
        plugin.socket_read_timeout = timeout
    if hasattr(plugin, "smtp_host"):
        # Apprise passes one timeout to smtplib, for each operation of the whole conversation.
        plugin.socket_connect_timeout = timeout
    if hasattr(plugin, "ntfy_json_upstream_size_limit"):
        # Apprise counts after JSON escaping has made 12 characters of an emoji; the text would become an attachment.
        plugin.ntfy_json_upstream_size_limit = 1_000_000


def _set_base(plugin: Any, scheme: str, endpoints: Mapping[str, str]) -> None:
    base = endpoints.get(scheme)
    for attribute in _BASES.get(scheme, ()) if base else ():
        path = urlsplit(getattr(plugin, attribute)).path.rstrip("/")
        root = str(base).rstrip("/")
        setattr(plugin, attribute, root if root.endswith(path) and path else root + path)


def _nothing(*_: Any, **__: Any) -> None:
    """The no-op for disabled functions."""
