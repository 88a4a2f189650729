"""The loading of settings from a file and the environment, with a list of all problems."""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path as FilePath
from typing import Any, TypeVar
from urllib.parse import urlsplit

from pydantic import ValidationError

from bridge.core.errors import Problem, SettingsError
from bridge.core.event import OWN_EVENTS
from bridge.core.hook import Hook
from bridge.core.inlet import Inlet, canonical, check_path
from bridge.core.target import QueueTarget, WebhookTarget
from bridge.settings.databases import PostgresServer, renewed_login
from bridge.settings.partial import Remainder, broken_apart, remainder, trustworthy
from bridge.settings.shape import explain, nearest, written
from bridge.settings.sources import GatheredSettings, Reading, with_env_file
from bridge.settings.transport import SecretUrl, StorageTls
from bridge.settings.tree import Broker, OtherBroker, Settings, Storage
from bridge.settings.yaml import KeyPath

_NO_TRACES = "traces need packages that are not installed: pip install 'amqp-bridge[otel]'"

# The checks of combinations: values that are valid alone, but not together.


def contradictions(settings: Settings) -> Iterator[tuple[KeyPath, str]]:
    """Yields the path of every setting that contradicts others, and why."""
    yield from _given_twice("sources", "name", [source.name for source in settings.sources])
    yield from _given_twice("sources", "queue", [source.queue for source in settings.sources])
    yield from _reserved(settings)
    yield from _given_twice("hooks", "name", [hook.name for hook in settings.hooks])
    yield from _given_twice("inlets", "name", [inlet.name for inlet in settings.inlets])
    sources = [source.name for source in settings.sources]
    brokers = list(settings.brokers)
    for index, hook in enumerate(settings.hooks):
        for path, reason in unknown_names(hook, sources, brokers):
            yield ("hooks", index, *path), reason
    for index, inlet in enumerate(settings.inlets):
        if inlet.source not in sources:
            yield ("inlets", index, "source"), f"no source {inlet.source!r}{nearest(inlet.source, sources)}"
    yield from _bad_paths(settings.inlets)
    yield from _bad_login(("broker",), settings.broker)
    for name, other in settings.brokers.items():
        yield from _bad_login(("brokers", name), other)
    yield from _two_minds(settings.storage)
    if settings.telemetry.traces.enabled and not _traces_are_installed():
        yield ("telemetry", "traces", "enabled"), _NO_TRACES


def _traces_are_installed() -> bool:
    with suppress(ModuleNotFoundError):
        return find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    return False


def unknown_names(
    hook: Hook, sources: Sequence[str], brokers: Sequence[str]
) -> Iterator[tuple[KeyPath, str]]:
    """Yields the sources and brokers that the hook names and that are not defined; paths begin at the hook."""
    yield from _unknown_sources(("sources",), hook, [*sources, OWN_EVENTS])
    if isinstance(hook.target, QueueTarget) and hook.target.broker not in {None, *brokers}:
        hint = nearest(str(hook.target.broker), brokers)
        yield ("target", "broker"), f"no broker {hook.target.broker!r} under `brokers`{hint}"


def _given_twice(section: str, key: str, values: Sequence[str]) -> Iterator[tuple[KeyPath, str]]:
    first: dict[str, int] = {}
    for index, value in enumerate(values):
        if value in first:
            yield (section, index, key), f"{value!r} is already the {key} of {section}[{first[value]}]"
        first.setdefault(value, index)


def _bad_login(path: KeyPath, broker: Broker | OtherBroker) -> Iterator[tuple[KeyPath, str]]:
    match broker.auth:
        case "external":
            if broker.tls.cert is None:
                yield (
                    (*path, "auth"),
                    "external needs `tls.cert`, the certificate that says who the bridge is",
                )
            if any(url.parts().scheme != "amqps" for url in broker.url):
                yield (
                    (*path, "auth"),
                    "external needs amqps:// in every `url`: a certificate is shown over TLS only",
                )
        case "oauth2" if broker.oauth2 is None:
            yield (*path, "auth"), "oauth2 needs `oauth2` with `token_url`, `client_id` and `client_secret`"
    if broker.oauth2 is not None and broker.auth != "oauth2":
        yield (*path, "oauth2"), "is used with `auth: oauth2` only"


def _two_minds(storage: Storage) -> Iterator[tuple[KeyPath, str]]:
    """Yields the problems of TLS to the database that is configured in two places, or in none."""
    tls = storage.tls
    if tls != StorageTls() and isinstance(storage.database, PostgresServer) and storage.database.tls:
        yield ("storage", "tls"), "give either `sslmode` in `url` or `tls`, not both"
    elif tls.mode == "off" and tls != StorageTls(mode="off"):
        yield ("storage", "tls", "mode"), "off leaves no use for the other settings of `tls`"


def _reserved(settings: Settings) -> Iterator[tuple[KeyPath, str]]:
    queue = f"{settings.broker.prefix}.events"
    for index, source in enumerate(settings.sources):
        if source.name == OWN_EVENTS:
            yield (
                ("sources", index, "name"),
                f"{OWN_EVENTS!r} is the name of the bridge's own events; give this source another one",
            )
        if source.queue == queue:
            yield ("sources", index, "queue"), f"{queue!r} is the queue of the bridge's own events"


def _bad_paths(inlets: Sequence[Inlet]) -> Iterator[tuple[KeyPath, str]]:
    """Yields the paths that are invalid, used by the bridge, or the same in two inlets (in any spelling)."""
    taken: dict[str, int] = {}
    for index, inlet in enumerate(inlets):
        if inlet.path is None:
            continue
        try:
            check_path(inlet.path)
        except ValueError as error:
            yield ("inlets", index, "path"), str(error)
            continue
        first = taken.setdefault(canonical(inlet.path.removesuffix("/*")), index)
        if first != index:
            yield ("inlets", index, "path"), f"{inlet.path!r} is already the path of inlets[{first}]"


def _unknown_sources(path: KeyPath, hook: Hook, known: Sequence[str]) -> Iterator[tuple[KeyPath, str]]:
    for index, name in enumerate(hook.sources or ()):
        if name not in known:
            yield (*path, index), f"no source {name!r}{nearest(name, known)}"


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings as far as they are valid, the place of each, and the problems of the others."""

    settings: Settings
    origins: Mapping[KeyPath, str]
    problems: tuple[Problem, ...] = ()
    left_out: frozenset[KeyPath] = frozenset()

    def sound(self, further: Iterable[Problem] = ()) -> Settings:
        """Returns the settings; raises SettingsError if they have problems, or `further` ones were found."""
        own = (problem for problem in further if trustworthy(problem.path, self.left_out))
        if problems := [*self.problems, *self.located(own)]:
            raise SettingsError(sorted(problems, key=_line))
        return self.settings

    def with_faults(self, further: Iterable[Problem] = ()) -> Settings:
        """Returns the settings with each hook that has problems marked as broken; raises SettingsError if other settings are
        invalid, or if a hook has no name to identify its lane.
        """
        own = (problem for problem in further if trustworthy(problem.path, self.left_out))
        problems = sorted([*self.problems, *self.located(own)], key=_line)
        settings, others = broken_apart(self.settings, problems)
        if others:
            raise SettingsError(problems)
        return settings

    def located(self, problems: Iterable[Problem]) -> list[Problem]:
        """Returns the problems in the order of the file, each with the file and line of the nearest setting."""
        places = {written(path): origin for path, origin in self.origins.items()}
        found = (replace(problem, where=_nearest_place(problem.path, places)) for problem in problems)
        return sorted(found, key=_line)


def load(path: FilePath | None, env: Mapping[str, str]) -> Settings:
    """Returns the settings: defaults, then the file, then the secrets directory, then the environment; the last wins.

    Raises SettingsError with one Problem for each fault, all at once.
    """
    return load_with_places(path, env).sound()


def load_with_places(
    path: FilePath | None, env: Mapping[str, str], sections: Container[str] = frozenset(Settings.model_fields)
) -> Loaded:
    """Returns the settings with the place of each; `sections` other than these are ignored, even if they are invalid.

    Raises SettingsError only if the sources cannot be read as settings at all; `Loaded.sound` raises it for every fault.
    """
    reading = Reading(path, with_env_file(env), sections)
    found = _gathered(reading)
    for details in found.errors:
        place, message = explain(Settings, details, reading.private)
        if not any(place == other[: len(place)] for other in reading.empty):
            reading.blame(place, message)
    left_out = found.left_out | reading.empty
    for place, message in contradictions(found.settings):
        if trustworthy(written(place), left_out):
            reading.blame(place, message)
    return Loaded(found.settings, reading.origins, tuple(reading.problems), left_out)


def _gathered(reading: Reading) -> Remainder:
    arguments: dict[str, Any] = {"reading": reading}
    try:
        settings = GatheredSettings(**arguments)
    except ValidationError as error:
        errors = error.errors(include_url=False)
        return remainder(reading.value, errors, lambda each: explain(Settings, each, reading.private)[0])
    plain = Settings.model_construct(settings.model_fields_set, **dict(settings))
    return Remainder(plain, [], frozenset())


def _nearest_place(path: str, places: Mapping[str, str]) -> str:
    while path and path not in places:
        path = path[: max(path.rfind("."), path.rfind("["), 0)]
    return places.get(path, "")


def _line(problem: Problem) -> int:
    """Returns the line in the file; 0 for a problem elsewhere, which so comes first."""
    line = problem.where.rpartition(":")[2]
    return int(line) if line.isdecimal() else 0


# The credentials that change at run time: only they are taken from settings that are read again.


B = TypeVar("B", Broker, OtherBroker)

LOGINS = frozenset({"broker", "brokers", "storage"})
"""The sections that have them."""


def renewed(settings: Settings, anew: Settings) -> Settings:
    """Returns `settings` with the logins of brokers and database in `anew`, where these lead to the same servers."""
    brokers = {
        name: _of_broker(known, anew.brokers[name]) if name in anew.brokers else known
        for name, known in settings.brokers.items()
    }
    url = renewed_login(settings.storage.url.get_secret_value(), anew.storage.url.get_secret_value())
    return settings.model_copy(
        update={
            "broker": _of_broker(settings.broker, anew.broker),
            "brokers": brokers,
            "storage": settings.storage.model_copy(update={"url": SecretUrl(url)}),
        }
    )


def _of_broker(known: B, anew: B) -> B:
    changes: dict[str, object] = {}
    if [_place(url) for url in known.url] == [_place(url) for url in anew.url]:
        changes["url"] = anew.url
    if known.oauth2 and anew.oauth2 and known.oauth2.token_url == anew.oauth2.token_url:
        login = {"client_id": anew.oauth2.client_id, "client_secret": anew.oauth2.client_secret}
        changes["oauth2"] = known.oauth2.model_copy(update=login)
    return known.model_copy(update=changes)


def _place(url: SecretUrl) -> tuple[str, str, str, str]:
    parts = urlsplit(url.get_secret_value())
    return parts.scheme, parts.netloc.rpartition("@")[2], parts.path, parts.query


def renewed_proxies(hooks: Sequence[Hook], anew: Sequence[Hook]) -> list[Hook]:
    """Returns `hooks` with the credentials of proxies in `anew`, where the proxies are the same."""
    proxies = {hook.id: hook.target.proxy for hook in anew if isinstance(hook.target, WebhookTarget)}
    return [_of_proxy(hook, proxies.get(hook.id)) for hook in hooks]


def _of_proxy(hook: Hook, proxy: str | None) -> Hook:
    target = hook.target
    if not isinstance(target, WebhookTarget) or not proxy or not target.proxy or proxy == target.proxy:
        return hook
    if _place(SecretUrl(proxy)) != _place(SecretUrl(target.proxy)):
        return hook
    return hook.model_copy(update={"target": target.model_copy(update={"proxy": proxy})})
