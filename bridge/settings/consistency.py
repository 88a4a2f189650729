"""What each setting allows alone, but two of them together do not."""

from collections.abc import Iterator, Sequence

from bridge.model.hook import Hook
from bridge.model.inlet import Inlet
from bridge.model.source import OWN_EVENTS
from bridge.model.target import QueueTarget
from bridge.rules.inlets.paths import canonical, check_path
from bridge.settings.databases import PostgresServer
from bridge.settings.document import Path
from bridge.settings.shape import nearest
from bridge.settings.transport import StorageTls
from bridge.settings.tree import Broker, OtherBroker, Settings, Storage


def contradictions(settings: Settings) -> Iterator[tuple[Path, str]]:
    """The path of every setting that does not fit the others, and why."""
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


def unknown_names(hook: Hook, sources: Sequence[str], brokers: Sequence[str]) -> Iterator[tuple[Path, str]]:
    """Sources and brokers that the hook names and that are not set up; paths begin at the hook."""
    yield from _unknown_sources(("sources",), hook, [*sources, OWN_EVENTS])
    if isinstance(hook.target, QueueTarget) and hook.target.broker not in {None, *brokers}:
        hint = nearest(str(hook.target.broker), brokers)
        yield ("target", "broker"), f"no broker {hook.target.broker!r} under `brokers`{hint}"


def _given_twice(section: str, key: str, values: Sequence[str]) -> Iterator[tuple[Path, str]]:
    first: dict[str, int] = {}
    for index, value in enumerate(values):
        if value in first:
            yield (section, index, key), f"{value!r} is already the {key} of {section}[{first[value]}]"
        first.setdefault(value, index)


def _bad_login(path: Path, broker: Broker | OtherBroker) -> Iterator[tuple[Path, str]]:
    """Ways to log in that lack what they need."""
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


def _two_minds(storage: Storage) -> Iterator[tuple[Path, str]]:
    """TLS to the database that is decided on in two places, or in none."""
    tls = storage.tls
    if tls != StorageTls() and isinstance(storage.database, PostgresServer) and storage.database.tls:
        yield ("storage", "tls"), "give either `sslmode` in `url` or `tls`, not both"
    elif tls.mode == "off" and tls != StorageTls(mode="off"):
        yield ("storage", "tls", "mode"), "off leaves no use for the other settings of `tls`"


def _reserved(settings: Settings) -> Iterator[tuple[Path, str]]:
    """Sources that would be taken for that of the bridge's own events."""
    queue = f"{settings.broker.prefix}.events"
    for index, source in enumerate(settings.sources):
        if source.name == OWN_EVENTS:
            yield (
                ("sources", index, "name"),
                f"{OWN_EVENTS!r} is the name of the bridge's own events; give this source another one",
            )
        if source.queue == queue:
            yield ("sources", index, "queue"), f"{queue!r} is the queue of the bridge's own events"


def _bad_paths(inlets: Sequence[Inlet]) -> Iterator[tuple[Path, str]]:
    """Paths that are no paths, the bridge's own, or two inlets' (in any spelling of them)."""
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


def _unknown_sources(path: Path, hook: Hook, known: Sequence[str]) -> Iterator[tuple[Path, str]]:
    for index, name in enumerate(hook.sources or ()):
        if name not in known:
            yield (*path, index), f"no source {name!r}{nearest(name, known)}"
