"""The address of the history's database, parsed in one place for `check` and `run`."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, unquote

from bridge.settings.shape import nearest
from bridge.settings.transport import SecretUrl, ServerTls

POSSIBLE = (
    "write sqlite:///bridge.db (relative), sqlite:////var/lib/bridge.db (absolute) or "
    "postgresql://user:password@host/database"
)
_ENCODE = "percent-encode the characters / ? # @ : % in user name and password"
_PORT = 5432
_SSLMODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_USUAL_CA = Path("~/.postgresql/root.crt")
_OPTION = re.compile(r"(?:-c\s*|--)[A-Za-z_][\w.-]*=(?:\\.|[^\s\\])*")


@dataclass(frozen=True, slots=True)
class SqliteFile:
    """A file on this machine."""

    path: Path


@dataclass(frozen=True, slots=True)
class AddressTls:
    """An address's TLS: `required`, else used if offered; `names`: the certificate must match the host."""

    files: ServerTls
    off: bool
    required: bool
    names: bool


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A database on a server, or on several hosts that are tried in turn; a host that begins with / is the folder of a Unix
    socket. No host: the driver's default for a server on this machine.

    `parameters` are those of the address that the bridge handles: sslmode, options and others, each validated.
    """

    hosts: tuple[str, ...]
    ports: tuple[int, ...]
    user: str | None
    password: str | None = field(repr=False)
    database: str
    parameters: Mapping[str, str] = field(repr=False)

    @property
    def tls(self) -> "AddressTls | None":
        """Returns the TLS options of the address, with libpq's meaning; None if there are none."""
        given = self.parameters
        if not any(name.startswith("ssl") for name in given):
            return None
        mode, ca = given.get("sslmode", "prefer"), given.get("sslrootcert")
        usual = _USUAL_CA.expanduser()
        if ca is None and mode != "prefer" and usual.is_file():
            ca = str(usual)
        verify = mode in {"verify-ca", "verify-full"} or (mode == "require" and ca is not None)
        files = ServerTls(
            ca=ca if verify and ca != "system" else None,
            cert=given.get("sslcert"),
            key=given.get("sslkey"),
            verify=verify,
        )
        return AddressTls(
            files,
            off=mode == "disable",
            required=mode in {"require", "verify-ca", "verify-full"},
            names=mode == "verify-full" or ca == "system",
        )

    @property
    def on_sockets(self) -> bool:
        """Returns whether the connection uses Unix sockets only, and so no TLS."""
        return bool(self.hosts) and all(host.startswith("/") for host in self.hosts)


Database = SqliteFile | PostgresServer


def read_database(address: str) -> Database:
    """Returns the parsed address. Raises ValueError with what to write instead, and never with a password."""
    scheme, found, rest = address.partition("://")
    match scheme.lower() if found else "":
        case "sqlite":
            return _file(rest)
        case "postgresql" | "postgres":
            return _server(rest)
        case "":
            raise ValueError(f"this is no address of a database; {POSSIBLE}")
        case other:
            raise ValueError(f"there is no history on {other!r}; {POSSIBLE}")


def storage_url(url: SecretUrl) -> SecretUrl:
    """Returns the URL if it can be that of a history; else raises ValueError without the password."""
    read_database(url.get_secret_value())
    return url


def _file(rest: str) -> SqliteFile:
    name = rest.removeprefix("/")
    if not rest.startswith("/") or "?" in rest or name in {"", ":memory:"} or name.startswith("file:"):
        raise ValueError(
            f"a SQLite history needs a file, after three slashes, and nothing else stands in its address; {POSSIBLE}"
        )
    return SqliteFile(Path(name))


def _server(rest: str) -> PostgresServer:
    whole, _, query = rest.partition("?")
    authority, _, database = whole.partition("/")
    login, _, place = authority.rpartition("@")
    if "@" in database + query:
        raise ValueError(f"no valid host in the address; {_ENCODE}; {POSSIBLE}")
    given = _parameters(query)
    user, _, password = login.partition(":")
    hosts, ports = _places(given.pop("host", None), given.pop("port", None), place)
    database = unquote(given.pop("dbname", "") or database)
    if not database or "/" in database:
        raise ValueError(f"a PostgreSQL history needs the name of its database in the address; {POSSIBLE}")
    return PostgresServer(
        hosts,
        ports,
        given.pop("user", None) or unquote(user) or None,
        given.pop("password", None) or unquote(password) or None,
        database,
        given,
    )


def _places(host: str | None, port: str | None, place: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Returns the hosts and their ports, from the parameters or else from the part before the path."""
    if host is None:
        named = [_host_and_port(each) for each in place.split(",")] if place else []
    else:
        named = [(each, None) for each in host.split(",")]
    given = [_number(each) for each in port.split(",")] if port else []
    if len(given) not in {0, 1, len(named)}:
        raise ValueError(f"{len(given)} ports for {len(named)} hosts in the address; {POSSIBLE}")
    if any(not name for name, _ in named):
        raise ValueError(f"a host without a name in the address; {POSSIBLE}")
    usual = given * len(named) if len(given) == 1 else given or [_PORT] * len(named)
    ports = tuple(number or by_default for (_, number), by_default in zip(named, usual, strict=True))
    return tuple(name for name, _ in named), ports or tuple(given)


def _host_and_port(text: str) -> tuple[str, int | None]:
    matched = re.fullmatch(r"(?:\[(?P<v6>[^\]]+)\]|(?P<host>[^:\[\]]*))(?::(?P<port>[^:]*))?", text)
    if matched is None:
        raise ValueError(f"no valid host in the address; {_ENCODE}; {POSSIBLE}")
    return matched["v6"] or unquote(matched["host"]), _number(matched["port"]) if matched["port"] else None


def _number(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 0 < int(text[:6]) < 65_536:
        raise ValueError(f"no valid port in the address; {_ENCODE}; {POSSIBLE}")
    return int(text)


def _parameters(query: str) -> dict[str, str]:
    """Returns the parameters of the address, each with a valid value; an unsupported one is an error, and not ignored."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        raise ValueError(f"after ? the address needs name=value, joined by &; {POSSIBLE}") from None
    kept: dict[str, str] = {}
    for name, value in pairs:
        if name in _NOT_THERE:
            raise ValueError(f"the parameter {name!r} is not supported: {_NOT_THERE[name]}")
        if name not in _CHECKS:
            raise ValueError(f"unknown parameter {name!r} in the address{nearest(name, list(_CHECKS))}")
        _CHECKS[name](name, value)
        kept[name] = value
    if "sslkey" in kept and "sslcert" not in kept:
        raise ValueError("sslkey needs sslcert")
    return kept


def _one_of(*possible: str, advice: str = "") -> Callable[[str, str], None]:
    def check(name: str, value: str) -> None:
        if value not in possible:
            raise ValueError(f"{name} cannot be {value!r}{nearest(value, possible)}{advice}")

    return check


def _text(name: str, value: str) -> None:
    if not value or "\0" in value:
        raise ValueError(f"the parameter {name!r} has no value")


def _seconds(name: str, value: str) -> None:
    if not value.isdecimal() or not 1 <= int(value[:6]) <= 300:
        raise ValueError(f"{name} is a number of seconds from 1 to 300")


def _options(name: str, value: str) -> None:
    if not re.fullmatch(rf"\s*{_OPTION.pattern}(?:\s+{_OPTION.pattern})*\s*", value):
        raise ValueError(f"{name} is text such as `-c search_path=bridge`, with blanks written as %20")


_CHECKS: Mapping[str, Callable[[str, str], None]] = {
    **dict.fromkeys(("host", "port", "user", "password", "dbname", "passfile", "application_name"), _text),
    **dict.fromkeys(("sslrootcert", "sslcert", "sslkey"), _text),
    "sslmode": _one_of(*_SSLMODES),
    "connect_timeout": _seconds,
    "options": _options,
    "target_session_attrs": _one_of(
        "any", "primary", "read-write", advice="; a standby cannot be written to"
    ),
    "channel_binding": _one_of(
        "prefer", "disable", advice="; the driver cannot bind to the channel: leave it out, and verify the server's "
        "certificate instead (sslmode=verify-full)",
    ),
    "gssencmode": _one_of("prefer", "disable", advice="; the driver cannot encrypt with GSSAPI"),
    "client_encoding": _one_of("UTF8", "utf8", "UTF-8", "utf-8", "auto", advice="; the bridge speaks UTF-8"),
}  # fmt: skip
_NOT_THERE: Mapping[str, str] = {
    "hostaddr": "write the address as the host",
    "service": "write host, database and user here",
    "servicefile": "write host, database and user here",
    "requiressl": "write sslmode=require",
    "sslpassword": "give a key without a passphrase",
    "sslcrl": "the driver is given no list of revoked certificates",
    "replication": "the history is no replication stream",
    **dict.fromkeys(
        ("keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout"),
        "leave it out: a transaction that hangs is given up after 10 s by both sides",
    ),
    **dict.fromkeys(
        ("statement_cache_size", "prepared_statement_cache_size", "pgbouncer"),
        "leave it out: a pooler such as PgBouncer is detected, and prepared statements are not kept then",
    ),
}


def renewed_login(address: str, anew: str) -> str:
    """Returns `anew` if it leads to the same database as `address`, perhaps with other credentials; else `address`."""
    try:
        before, after = read_database(address), read_database(anew)
    except ValueError:
        return address
    return anew if _place(before) == _place(after) else address


def _place(database: Database) -> Sequence[object]:
    if isinstance(database, SqliteFile):
        return (database.path,)
    return (database.hosts, database.ports, database.database, sorted(database.parameters.items()))
