"""The findings of `doctor`: each has a severity, an explanation and a remedy."""

from collections.abc import Iterator, Sequence
from typing import Literal

from bridge.core.base import value
from bridge.core.errors import Problem
from bridge.core.survey import FoundBridge, FoundBroker, FoundDatabase, Owner, refusal
from bridge.settings.tree import Settings

Level = Literal["ok", "warning", "problem"]

_MUCH = 1024**3
_LITTLE = 100 * 1024**2
_SHORT_TOKEN = 16


@value(frozen=True, slots=True)
class Diagnosis:
    """One finding on `subject`, in the group `about` (broker, sources, ...); `advice` is the remedy, if any."""

    level: Level
    about: str
    subject: str
    message: str
    advice: str = ""


@value(frozen=True, slots=True)
class Group:
    """What findings are about."""

    about: str

    def ok(self, subject: str, message: str, advice: str = "") -> Diagnosis:
        """Returns a finding that needs nothing done."""
        return Diagnosis("ok", self.about, subject, message, advice)

    def warn(self, subject: str, message: str, advice: str = "") -> Diagnosis:
        """Returns a finding that does not prevent a start."""
        return Diagnosis("warning", self.about, subject, message, advice)

    def problem(self, subject: str, message: str, advice: str = "") -> Diagnosis:
        """Returns a finding that prevents a start, or loses events."""
        return Diagnosis("problem", self.about, subject, message, advice)


CONFIGURATION, SECRETS, DATABASE, HTTP = map(Group, ("configuration", "secrets", "database", "http"))


def healthy(findings: Sequence[Diagnosis]) -> bool:
    """Returns whether no finding is a problem."""
    return all(finding.level != "problem" for finding in findings)


def of_configuration(
    problems: Sequence[Problem], warnings: Sequence[Problem], settings: Settings
) -> Iterator[Diagnosis]:
    """Yield the findings of `check`: patterns, filters, programs and certificate files included."""
    for found in problems:
        yield CONFIGURATION.problem(_place(found), found.message)
    for found in warnings:
        yield CONFIGURATION.warn(_place(found), found.message)
    if not problems:
        told = f"{len(settings.sources)} sources, {len(settings.hooks)} hooks, {len(settings.inlets)} inlets"
        yield CONFIGURATION.ok("settings", f"{told}; programs and files that hooks need are there")
    if not settings.sources:
        yield CONFIGURATION.warn("sources", "there is no source: nothing is consumed", "add one")


def _place(problem: Problem) -> str:
    return ": ".join(part for part in (problem.where, problem.path) if part)


def of_secrets(settings: Settings) -> Iterator[Diagnosis]:
    """Yield findings on the key that encrypts secrets of hooks of the API at rest."""
    if settings.storage.encryption_keys:
        yield SECRETS.ok(
            "storage.encryption_keys", "secrets of hooks made through the API are encrypted with it"
        )
    elif settings.http.admin_token is not None:
        yield SECRETS.warn(
            "storage.encryption_keys",
            "not set: secrets of hooks made through the API are encrypted with a key derived from http.admin_token, and "
            "lost when that changes",
            "set storage.encryption_keys to a random text of at least 16 characters (openssl rand -base64 32)",
        )
    else:
        message = "not set, and there is no http.admin_token: no hook can be made through the API"
        yield SECRETS.ok("storage.encryption_keys", message)


def of_database(found: FoundDatabase) -> Iterator[Diagnosis]:
    """Yield findings on the database: reachable, of this version, writable, with free space."""
    if found.failure:
        yield DATABASE.problem(
            found.place, f"it cannot be used: {found.failure}", "correct storage.url or storage.tls"
        )
        return
    yield DATABASE.ok(found.place, f"reachable ({_engine(found)})")
    if not found.encrypted:
        yield DATABASE.warn(
            "encryption",
            "the server offers no TLS: the connection is not encrypted",
            "switch TLS on there (ssl = on)",
        )
    if found.pooled:
        message = "a pooler such as PgBouncer stands before it: no prepared statements are kept, and limits are set in each transaction"
        yield DATABASE.ok("pooler", message)
    yield _tables(found)
    if found.hindrance:
        yield DATABASE.problem(
            "writing",
            f"it cannot be written to: {found.hindrance}",
            "without history nothing is settled; give the bridge's user that right",
        )
    else:
        yield DATABASE.ok("writing", "allowed")
    if found.free is not None:
        yield _room(found.free)


def _engine(found: FoundDatabase) -> str:
    size = "" if found.size is None else f", {_bytes(found.size)}"
    return f"{'SQLite' if found.kind == 'sqlite' else 'PostgreSQL'} {found.version}{size}"


def _tables(found: FoundDatabase) -> Diagnosis:
    if found.misfit:
        advice = "set another storage.url; of a newer version: run that one"
        return DATABASE.problem("tables", found.misfit, advice)
    if found.revision is None:
        return DATABASE.ok("tables", "none yet: they are made at the first start")
    if found.revision != found.head:
        message = (
            f"of an older version (revision {found.revision}); the next start brings them to {found.head}"
        )
        return DATABASE.warn("tables", message, "make a backup before")
    return DATABASE.ok("tables", f"of this version (revision {found.revision})")


def of_owner(found: FoundDatabase, broker: FoundBroker, settings: Settings) -> Iterator[Diagnosis]:
    """Yield findings on the history's owner, as far as known without a reachable broker."""
    if found.owner is None:
        return
    reached = next((each for each in broker.endpoints if not each.failure), None)
    place = ("", found.owner.vhost) if reached is None else (reached.cluster, reached.vhost)
    bridge = Owner(settings.broker.prefix, *place)
    if not found.owner.is_another(bridge):
        yield DATABASE.ok("owner", f"`{found.owner}`: this bridge")
    elif str(found.owner) == settings.storage.take_over.strip():
        yield DATABASE.ok("owner", f"`{found.owner}`: the next start takes it over (storage.take_over)")
    else:
        message, _, advice = refusal(found.owner, str(bridge)).partition(": ")
        yield DATABASE.problem("owner", message, advice)


def _room(free: int) -> Diagnosis:
    message = f"{_bytes(free)} free"
    if free < _LITTLE:
        return DATABASE.problem("disk", message, "make room: a full disk is an outage")
    if free < _MUCH:
        return DATABASE.warn("disk", message, "make room, or shorten storage.retention")
    return DATABASE.ok("disk", message)


def _bytes(number: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} TB"


def of_http(found: Sequence[FoundBridge], settings: Settings) -> Iterator[Diagnosis]:
    """Yield findings on HTTP addresses and the token of the admin API."""
    for each in found:
        if each.failure:
            advice = "stop what is there, or set another address (http.listen, http.admin_listen)"
            yield HTTP.problem(each.address, each.failure, advice)
        elif each.admits is False:
            advice = "its token was changed in the file alone: restart it, or set the token that it has"
            yield HTTP.problem(each.address, "the bridge there does not take http.admin_token", advice)
        else:
            state = "a bridge answers" if each.running else "free: no bridge runs there now"
            yield HTTP.ok(each.address, state)
    yield _token(settings)


def _token(settings: Settings) -> Diagnosis:
    token = settings.http.admin_token
    if token is None:
        message = "not set: the admin API is closed"
        return HTTP.warn("http.admin_token", message, "set BRIDGE_ADMIN_TOKEN, and http.admin_token to it")
    if len(token.get_secret_value().strip()) < _SHORT_TOKEN:
        message = f"shorter than {_SHORT_TOKEN} characters: it can be guessed"
        return HTTP.warn("http.admin_token", message, "make one with openssl rand -base64 32")
    return HTTP.ok("http.admin_token", "set")
