"""Which addresses can be a history's, what they mean, and what is said about the others."""

import re
from pathlib import Path

import pytest

from bridge.settings.databases import PostgresServer, SqliteFile, read_database, renewed_login


def server(address: str) -> PostgresServer:
    found = read_database(address)
    assert isinstance(found, PostgresServer)
    return found


@pytest.mark.parametrize(
    "address",
    [
        "",
        "bridge.db",
        "sqlite://",
        "sqlite:///",
        "sqlite://x",
        "sqlite:///:memory:",
        "sqlite:///file:bridge.db",
        "sqlite://server/bridge.db",
        "sqlite:///bridge.db?mode=ro",
        "sqlite+aiosqlite:///bridge.db",
        "postgresql://",
        "postgresql://user:hunter2@server",
        "postgresql://user:hunter2@server:port/db",
        "postgresql://user:hunter2@server:70000/db",
        "postgresql://user:hunter2@[::1/db",
        "postgresql://user:hunter2@a,,b/db",
        "postgresql://user:hunter2@a,b/db?port=1,2,3",
        "postgresql://user:hun/ter2@server/db",
        "postgresql://user:hun?ter2@server/db",
        "postgresql://user:hunter2@server/db?x",
        "postgresql+psycopg://user:hunter2@server/db",
        "mysql://user:hunter2@server/db",
    ],
)
def test_an_address_that_cannot_be_a_history_is_refused_with_what_can(address: str):
    with pytest.raises(ValueError, match="sqlite:///bridge") as caught:
        read_database(address)

    assert "postgresql://user:password@host/database" in str(caught.value)
    assert "ter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("sslmode=required", "did you mean require?"),
        ("sslmod=require", "did you mean sslmode?"),
        ("channel_binding=require", "leave it out, and verify the server's certificate"),
        ("gssencmode=require", "cannot encrypt with GSSAPI"),
        ("target_session_attrs=standby", "a standby cannot be written to"),
        ("connect_timeout=soon", "seconds from 1 to 300"),
        ("options=x", "-c search_path=bridge"),
        ("options=", "-c search_path=bridge"),
        ("application_name=", "has no value"),
        ("client_encoding=latin1", "speaks UTF-8"),
        ("sslkey=/k", "sslkey needs sslcert"),
        ("hostaddr=10.0.0.1", "write the address as the host"),
        ("service=crm", "write host, database and user here"),
        ("tcp_user_timeout=3", "given up after 10 s"),
        ("pgbouncer=true", "is detected"),
    ],
)
def test_a_parameter_that_cannot_be_obeyed_is_refused_with_what_to_do(query: str, said: str):
    with pytest.raises(ValueError, match=re.escape(said)) as caught:
        read_database(f"postgresql://user:hunter2@server/db?{query}")

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "path"), [("sqlite:///bridge.db", "bridge.db"), ("SQLite:////var/b.db", "/var/b.db")]
)
def test_three_slashes_are_relative_and_four_absolute(address: str, path: str):
    assert read_database(address) == SqliteFile(Path(path))


@pytest.mark.parametrize(
    ("address", "hosts", "ports"),
    [
        ("postgresql://u:p@server/db", ("server",), (5432,)),
        ("postgres://u:p@server:6432/db", ("server",), (6432,)),
        ("postgresql://u:p@[::1]:1/db", ("::1",), (1,)),
        ("postgresql://u:p@a:1,b:2,c/db", ("a", "b", "c"), (1, 2, 5432)),
        ("postgresql://u:p@/db?host=a,b&port=7", ("a", "b"), (7, 7)),
        ("postgresql://u:p@/db?host=/run/postgresql&port=5433", ("/run/postgresql",), (5433,)),
        ("postgresql:///db?host=/tmp&user=u&password=p", ("/tmp",), (5432,)),
        ("postgresql://u:p@%2Fvar%2Frun/db", ("/var/run",), (5432,)),
        ("postgresql://u:p@/db", (), ()),
        ("postgresql:///db?user=u&password=p", (), ()),
        ("postgresql:///?user=u&password=p&dbname=db&port=5", (), (5,)),
    ],
)
def test_hosts_and_sockets_in_any_spelling_of_libpq(
    address: str, hosts: tuple[str, ...], ports: tuple[int, ...]
):
    found = server(address)

    assert (found.hosts, found.ports, found.database) == (hosts, ports, "db")
    assert (found.user, found.password) == ("u", "p")
    assert found.on_sockets == (bool(hosts) and hosts[0].startswith("/"))


def test_passwords_are_decoded_and_never_shown():
    found = server("postgresql://user:p%40ss%2Fw%3F%23@server/db")

    assert found.password == "p@ss/w?#"
    assert "p@ss" not in repr(found)
    assert server("postgresql://user:a#b@server/db").password == "a#b"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("sslmode=disable", (True, False, False, False)),
        ("sslmode=prefer", (False, False, False, False)),
        ("sslmode=require", (False, True, False, False)),
        ("sslmode=require&sslrootcert=/ca", (False, True, True, False)),
        ("sslmode=verify-ca&sslrootcert=/ca", (False, True, True, False)),
        ("sslmode=verify-full&sslrootcert=/ca", (False, True, True, True)),
        ("sslmode=verify-full&sslrootcert=system", (False, True, True, True)),
    ],
)
def test_sslmode_means_what_libpq_takes_it_for(
    query: str, expected: tuple[bool, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HOME", str(tmp_path))
    asked = server(f"postgresql://u:p@server/db?{query}").tls

    assert asked is not None
    assert (asked.off, asked.required, asked.files.verify, asked.names) == expected
    assert asked.files.ca == ("/ca" if "/ca" in query and expected[2] else None)


def test_a_root_certificate_where_libpq_looks_for_it_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".postgresql").mkdir()
    usual = tmp_path / ".postgresql" / "root.crt"
    usual.touch()

    asked = server("postgresql://server/db?sslmode=require").tls

    assert asked is not None
    assert asked.files.ca == str(usual)
    assert server("postgresql://server/db").tls is None


@pytest.mark.parametrize(
    ("anew", "taken"),
    [
        ("postgresql://u:new@server/db?sslmode=require", True),
        ("postgresql://other:new@server:5432/db?sslmode=require", True),
        ("postgresql://u:new@elsewhere/db?sslmode=require", False),
        ("postgresql://u:new@server/db", False),
        ("sqlite:///bridge.db", False),
        ("nonsense", False),
    ],
)
def test_only_the_login_of_an_address_is_taken_anew(anew: str, taken: bool):
    old = "postgresql://u:old@server/db?sslmode=require"

    assert renewed_login(old, anew) == (anew if taken else old)
