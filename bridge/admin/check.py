"""What is wrong with a configuration beyond its form: patterns, filters, targets, files. Nothing is contacted."""

from collections.abc import Callable, Iterator
from pathlib import Path

from bridge.admin.schemas import misfit_of
from bridge.admin.secret_ends import secret_ends
from bridge.admin.transport import transport_problems, transport_warnings, tried
from bridge.model.errors import Problem
from bridge.model.hook import Hook
from bridge.model.owner import Owner, refusal
from bridge.model.target import WebhookTarget
from bridge.rules.duplicates.keys import compile_key
from bridge.rules.formats.told import compile_told
from bridge.rules.routing import patterns
from bridge.rules.routing.expression import compile_filter
from bridge.rules.signing.signers import unsigned
from bridge.rules.signing.verifiers import verifier
from bridge.rules.statistics.dimensions import compile_dimension
from bridge.rules.wire.address import AddressGate
from bridge.settings.databases import SqliteFile
from bridge.settings.tree import Settings
from bridge.storage.engines.sqlite_file import glimpse, hindrance
from bridge.storage.revisions import misfit
from bridge.targets.factory import problems, unreachable


def check(settings: Settings, base: Path, served: frozenset[str] | None = None) -> list[Problem]:
    """Everything wrong that can be seen on this machine without a network, missing programs included.

    Relative paths of scripts start at `base`. Targets whose type is not among the `served` ones (None: all) are
    not looked at: what they need may be on another machine.
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
    """What hinders no start, and is hardly meant: addresses that the address gate will refuse at every attempt,
    certificates that have ended, secrets with a line break at an end, profiles that sign without a secret.

    The settings have no problems.
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
    """A SQLite history that cannot be one, or is another's: told here in the words of a start."""
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
    """What is wrong with a hook wherever it is served; paths begin at the hook."""
    for index, pattern in enumerate(hook.events):
        yield from tried(f"events[{index}]", patterns.check, pattern)
    if hook.filter is not None:
        yield from tried("filter", compile_filter, hook.filter)
    # A message held for longer than the broker bears is handed out again while its attempt still runs.
    if hook.target.timeout > consumer_timeout / 2:
        yield Problem(
            "target.timeout",
            f"{hook.target.timeout:g} s is over half of broker.consumer_timeout ({consumer_timeout:g} s): the "
            "broker would hand the message out again meanwhile; raise both, here and on the broker",
        )
