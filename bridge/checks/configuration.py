"""The checks of a configuration beyond its form: patterns, filters, targets, files. Nothing is contacted."""

import ssl
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import orjson
from pydantic import SecretStr

from bridge.core.envelopes import ENVELOPES, envelope_schema
from bridge.core.errors import Problem
from bridge.core.event import Source
from bridge.core.hook import Hook
from bridge.core.inlet import Inlet
from bridge.core.survey import Owner, refusal
from bridge.core.target import Auth, WebhookTarget
from bridge.db.engine import misfit
from bridge.db.sqlite import glimpse, hindrance
from bridge.expressions.engine import compile_filter
from bridge.formats.decoder import Misfit, compile_told
from bridge.measuring.dimensions import compile_dimension
from bridge.routing import table
from bridge.routing.dedupe_keys import compile_key
from bridge.settings.databases import PostgresServer, SqliteFile
from bridge.settings.shape import nearest
from bridge.settings.transport import ServerTls, no_password
from bridge.settings.tree import Broker, OtherBroker, Settings
from bridge.signing.profiles import unsigned, verifier
from bridge.targets.factory import problems, unreachable
from bridge.targets.webhook.address import parse_url
from bridge.wire.address_gate import AddressGate, is_loopback

# The secrets with a blank or a line break at an end, which usually comes from a file or variable by mistake.


_WITHOUT_BLANKS = frozenset({"standard", "token", "gitlab"})
"""Profiles and types whose secrets are base64 or are sent in a header: a blank at an end cannot belong to them."""
_AT_AN_END = "has a blank or a line break at an end"
_LEFT_OUT = f"{_AT_AN_END}, which is left out: it can be no part of it"
_TAKEN = f"{_AT_AN_END}, which is taken for a part of it; write it without, if that is not meant"

Found = tuple[str, str, bool]
"""The path of a secret, the secret, and whether a blank at an end cannot belong to it."""


def secret_ends(settings: Settings) -> Iterator[Problem]:
    """Yields warnings by path, which reveal nothing of the secret."""
    yield from _warning_of(_all(settings))


def _warning_of(found: Iterable[Found]) -> Iterator[Problem]:
    for path, secret, cannot in found:
        if secret != secret.strip():
            yield Problem(path, _LEFT_OUT if cannot else _TAKEN)


def secret_ends_of(hook: Hook) -> Iterator[Problem]:
    """Yields the same warnings for one hook, of the file or the API."""
    yield from _warning_of(_of_hook("target", hook))


def _all(settings: Settings) -> Iterator[Found]:
    token = settings.http.admin_token
    if token is not None:
        yield "http.admin_token", token.get_secret_value(), True
    yield from _list("storage.encryption_keys", settings.storage.encryption_keys, cannot=False)
    for index, hook in enumerate(settings.hooks):
        if hook.fault is None:
            yield from _of_hook(f"hooks[{index}].target", hook)
    for index, inlet in enumerate(settings.inlets):
        yield from _of_inlet(f"inlets[{index}]", inlet)
    others = ((f"brokers.{name}", broker.oauth2) for name, broker in settings.brokers.items())
    for path, oauth2 in (("broker", settings.broker.oauth2), *others):
        if oauth2 is not None:
            yield f"{path}.oauth2.client_secret", oauth2.client_secret.get_secret_value(), False


def _of_hook(path: str, hook: Hook) -> Iterator[Found]:
    target = hook.target
    if not isinstance(target, WebhookTarget):
        return
    yield from _list(f"{path}.secrets", target.secrets, cannot=target.profile in _WITHOUT_BLANKS)
    for name, text in target.headers.items():
        yield f"{path}.headers.{name}", text, True
    if target.auth is not None:
        yield from _of_auth(f"{path}.auth", target.auth)


def _of_auth(path: str, auth: Auth) -> Iterator[Found]:
    yield f"{path}.token", auth.token.get_secret_value(), True
    yield f"{path}.password", auth.password.get_secret_value(), False
    yield f"{path}.client_secret", auth.client_secret.get_secret_value(), False


def _of_inlet(path: str, inlet: Inlet) -> Iterator[Found]:
    for index, each in enumerate(inlet.verify):
        where, cannot = f"{path}.verify[{index}]", each.type in _WITHOUT_BLANKS
        if each.secret is not None:
            yield f"{where}.secret", each.secret.get_secret_value(), cannot
        yield from _list(f"{where}.secrets", each.secrets, cannot=cannot)
    for index, handshake in enumerate(inlet.handshakes):
        if handshake.token is not None:
            yield f"{path}.handshakes[{index}].token", handshake.token.get_secret_value(), False


def _list(path: str, secrets: Iterable[SecretStr], *, cannot: bool) -> Iterator[Found]:
    for index, secret in enumerate(secrets):
        yield f"{path}[{index}]", secret.get_secret_value(), cannot


# The checks of connections to broker and database: certificates, keys, token endpoints. Nothing is contacted.


def transport_problems(settings: Settings) -> Iterator[Problem]:
    """Yields files that are unusable, and addresses that cannot be requested."""
    for path, broker in _brokers(settings):
        yield from broker_problems(path, broker)
    yield from tls_problems("storage.tls", settings.storage.tls)
    database = settings.storage.database
    if isinstance(database, PostgresServer) and (asked := database.tls):
        for problem in tls_problems("", asked.files):
            yield replace(problem, path="storage.url")


def broker_problems(path: str, broker: Broker | OtherBroker) -> Iterator[Problem]:
    """Yields the problems that prevent a connection to this broker, whose settings are at `path`."""
    for where, tls in _broker_tls(path, broker):
        yield from tls_problems(where, tls)
    if broker.oauth2 is not None:
        yield from tried(f"{path}.oauth2.token_url", parse_url, broker.oauth2.token_url)


def transport_warnings(settings: Settings) -> Iterator[Problem]:
    """Yields expired certificates, and secrets that are sent unencrypted. The settings must be valid."""
    for path, tls in _all_tls(settings):
        if tls.cert is not None and (ended := _ended(Path(tls.cert))):
            yield Problem(
                f"{path}.cert", f"{tls.cert} ended at {ended:%Y-%m-%d %H:%M} UTC; the other side refuses it"
            )
    for path, broker in _brokers(settings):
        if broker.oauth2 is not None:
            url = parse_url(broker.oauth2.token_url)
            if url.origin.scheme == "http" and not is_loopback(url.host):
                yield Problem(
                    f"{path}.oauth2.token_url", "client secret and tokens travel in the open; use https://"
                )


def tls_problems(path: str, tls: ServerTls) -> Iterator[Problem]:
    """Yields certificates and keys that are unusable; `path` is that of `tls`."""
    context = ssl.create_default_context()
    if tls.ca is not None:
        yield from tried(f"{path}.ca", context.load_verify_locations, tls.ca)
    if tls.cert is not None:
        yield from tried(
            f"{path}.cert",
            lambda cert: context.load_cert_chain(cert, tls.key, password=no_password),
            tls.cert,
        )


def _brokers(settings: Settings) -> Iterator[tuple[str, Broker | OtherBroker]]:
    yield "broker", settings.broker
    for name, broker in settings.brokers.items():
        yield f"brokers.{name}", broker


def _all_tls(settings: Settings) -> Iterator[tuple[str, ServerTls]]:
    for path, broker in _brokers(settings):
        yield from _broker_tls(path, broker)
    yield "storage.tls", settings.storage.tls


def _broker_tls(path: str, broker: Broker | OtherBroker) -> Iterator[tuple[str, ServerTls]]:
    yield f"{path}.tls", broker.tls
    if broker.oauth2 is not None:
        yield f"{path}.oauth2.tls", broker.oauth2.tls


def _ended(file: Path) -> datetime | None:
    from cryptography import x509  # 9 MB that most settings do not need

    end = x509.load_pem_x509_certificate(file.read_bytes()).not_valid_after_utc
    return end if end < datetime.now(UTC) else None


def tried(path: str, using: Callable[[str], object], text: str) -> list[Problem]:
    """Returns the problem of the setting at `path`, if `using` it fails with `text`."""
    try:
        using(text)
    except ssl.SSLError as error:
        return [Problem(path, f"no usable PEM in {text}: {error.reason or error}")]
    except OSError as error:
        return [Problem(path, f"{error.filename or text} cannot be read: {error.strerror}")]
    except ValueError as error:
        return [Problem(path, str(error))]
    return []


# The schemas in sources: known envelopes, and files.


LARGEST = 4_194_304
"""Maximum bytes of a schema file."""
_ANY_BODY = "tiki"


def misfit_of(source: Source, base: Path) -> Misfit | None:
    """Returns the function that checks a body against the source's `schema`; None if there is no schema.

    A relative path starts at `base`. Raises ValueError, with the file and the path within it, for a file that cannot be read or
    is not a JSON Schema.
    """
    given = source.schema_
    if given is None or given == _ANY_BODY:
        return None
    from bridge.formats.conformity import compile_schema  # its library takes 3 MB that few sources need

    if given in ENVELOPES:
        return compile_schema(envelope_schema(given))
    file = base / given
    try:
        return compile_schema(orjson.loads(_read(file, given)))
    except orjson.JSONDecodeError as error:
        raise ValueError(f"{file}: no JSON: {error}") from None
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None


def _read(file: Path, given: str) -> bytes:
    try:
        with file.open("rb") as stream:
            content = stream.read(LARGEST + 1)
    except FileNotFoundError:
        hint = "" if "/" in given or "." in given else nearest(given, list(ENVELOPES))
        raise ValueError(f"no such file{hint}") from None
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None
    if len(content) > LARGEST:
        raise ValueError(f"over {LARGEST} bytes")
    return content


def check(settings: Settings, base: Path, served: frozenset[str] | None = None) -> list[Problem]:
    """Returns every problem that can be found on this machine without a network, missing programs included.

    Relative paths of scripts start at `base`. Targets whose type is not in `served` (None: all) are not checked: their files
    may be on another machine.
    """
    brokers = {"", *settings.brokers}
    return [
        *_file(settings),
        *_schemas(settings, base),
        *_dimensions(settings),
        *_told(settings),
        *_dedupe(settings),
        *_problems(settings, served, lambda hook: problems(hook, base, brokers)),
    ]


def warnings(settings: Settings) -> list[Problem]:
    """Returns warnings, which do not prevent a start: addresses that the address gate will refuse at every attempt, expired
    certificates, secrets with a line break at an end, profiles that sign without a secret.

    The settings must be valid.
    """
    gate = AddressGate([str(network) for network in settings.http.allow_private_targets])
    refused = [
        Problem(f"hooks[{index}].{problem.path}", problem.message)
        for index, hook in enumerate(settings.hooks)
        for problem in unreachable(hook, gate)
    ]
    return [*transport_warnings(settings), *secret_ends(settings), *refused, *_unsigned(settings)]


def _unsigned(settings: Settings) -> Iterator[Problem]:
    for index, hook in enumerate(settings.hooks):
        if isinstance(hook.target, WebhookTarget) and (told := unsigned(hook.target)):
            yield Problem(f"hooks[{index}].target.secrets", told)


def _problems(
    settings: Settings, served: frozenset[str] | None, of_target: Callable[[Hook], list[Problem]]
) -> Iterator[Problem]:
    yield from transport_problems(settings)
    for index, hook in enumerate(settings.hooks):
        found = list(hook_problems(hook, settings.broker.consumer_timeout))
        if served is None or hook.target.type in served:
            found += of_target(hook)
        for problem in found:
            yield Problem(f"hooks[{index}].{problem.path}", problem.message)
    for index, inlet in enumerate(settings.inlets):
        for number, each in enumerate(inlet.verify):
            try:
                verifier(each)
            except ValueError as error:
                yield Problem(f"inlets[{index}].verify[{number}]", str(error))


def _file(settings: Settings) -> Iterator[Problem]:
    """Yields the problem of a SQLite file that cannot be a history, or belongs to another bridge, with the text of a start."""
    database = settings.storage.database
    if not isinstance(database, SqliteFile):
        return
    if reason := hindrance(database.path):
        yield Problem("storage.url", reason)
    elif found := glimpse(database.path) if database.path.exists() else None:
        owner = found.owner
        if unfit := misfit(found.tables, found.revision):
            yield Problem("storage.url", unfit)
        elif owner is not None and str(owner) != settings.storage.take_over.strip():
            bridge = Owner(settings.broker.prefix, "", owner.vhost)
            if owner.is_another(bridge):
                yield Problem("storage.url", refusal(owner, settings.broker.prefix))


def _dimensions(settings: Settings) -> Iterator[Problem]:
    for index, source in enumerate(settings.sources):
        for name, text in source.dimensions.items():
            yield from tried(f"sources[{index}].dimensions.{name}", compile_dimension, text)


def _told(settings: Settings) -> Iterator[Problem]:
    for index, source in enumerate(settings.sources):
        for name, text in (("type", source.type), ("id", source.id)):
            if text is not None:
                yield from tried(f"sources[{index}].{name}", compile_told, text)


def _dedupe(settings: Settings) -> Iterator[Problem]:
    for index, source in enumerate(settings.sources):
        if source.dedupe is not None:
            yield from tried(f"sources[{index}].dedupe.by", compile_key, source.dedupe.by)


def _schemas(settings: Settings, base: Path) -> Iterator[Problem]:
    for index, source in enumerate(settings.sources):
        try:
            misfit_of(source, base)
        except ValueError as error:
            yield Problem(f"sources[{index}].schema", str(error))


def hook_problems(hook: Hook, consumer_timeout: float) -> Iterator[Problem]:
    """Yields the problems of a hook that do not depend on where it is served; paths begin at the hook."""
    for index, pattern in enumerate(hook.events):
        yield from tried(f"events[{index}]", table.check, pattern)
    if hook.filter is not None:
        yield from tried("filter", compile_filter, hook.filter)
    # A message held for longer than the broker's consumer timeout is redelivered while its attempt still runs.
    if hook.target.timeout > consumer_timeout / 2:
        yield Problem(
            "target.timeout",
            f"{hook.target.timeout:g} s is over half of broker.consumer_timeout ({consumer_timeout:g} s): the "
            "broker would hand the message out again meanwhile; raise both, here and on the broker",
        )
