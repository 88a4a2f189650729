"""Where the running bridge answers, and what lets a command in."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from bridge.cli.failures import usage

USUAL_URL = "http://127.0.0.1:8080"
_API = re.compile(r"(/api(/v1)?)?/*$")
_EVERY_ADDRESS = {None: "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - told apart, not listened on


@dataclass(frozen=True, slots=True)
class Given:
    """What options say; None: not given."""

    url: str | None = None
    token: str | None = field(default=None, repr=False)
    token_file: Path | None = None
    ca_file: Path | None = None
    config: Path | None = None


@dataclass(frozen=True, slots=True)
class Access:
    """The bridge's address without a slash at the end, and the token with the place that it is from."""

    url: str
    token: str | None = field(default=None, repr=False)
    token_from: str = ""
    ca_file: Path | None = None


def access(given: Given, env: Mapping[str, str] = os.environ) -> Access:
    """Options win over the configuration file, and that over BRIDGE_URL, BRIDGE_TOKEN and BRIDGE_ADMIN_TOKEN.

    Raises SettingsError for what cannot be an address, and for files that cannot be read.
    """
    url, token = (None, None) if given.config is None else _configured(given.config, env, given.url is None)
    address = given.url or url or env.get("BRIDGE_URL") or USUAL_URL
    ca_file = given.ca_file or (Path(name) if (name := env.get("BRIDGE_CA_FILE")) else None)
    return Access(
        normal(address, "--url" if given.url else "BRIDGE_URL"), *_token(given, token, env), ca_file
    )


def normal(url: str, where: str = "--url") -> str:
    """The address without a slash at the end and without /api/v1; http:// where it names no scheme."""
    whole = url.strip() if "://" in url else f"http://{url.strip()}"
    try:
        parts = urlsplit(whole)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise usage(where, f"{url!r} is no address such as {USUAL_URL} or https://bridge.example.net")
    if parts.username is not None or parts.query or parts.fragment:
        raise usage(where, "an address has no login, query or fragment; give the token with BRIDGE_TOKEN")
    return _without_api(parts)


def _without_api(parts: SplitResult) -> str:
    return f"{parts.scheme}://{parts.netloc}{_API.sub('', parts.path)}"


def _token(given: Given, configured: str | None, env: Mapping[str, str]) -> tuple[str | None, str]:
    if given.token is not None:
        return given.token.strip(), "--token"
    if given.token_file is not None:
        return _content(given.token_file), f"--token-file {given.token_file}"
    if configured is not None:
        return configured.strip(), f"http.admin_token of {given.config}"
    for name in ("BRIDGE_TOKEN", "BRIDGE_ADMIN_TOKEN"):
        if token := env.get(name, "").strip():
            return token, name
    return None, ""


def _content(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except OSError as error:
        raise usage("--token-file", f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise usage("--token-file", f"{path} is no UTF-8 text") from None


def _configured(file: Path, env: Mapping[str, str], needs_url: bool) -> tuple[str | None, str | None]:
    from bridge.settings.loading import load_with_places

    http = load_with_places(file, env, sections={"http"}).sound().http
    token = None if http.admin_token is None else http.admin_token.get_secret_value()
    return (listening(http.admin_listen or http.listen) if needs_url else None), token


def listening(listen: str) -> str:
    """The address on this machine of what listens there. Raises SettingsError for a port that nobody knows."""
    from bridge.settings.addresses import host_and_port

    host, port = host_and_port(listen)
    if port == 0:
        raise usage("--config", f"the bridge listens on any free port ({listen}): say which with --url")
    here = _EVERY_ADDRESS.get(host, host)
    return f"http://[{here}]:{port}" if ":" in str(here) else f"http://{here}:{port}"
