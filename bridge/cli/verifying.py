"""What `amqp-bridge verify` does."""

import time
from collections.abc import Iterable, Iterator
from typing import Any, get_args

from pydantic import ValidationError

from bridge.cli.failures import usage
from bridge.cli.files import STDIN, content
from bridge.cli.scheme import Options, Scheme
from bridge.cli.signing import all_secrets, chosen, one_of, point_in_time, unusable
from bridge.model.inlet import Verifier, VerifierType
from bridge.rules.signing.shapes import SignedRequest, Verify
from bridge.rules.signing.verifiers import verifier

_HOLES = ("timestamp", "id", "event")


def verdict(
    file: str, scheme: Scheme, headers: list[str], headers_file: str | None, tolerance: str | None
) -> tuple[str | None, str]:
    """Why the request is refused, None if it is not, and ` by secret 2` where there are several.

    Raises SettingsError for options that cannot work.
    """
    if file == headers_file == STDIN:
        raise usage("--headers", "body and headers cannot both be standard input")
    one_of(scheme.profile, get_args(VerifierType))
    secrets = all_secrets(scheme.secrets)
    settings = _settings(scheme, tolerance)
    check = _verifier(settings, secrets)
    now = time.time() if scheme.timestamp is None else point_in_time(scheme.timestamp)
    request = SignedRequest(
        content(file), _headers(scheme, headers, headers_file), scheme.method, scheme.path
    )
    if refused := check(request, now):
        return refused.reason, ""
    return None, _by(settings, secrets, request, now)


def _by(settings: dict[str, Any], secrets: list[str], request: SignedRequest, now: float) -> str:
    if len(secrets) > 1:
        for number, secret in enumerate(secrets, 1):
            if _verifier(settings, [secret])(request, now) is None:
                return f" by secret {number}"
    return ""


def _settings(scheme: Scheme, tolerance: str | None) -> dict[str, Any]:
    settings = chosen(scheme.options) | {"type": scheme.profile}
    if tolerance is not None:
        settings["tolerance"] = tolerance
    if scheme.profile == "generic":
        settings |= {f"{hole}_header": f"--{hole}" for hole in _unheard(scheme.options)}
    return settings


def _unheard(options: Options) -> Iterator[str]:
    """Holes of the template that no header of the request fills: options of the same name stand in for it."""
    for hole in _HOLES:
        in_prefix = hole == "timestamp" and "{timestamp}" in (options.prefix or "")
        if (
            f"{{{hole}}}" in (options.template or "")
            and not in_prefix
            and not getattr(options, f"{hole}_header")
        ):
            yield hole


def _verifier(settings: dict[str, Any], secrets: list[str]) -> Verify:
    try:
        return verifier(Verifier(**settings, secrets=secrets))
    except ValidationError as error:
        raise unusable(error) from None
    except ValueError as error:
        raise usage("", str(error)) from None


def _headers(scheme: Scheme, given: list[str], file: str | None) -> dict[str, str]:
    """The request's headers by their names in lower case; the same one twice is joined as HTTP has it."""
    headers: dict[str, str] = {}
    for name, value in [*_parsed(given, "--header"), *_read(file)]:
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    options = {"--timestamp": scheme.timestamp, "--id": scheme.id, "--event": scheme.event}
    return headers | {name: value for name, value in options.items() if value is not None}


def _read(file: str | None) -> Iterator[tuple[str, str]]:
    if file is None:
        return iter(())
    text = content(file).decode("utf-8", "surrogateescape")
    return _parsed([line for line in text.split("\n") if line.strip()], f"--headers {file}")


def _parsed(lines: Iterable[str], where: str) -> Iterator[tuple[str, str]]:
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise usage(where, f"{line!r} is not of the form `Name: value`")
        yield name.strip().lower(), value.strip()
