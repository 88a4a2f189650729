"""A private, throw-away PostgreSQL server: own port, own data, loopback only, gone when it is stopped.

    with PostgresServer.start() as server:
        use(server.url)    # a superuser, who may create databases

All calls block; inside an event loop use asyncio.to_thread(server.restart).
"""

import os
import secrets
import signal
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from devtools.nodes import processes
from devtools.nodes.ports import free_ports
from devtools.nodes.postgres_install import find_postgres, server_account
from devtools.nodes.processes import Account
from devtools.nodes.scratch import Scratch

BOOT_SECONDS = 60
USER = "bridge"


class ServerError(Exception):
    """The server failed; the message holds what it said."""


@dataclass(frozen=True)
class ServerPlan:
    """Everything that is the same at each start, so a restart finds its port and data."""

    folder: Path
    programs: Path
    port: int
    password: str
    account: Account | None
    settings: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        """The URL of the database "postgres"."""
        return f"postgresql://{USER}:{self.password}@127.0.0.1:{self.port}/postgres"

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """What the server said."""
        return self.folder / "console.log"

    def environment(self) -> dict[str, str]:
        """Our environment without what would steer another PostgreSQL."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        return {**kept, "HOME": str(self.folder), "LC_ALL": "C"}

    def server_argv(self) -> list[str | Path]:
        """The server in the foreground.

        Without a Unix socket: the path of a temporary folder may be longer than a socket's may be.
        """
        fixed = ("listen_addresses=127.0.0.1", f"port={self.port}", "unix_socket_directories=")
        options = [part for setting in (*fixed, *self.settings) for part in ("-c", setting)]
        return [self.programs / "postgres", "-D", self.data, *options]


class PostgresServer:
    """A server that this process started and will end."""

    def __init__(self, plan: ServerPlan, scratch: Scratch) -> None:
        self._plan = plan
        self._scratch = scratch
        self._server: subprocess.Popen[bytes] | None = None

    @classmethod
    def start(cls, *, settings: Sequence[str] = (), programs: Path | None = None) -> "PostgresServer":
        """A server that accepts connections. Settings are those of postgresql.conf ("name=value")."""
        programs = programs or find_postgres()
        if programs is None:
            raise ServerError("no PostgreSQL server found on this machine")
        with ExitStack() as undo:
            scratch = Scratch.create("postgres")
            undo.callback(scratch.remove)
            port, password = free_ports(1)[0], secrets.token_hex(12)
            plan = ServerPlan(scratch.path, programs, port, password, server_account(), tuple(settings))
            create_cluster(plan)
            server = cls(plan, scratch)
            undo.callback(server.stop)
            server.restart()
            undo.pop_all()
        return server

    @property
    def url(self) -> str:
        """The URL of a superuser's connection."""
        return self._plan.url

    @property
    def folder(self) -> Path:
        """Data and console.log."""
        return self._plan.folder

    @property
    def port(self) -> int:
        """The port, also while the server is down."""
        return self._plan.port

    def restart(self) -> None:
        """Up again on the same port with the same data, whether it was running, halted or killed."""
        self.halt()
        plan = self._plan
        self._server = processes.spawn(
            plan.server_argv(), env=plan.environment(), log=plan.log, folder=plan.folder, account=plan.account
        )
        self._scratch.record("server", self._server.pid, signal.SIGINT)
        if not processes.poll(self._is_settled, BOOT_SECONDS, every=0.05) or not self._is_ready():
            raise ServerError(f"PostgreSQL did not start\n{last_words(plan.log)}")

    def halt(self) -> None:
        """Shut down in order, clients disconnected; restart() brings it back."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Gone in an instant; restart() brings it back and recovers from its log."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """No process, no file is left. In order, because a killed server leaks shared memory."""
        self.halt()
        self._scratch.remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _end(self, first: signal.Signals) -> None:
        if self._server is not None:
            processes.end_tree(self._server.pid, first, 30)
            self._server.wait(10)
            self._server = None

    def _is_settled(self) -> bool:
        return self._is_ready() or self._server is None or self._server.poll() is not None

    def _is_ready(self) -> bool:
        return accepts_connections(self._plan.programs, self._plan.url)


def create_cluster(plan: ServerPlan) -> None:
    """An empty database cluster that belongs to the user that the server runs as."""
    password = plan.folder / "password"
    password.write_text(plan.password)
    plan.data.mkdir(mode=0o700)
    if plan.account is not None:
        # Others may pass through the folder to what is theirs in it, but not list it.
        plan.folder.chmod(0o711)
        for path in (plan.data, password):
            os.chown(path, plan.account.uid, plan.account.gid)
    argv: list[str | Path] = [
        *(plan.programs / "initdb", "-D", plan.data, "--username", USER, "--pwfile", password),
        *("--auth", "scram-sha-256", "--encoding", "UTF8", "--no-locale", "--no-sync"),
    ]
    with processes.spawn(
        argv, env=plan.environment(), log=plan.log, folder=plan.folder, account=plan.account
    ) as process:
        if process.wait(BOOT_SECONDS) != 0:
            raise ServerError(f"initdb failed\n{last_words(plan.log)}")


def accepts_connections(programs: Path, url: str) -> bool:
    """Whether the server is up; says nothing about user and password."""
    argv: list[str | Path] = [programs / "pg_isready", "--quiet", "--dbname", url]
    return subprocess.run(argv, timeout=20, check=False).returncode == 0


def last_words(log: Path) -> str:
    """The end of what was logged."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-20:]) if log.exists() else ""
