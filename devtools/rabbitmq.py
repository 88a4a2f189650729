"""A private, throw-away RabbitMQ node: own ports, own data, loopback only, gone when it is stopped.

    with RabbitMQNode.start(plugins=["rabbitmq_management"], config=["consumer_timeout = 5000"]) as node:
        use(node.url)

All calls block; inside an event loop use asyncio.to_thread(node.restart).
"""

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from devtools.nodes import processes
from devtools.nodes.handshake import HandshakeError, shake_hands
from devtools.nodes.port_mapper import PortMapper
from devtools.nodes.rabbitmq_install import Installation, find_rabbitmq
from devtools.nodes.rabbitmq_plan import NodePlan
from devtools.nodes.scratch import Scratch

BOOT_SECONDS = 90
COMMAND_SECONDS = 60
FREEZE_SECONDS = 10
QUORUM_BY_DEFAULT = """
rabbit_misc:execute_mnesia_transaction(fun() -> rabbit_vhost:update(<<"{name}">>, fun(VHost) ->
    vhost:set_metadata(VHost, #{{default_queue_type => <<"quorum">>}}) end) end).
"""


class NodeError(Exception):
    """The node, or a command on it, failed; the message holds what it said."""


class NodeControl:
    """Commands on a node. For a node of another process: NodeControl.of(folder)."""

    def __init__(self, plan: NodePlan) -> None:
        self._plan = plan

    @classmethod
    def of(cls, folder: str | Path) -> "NodeControl":
        """Control of the running node whose files lie in the folder."""
        return cls(NodePlan.load(Path(folder)))

    @property
    def url(self) -> str:
        """The AMQP URL."""
        return self._plan.url

    @property
    def management_url(self) -> str | None:
        """The management API with user and password, or None without its plugin."""
        return self._plan.management_url

    @property
    def folder(self) -> Path:
        """Configuration, data and logs (log/node.log, console.log)."""
        return self._plan.folder

    @property
    def amqp_port(self) -> int:
        """The port of the AMQP listener, also while the node is down."""
        return self._plan.amqp_port

    def rabbitmqctl(self, *arguments: str) -> str:
        """What `rabbitmqctl ARGUMENTS` printed; it takes a second or two."""
        argv: list[str | Path] = [
            self._plan.scripts / "rabbitmqctl",
            "--quiet",
            "--node",
            self._plan.name,
            *arguments,
        ]
        result = subprocess.run(
            argv,
            env=self._plan.environment(),
            cwd=self._plan.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        if result.returncode:
            raise NodeError(f"rabbitmqctl {' '.join(arguments)}: {result.stdout}{result.stderr}")
        return result.stdout

    def add_virtual_host(self, name: str) -> str:
        """The AMQP URL of a new, empty virtual host."""
        self.rabbitmqctl("add_vhost", name)
        self.rabbitmqctl("set_permissions", "--vhost", name, "guest", ".*", ".*", ".*")
        return f"{self.url}{quote(name, safe='')}"

    def default_to_quorum(self, virtual_host: str) -> None:
        """Queues that are declared there without a type are quorum queues from now on."""
        try:
            self.rabbitmqctl("update_vhost_metadata", virtual_host, "--default-queue-type", "quorum")
        except NodeError:  # 3.10 has no such command: there the default is set when the virtual host is made
            self.rabbitmqctl("eval", QUORUM_BY_DEFAULT.format(name=virtual_host))

    def stop_app(self) -> None:
        """The broker is down, its Erlang node stays: clients see an orderly close, then refusals."""
        self.rabbitmqctl("stop_app")

    def start_app(self) -> None:
        """The broker is up again after stop_app, and lets clients in."""
        self.rabbitmqctl("start_app")
        self.await_ready(BOOT_SECONDS)

    def await_ready(self, seconds: float) -> None:
        """Returns once the broker lets a client in."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                shake_hands(self.url)
            except HandshakeError as error:
                if time.monotonic() > deadline:
                    raise NodeError(
                        f"not ready after {seconds:.0f} s: {error}\n{self.last_words()}"
                    ) from error
                self._raise_if_dead()
                time.sleep(0.1)
            else:
                return

    def last_words(self) -> str:
        """Its first errors (later ones are about processes that fell over them), else the end of its log."""
        log = self._plan.console_log
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        errors = [line for line in lines if "[error]" in line]
        return "\n".join(errors[:15] or lines[-15:])

    def _raise_if_dead(self) -> None:
        """Overridden where the process is known: no use in waiting for a dead one."""


class RabbitMQNode(NodeControl):
    """A node that this process started and will end."""

    def __init__(self, plan: NodePlan, scratch: Scratch, mapper: PortMapper | None = None) -> None:
        """Not started yet. Without a port mapper it has one of its own, which ends with it."""
        super().__init__(plan)
        self._scratch = scratch
        self._own_mapper = mapper is None
        self._mapper = mapper or PortMapper(plan, scratch)
        self._server: subprocess.Popen[bytes] | None = None

    @classmethod
    def start(
        cls,
        *,
        plugins: Sequence[str] = (),
        config: Sequence[str] = (),
        installation: Installation | None = None,
    ) -> "RabbitMQNode":
        """A node that lets clients in, after about five seconds. Config lines are those of rabbitmq.conf."""
        installation = installation or find_rabbitmq()
        if installation is None:
            raise NodeError("no rabbitmq-server found on this machine")
        with ExitStack() as undo:
            scratch = Scratch.create("rabbitmq")
            undo.callback(scratch.remove)
            plan = NodePlan.make(scratch.path, installation.scripts, installation.epmd, plugins, config)
            node = cls(plan, scratch)
            undo.callback(node.stop)
            node.restart()
            undo.pop_all()
        return node

    @property
    def running(self) -> bool:
        """Whether its process is there (it may be frozen, or its application stopped)."""
        return self._server is not None and self._server.poll() is None

    @property
    def pid(self) -> int:
        """The process id of the Erlang node."""
        if self._server is None:
            raise NodeError("the node is not running")
        return self._server.pid

    def restart(self) -> None:
        """Up again on the same ports with the same data, whether it was running, halted or killed."""
        self.launch()
        self.await_ready(BOOT_SECONDS)

    def launch(self) -> None:
        """restart() without waiting until it lets clients in."""
        self.halt()
        if not self._mapper.ensure():
            raise NodeError(f"epmd does not answer on its port {self._plan.epmd_port}\n{self.last_words()}")
        plan = self._plan
        self._server = processes.spawn(
            [plan.scripts / "rabbitmq-server"],
            env=plan.environment(),
            log=plan.console_log,
            folder=plan.folder,
        )
        self._scratch.record("server", self._server.pid, signal.SIGKILL)

    def halt(self) -> None:
        """Shut down in order (as a package upgrade does); restart() brings it back."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Gone in an instant (as by the kernel, or a power cut); restart() brings it back."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """Connected but silent: the sockets stay open and nothing answers until thaw()."""
        os.kill(self.pid, signal.SIGSTOP)
        # Threads that run on other processors stop a moment later, and may answer until then.
        if not processes.poll(lambda: processes.is_stopped(self.pid), FREEZE_SECONDS, every=0.01):
            raise NodeError(f"process {self.pid} did not stop within {FREEZE_SECONDS} s")

    def thaw(self) -> None:
        """Goes on after freeze()."""
        os.kill(self.pid, signal.SIGCONT)

    def stop(self) -> None:
        """No process, no file is left. The data goes, so there is no point in a slow shutdown."""
        self.kill()
        self._scratch.remove()
        if self._own_mapper:
            self._mapper.reap()

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

    def _raise_if_dead(self) -> None:
        if self._server is not None and self._server.poll() is not None:
            raise NodeError(f"the node ended with exit code {self._server.returncode}\n{self.last_words()}")
