"""Where a demo takes place: its folder, its names on the broker, its secrets, and what is removed at the end."""

import base64
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import orjson
import yaml

from bridge.amqp.topology import Names
from bridge.retry.policy import STEPS
from devtools.choice.broker import Broker
from devtools.demo import scene
from devtools.demo.queues import Queues
from devtools.nodes.scratch import Scratch
from devtools.project import ROOT, SetupError, program_environment, say, without_settings

QUICKSTART = ROOT / "examples" / "quickstart"
CONFIGURATION = QUICKSTART / "bridge.yaml"
SOURCE = "hooks2"
COPY = "quickstart.copy"
MARK = "AMQP_BRIDGE_DEMO"
"""A variable by which our programs can be told from others with the same process id (see Scratch)."""


@dataclass(frozen=True)
class Stage:
    """The demo's surroundings; names differ from the example's only where the broker belongs to others."""

    scratch: Scratch
    queues: Queues
    broker_url: str
    given: bool
    source: str
    copy: str
    prefix: str
    orders: str = ""
    """The queue of the second source; empty: there is none."""
    made: list[str] = field(default_factory=list)
    """The ids of hooks that were made over the API."""
    token: str = field(default_factory=lambda: secrets.token_hex(20))
    crm_secret: str = field(
        default_factory=lambda: "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    )
    storage_key: str = field(default_factory=lambda: base64.b64encode(secrets.token_bytes(32)).decode())
    portal_secret: str = field(default_factory=lambda: secrets.token_hex(16))

    @property
    def history(self) -> Path:
        """The SQLite file of the history."""
        return self.scratch.path / "history.db"

    def receiver_environment(self) -> dict[str, str]:
        """The variables of the receiver: the secrets, and nothing of what steers a bridge."""
        return without_settings(program_environment()) | {
            MARK: str(self.scratch.path),
            "CRM_SECRET": self.crm_secret,
            "PORTAL_SECRET": self.portal_secret,
        }

    def bridge_environment(self, receiver_url: str) -> dict[str, str]:
        """The variables of the bridge: those that the example's file asks for, and settings of this run."""
        environment = self.receiver_environment() | {
            "RECEIVER_URL": receiver_url,
            "COPY_QUEUE": self.copy,
            "BRIDGE_BROKER__URL": self.broker_url,
            "BRIDGE_BROKER__PREFIX": self.prefix,
            "BRIDGE_STORAGE__URL": f"sqlite:///{self.history}",
            "BRIDGE_HTTP__LISTEN": "127.0.0.1:0",
            "BRIDGE_HTTP__ADMIN_TOKEN": self.token,
            "BRIDGE_STORAGE__ENCRYPTION_KEYS": orjson.dumps([self.storage_key]).decode(),
            "BRIDGE_LOG__LEVEL": "debug",
            "BRIDGE_LOG__FORMAT": "json",
        }
        if self.source != SOURCE or self.orders:
            environment["BRIDGE_SOURCES"] = orjson.dumps(self._sources()).decode()
        return environment

    def _sources(self) -> list[dict[str, object]]:
        sources: list[dict[str, object]] = yaml.safe_load(CONFIGURATION.read_text(encoding="utf-8"))[
            "sources"
        ]
        more = [scene.source(self.orders, self.scratch.path)] if self.orders else []
        return [*({**source, "queue": self.source} for source in sources), *more]

    def leave(self) -> None:
        """A given broker has nothing of ours any more; any other goes away as a whole."""
        if not self.given:
            return
        names = Names(self.prefix)
        queues, exchanges = objects_of(names, [*hook_names(), *self.made])
        queues.append(self.copy)
        if self.orders:
            queues.append(self.orders)
        if not self._is_in_use():
            queues.append(self.source)
        self.queues.remove(queues, exchanges)
        say("broker", f"removed what this demo had made: {len(queues)} queues, {len(exchanges)} exchanges")

    def _is_in_use(self) -> bool:
        """Whether somebody else's messages are in the source: then it stays."""
        if not (self.source == SOURCE and (waiting := self.queues.depth(self.source))):
            return False
        say("broker", f"queue {self.source} stays: it holds {waiting} messages")
        return True


@contextmanager
def prepared(broker: Broker, *, orders: bool = False) -> Iterator[Stage]:
    """A stage with its source declared; at the end its folder and what it made on a given broker are gone.

    `orders`: with a second source for what is worth looking at.
    """
    scratch = Scratch.create("demo")
    try:
        stage = choose_names(broker, scratch)
        if orders:
            stage = replace(stage, orders=f"{stage.prefix}.demo.orders")
            stage.queues.declare(stage.orders)
        stage.queues.declare(stage.source)
        try:
            yield stage
        finally:
            try:
                stage.leave()
            except SetupError as error:
                say("broker", f"could not be tidied up (prefix {stage.prefix}): {error}")
    finally:
        scratch.remove()


def choose_names(broker: Broker, scratch: Scratch) -> Stage:
    """The example's names; on a given broker nothing that is there already is touched."""
    queues = Queues(broker.url)
    if not broker.given:
        return Stage(scratch, queues, broker.url, False, SOURCE, COPY, "bridge")
    prefix = f"amqp-bridge-demo-{secrets.token_hex(4)}"
    source = SOURCE
    if queues.depth(SOURCE) is not None:
        source = f"{prefix}.{SOURCE}"
        say("source", f"{SOURCE} is in use on this broker and left alone; the demo has {source}")
    return Stage(scratch, queues, broker.url, True, source, f"{prefix}.{COPY}", prefix)


def objects_of(names: Names, hooks: Sequence[str]) -> tuple[list[str], list[str]]:
    """The queues and the exchanges that a bridge with this prefix and these hooks may have made."""
    both = [names.orphans, names.dead, *(names.delay(step) for step in STEPS)]
    queues = [*both, names.events, *(names.lane(hook) for hook in hooks)]
    return queues, [*both, names.lanes, names.requeue, names.control]


def hook_names() -> list[str]:
    """The hooks of the example's configuration."""
    return [hook["name"] for hook in yaml.safe_load(CONFIGURATION.read_text(encoding="utf-8"))["hooks"]]
