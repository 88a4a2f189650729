"""What a private RabbitMQ node is given: ports, files, and an environment that shuts out the system's own."""

import json
import os
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from devtools.nodes.ports import free_ports

PLAN_FILE = "node.json"
LOOPBACK = "127.0.0.1"
CONFIG = """\
listeners.tcp.1 = 127.0.0.1:{amqp}
disk_free_limit.absolute = 50MB
vm_memory_high_watermark.absolute = 1GB
management.tcp.ip = 127.0.0.1
management.tcp.port = {management}
"""


@dataclass(frozen=True)
class NodePlan:
    """Everything that is the same at each start of a node, so a restart finds its ports and data."""

    folder: Path
    scripts: Path
    epmd: Path
    amqp_port: int
    management_port: int
    distribution_port: int
    epmd_port: int
    plugins: tuple[str, ...]
    config: tuple[str, ...]

    @classmethod
    def make(
        cls,
        folder: Path,
        scripts: Path,
        epmd: Path,
        plugins: Sequence[str],
        config: Sequence[str],
        *,
        ports: Sequence[int] = (),
    ) -> "NodePlan":
        """A plan with free ports (four, if they are given: nodes of a cluster share the last), written into its folder."""
        amqp, management, distribution, mapper = ports or free_ports(4)
        plan = cls(
            folder=folder,
            scripts=scripts,
            epmd=epmd,
            amqp_port=amqp,
            management_port=management,
            distribution_port=distribution,
            epmd_port=mapper,
            plugins=tuple(plugins),
            config=tuple(config),
        )
        plan.write()
        return plan

    @classmethod
    def load(cls, folder: Path) -> "NodePlan":
        """The plan that a folder was started with, also from another process."""
        data = json.loads((folder / PLAN_FILE).read_text(encoding="utf-8"))
        for name in ("folder", "scripts", "epmd"):
            data[name] = Path(data[name])
        for name in ("plugins", "config"):
            data[name] = tuple(data[name])
        return cls(**data)

    @property
    def name(self) -> str:
        """The node's name; unique, because the folder's name is."""
        return f"{self.folder.name}@localhost"

    @property
    def url(self) -> str:
        """The AMQP URL, with the default user (whom RabbitMQ lets in from the loopback only)."""
        return f"amqp://guest:guest@{LOOPBACK}:{self.amqp_port}/"

    @property
    def management_url(self) -> str | None:
        """The management API, if its plugin is enabled."""
        enabled = "rabbitmq_management" in self.plugins
        return f"http://guest:guest@{LOOPBACK}:{self.management_port}" if enabled else None

    @property
    def console_log(self) -> Path:
        """What the node prints while it boots; the place to look at when it does not."""
        return self.folder / "console.log"

    def write(self) -> None:
        """Puts the files where the environment says that they are."""
        for name in ("home", "data", "log"):
            (self.folder / name).mkdir()
        (self.folder / "environment.conf").touch()
        (self.folder / "enabled_plugins").write_text(f"[{','.join(self.plugins)}].\n")
        (self.folder / "rabbitmq.conf").write_text(self._config_text())
        text = json.dumps(asdict(self), default=str)
        (self.folder / PLAN_FILE).write_text(text, encoding="utf-8")

    def write_cookie(self, cookie: str) -> None:
        """The secret that nodes of one cluster share; each would make up one of its own."""
        file = self.folder / "home" / ".erlang.cookie"
        file.write_text(cookie)
        file.chmod(0o400)

    def _config_text(self) -> str:
        return CONFIG.format(amqp=self.amqp_port, management=self.management_port) + "".join(
            f"{line}\n" for line in self.config
        )

    def environment(self) -> dict[str, str]:
        """Our environment without anything that would steer another RabbitMQ or Erlang, plus the plan."""
        foreign = re.compile(
            r"RABBITMQ_|ERL_|NOTIFY_SOCKET$|LOG_BASE$|MNESIA_BASE$|NODENAME$|XDG_CONFIG_HOME$"
        )
        kept = {name: value for name, value in os.environ.items() if not foreign.match(name)}
        return {**kept, **self._paths(), **self._network()}

    def _paths(self) -> dict[str, str]:
        places = {
            "HOME": "home",
            "RABBITMQ_CONF_ENV_FILE": "environment.conf",
            "RABBITMQ_CONFIG_FILE": "rabbitmq.conf",
            "RABBITMQ_ADVANCED_CONFIG_FILE": "advanced.config",
            "RABBITMQ_GENERATED_CONFIG_DIR": "data/config",
            "RABBITMQ_MNESIA_BASE": "data",
            "RABBITMQ_MNESIA_DIR": "data/node",
            "RABBITMQ_FEATURE_FLAGS_FILE": "data/feature_flags",
            "RABBITMQ_PLUGINS_EXPAND_DIR": "data/plugins",
            "RABBITMQ_ENABLED_PLUGINS_FILE": "enabled_plugins",
            "RABBITMQ_LOG_BASE": "log",
            "RABBITMQ_LOGS": "log/node.log",
            "RABBITMQ_PID_FILE": "node.pid",
            "ERL_CRASH_DUMP": "log/erl_crash.dump",
        }
        return {name: str(self.folder / place) for name, place in places.items()}

    def _network(self) -> dict[str, str]:
        on_loopback = "-kernel inet_dist_use_interface {127,0,0,1}"
        # The folder's name on the command line is how a left-over node is recognised as ours.
        tag = f"-amqp_bridge folder {self.folder.name}"
        return {
            "RABBITMQ_NODENAME": self.name,
            "RABBITMQ_DIST_PORT": str(self.distribution_port),
            "ERL_EPMD_PORT": str(self.epmd_port),
            "ERL_EPMD_ADDRESS": LOOPBACK,
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"{on_loopback} {tag}",
            "RABBITMQ_CTL_ERL_ARGS": on_loopback,
            # Makes the start script become the node instead of waiting for it as a parent shell.
            "RUNNING_UNDER_SYSTEMD": "true",
        }
