"""From a file and the environment to the settings, or to the list of all that is wrong with them."""

import re
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from typing import Any

from bridge.core.errors import Problem, SettingsError
from bridge.core.event import OWN_EVENTS
from bridge.core.hook import Hook, HookFault
from bridge.core.inlet import Inlet
from bridge.core.target import QueueTarget
from bridge.settings.databases import PostgresServer
from bridge.settings.environment import (
    Given,
    Names,
    Substitution,
    given_settings,
    overlay,
    secrets_folder,
    with_env_file,
)
from bridge.settings.errors import explain
from bridge.settings.partial import is_stand_in, remainder, stand_in_name, trustworthy
from bridge.settings.shape import nearest, written
from bridge.settings.transport import StorageTls
from bridge.settings.tree import Broker, OtherBroker, Settings, Storage
from bridge.settings.yaml import Document, KeyPath, parse
from bridge.wire.inlet_paths import canonical, check_path

# What each setting allows alone, but two of them together do not.


def contradictions(settings: Settings) -> Iterator[tuple[KeyPath, str]]:
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


def unknown_names(
    hook: Hook, sources: Sequence[str], brokers: Sequence[str]
) -> Iterator[tuple[KeyPath, str]]:
    """Sources and brokers that the hook names and that are not set up; paths begin at the hook."""
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


def _two_minds(storage: Storage) -> Iterator[tuple[KeyPath, str]]:
    """TLS to the database that is decided on in two places, or in none."""
    tls = storage.tls
    if tls != StorageTls() and isinstance(storage.database, PostgresServer) and storage.database.tls:
        yield ("storage", "tls"), "give either `sslmode` in `url` or `tls`, not both"
    elif tls.mode == "off" and tls != StorageTls(mode="off"):
        yield ("storage", "tls", "mode"), "off leaves no use for the other settings of `tls`"


def _reserved(settings: Settings) -> Iterator[tuple[KeyPath, str]]:
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


def _bad_paths(inlets: Sequence[Inlet]) -> Iterator[tuple[KeyPath, str]]:
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


def _unknown_sources(path: KeyPath, hook: Hook, known: Sequence[str]) -> Iterator[tuple[KeyPath, str]]:
    for index, name in enumerate(hook.sources or ()):
        if name not in known:
            yield (*path, index), f"no source {name!r}{nearest(name, known)}"


# Hooks with faults, told apart from faults that concern more than one hook.


_OF_HOOK = re.compile(r"hooks\[(\d+)\]\.?(.*)", re.DOTALL)
_ASKING = frozenset({"sources", "events", "filter"})
_MOST_TOLD = 5


def broken_apart(settings: Settings, problems: Sequence[Problem]) -> tuple[Settings, list[Problem]]:
    """The settings with each hook that has problems marked as broken, and the problems that are not of one hook alone.

    `settings` are what is valid, with stand-ins for the rest. A hook without a valid name of its own cannot be kept apart:
    its lane goes by that name, and without one its events would be lost.
    """
    of_hooks: defaultdict[int, list[tuple[str, Problem]]] = defaultdict(list)
    others: list[Problem] = []
    for problem in problems:
        found = _OF_HOOK.fullmatch(problem.path)
        if found and _is_named(settings, int(found[1])) and found[2] != "name":
            of_hooks[int(found[1])].append((found[2], problem))
        else:
            others.append(problem)
    hooks = [
        _broken(hook, of_hooks[index]) if index in of_hooks else hook
        for index, hook in enumerate(settings.hooks)
    ]
    return settings.model_copy(update={"hooks": hooks}), others


def _is_named(settings: Settings, index: int) -> bool:
    return index < len(settings.hooks) and settings.hooks[index].name != stand_in_name(index)


def _broken(hook: Hook, problems: Sequence[tuple[str, Problem]]) -> Hook:
    told = [f"{path or hook.name}: {problem.message}" for path, problem in problems]
    more = [f"and {len(told) - _MOST_TOLD} more"] if len(told) > _MOST_TOLD else []
    heads = {re.split(r"[.\[]", path, maxsplit=1)[0] for path, _ in problems}
    unread = _ASKING if "" in heads else heads & _ASKING
    unread = unread | {"target"} if is_stand_in(hook.target) else unread
    return hook.with_fault(HookFault("; ".join([*told[:_MOST_TOLD], *more]), frozenset(unread)))


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings, as far as they are valid, where each of them stands, and what is wrong with the others."""

    settings: Settings
    origins: Mapping[KeyPath, str]
    problems: tuple[Problem, ...] = ()
    left_out: frozenset[KeyPath] = frozenset()

    def sound(self, further: Iterable[Problem] = ()) -> Settings:
        """The settings; raises SettingsError where they have problems, or `further` ones were found in them."""
        own = (problem for problem in further if trustworthy(problem.path, self.left_out))
        if problems := [*self.problems, *self.located(own)]:
            raise SettingsError(sorted(problems, key=_line))
        return self.settings

    def with_faults(self, further: Iterable[Problem] = ()) -> Settings:
        """The settings, each hook that has problems marked as broken; raises SettingsError where others are wrong, or where
        a hook has no name by which its lane could be known.
        """
        own = (problem for problem in further if trustworthy(problem.path, self.left_out))
        problems = sorted([*self.problems, *self.located(own)], key=_line)
        settings, others = broken_apart(self.settings, problems)
        if others:
            raise SettingsError(problems)
        return settings

    def located(self, problems: Iterable[Problem]) -> list[Problem]:
        """The same problems in the order of the file, each with the file and line of the nearest setting."""
        places = {written(path): origin for path, origin in self.origins.items()}
        found = (replace(problem, where=_nearest_place(problem.path, places)) for problem in problems)
        return sorted(found, key=_line)


def load(path: FilePath | None, env: Mapping[str, str]) -> Settings:
    """The settings: defaults, then the file, then the secrets directory, then the environment; the last wins.

    Raises SettingsError with one Problem for each fault, all at once.
    """
    return load_with_places(path, env).sound()


def load_with_places(
    path: FilePath | None, env: Mapping[str, str], sections: Container[str] = frozenset(Settings.model_fields)
) -> Loaded:
    """As `load`, with the place of each setting; other `sections` are passed over, whatever is wrong there.

    Raises SettingsError only for what cannot be read as settings at all; `Loaded.sound` does for every fault.
    """
    env = with_env_file(env)
    document = _read(path) if path is not None else Document(value={})
    name = str(path or "")
    draft = _Draft(origins={place: f"{name}:{line}" for place, line in document.lines.items()})
    for place, message in document.problems:
        if _wanted(place[0], sections):
            draft.blame(place, message)
    substitution = Substitution(Names(env, secrets_folder(env)), draft.private)
    whole = _mapping(document, name)
    value = substitution.fill({key: part for key, part in whole.items() if _wanted(key, sections)})
    for place, message in substitution.problems:
        draft.blame(place, message)
        draft.empty.add(place)
    given, problems = given_settings(Settings, env)
    given = [item for item in given if item.path[0] in sections]
    draft.lay_over(given, problems)
    return draft.loaded(overlay(value, given))


@dataclass
class _Draft:
    """What is known about each value on the way to the settings."""

    origins: dict[KeyPath, str]
    private: set[KeyPath] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)
    blamed: set[KeyPath] = field(default_factory=set)
    empty: set[KeyPath] = field(default_factory=set)
    """Where a variable is missing: what else is wrong there comes of that, and is not told."""

    def lay_over(self, given: list[Given], problems: list[Problem]) -> None:
        self.problems += problems
        for item in given:
            self.origins = {p: o for p, o in self.origins.items() if p[: len(item.path)] != item.path}
            self.origins[item.path] = item.origin
            if item.private:
                self.private.add(item.path)

    def blame(self, path: KeyPath, message: str) -> None:
        if path not in self.blamed:
            self.blamed.add(path)
            self.problems.append(Problem(written(path), message, self._origin(path)))

    def loaded(self, value: dict[str, Any]) -> Loaded:
        """What is valid of the value, with all that is wrong with the rest."""
        found = remainder(value, lambda error: explain(Settings, error, self.private)[0])
        for details in found.errors:
            place, message = explain(Settings, details, self.private)
            if not any(place == other[: len(place)] for other in self.empty):
                self.blame(place, message)
        left_out = found.left_out | self.empty
        for place, message in contradictions(found.settings):
            if trustworthy(written(place), left_out):
                self.blame(place, message)
        return Loaded(found.settings, self.origins, tuple(self.problems), left_out)

    def _origin(self, path: KeyPath) -> str:
        """Where the value stands, or the nearest thing around it that stands somewhere."""
        while path not in self.origins and path:
            path = path[:-1]
        return self.origins.get(path, "")


def _nearest_place(path: str, places: Mapping[str, str]) -> str:
    while path and path not in places:
        path = path[: max(path.rfind("."), path.rfind("["), 0)]
    return places.get(path, "")


def _line(problem: Problem) -> int:
    """The line in the file; 0 for what does not stand in it, which so comes first."""
    line = problem.where.rpartition(":")[2]
    return int(line) if line.isdecimal() else 0


def _wanted(section: object, sections: Container[str]) -> bool:
    return section in sections or section not in Settings.model_fields


def _mapping(document: Document, name: str) -> dict[str, Any]:
    if isinstance(document.value, dict):
        return document.value
    found = (
        "holds no settings" if document.value is None else "must be a mapping of sections such as `broker:`"
    )
    raise SettingsError([Problem("", found, name)])


def _read(path: FilePath) -> Document:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        message = "no such file"
    except IsADirectoryError:
        message = "is a folder, not a file"
    except PermissionError:
        message = "may not be read by this user"
    except UnicodeDecodeError as error:
        message = f"not UTF-8 text (byte {error.start + 1})"
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
    else:
        return parse(text, str(path))
    raise SettingsError([Problem("", message, str(path))])
