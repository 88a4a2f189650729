"""Private RabbitMQ nodes on this machine that form one cluster, each of which may be harmed by itself.

    with RabbitMQCluster.start(3) as cluster:
        use(cluster.urls)
        cluster.nodes[0].kill()

All calls block, as those of a single node do.
"""

import secrets
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from devtools.nodes import processes
from devtools.nodes.handshake import HandshakeError, shake_hands
from devtools.nodes.port_mapper import PortMapper
from devtools.nodes.ports import free_ports
from devtools.nodes.rabbitmq_install import Installation, find_rabbitmq
from devtools.nodes.rabbitmq_plan import NodePlan
from devtools.nodes.scratch import Scratch
from devtools.rabbitmq import BOOT_SECONDS, NodeError, RabbitMQNode

# Two nodes that lost sight of the third go on, the third waits: what everybody should run with quorum queues.
CONFIG = (
    "cluster_formation.peer_discovery_backend = classic_config",
    "cluster_partition_handling = pause_minority",
)
MEMBERS = "length(rabbit_nodes:all_running())."


class RabbitMQCluster:
    """Nodes that know each other; a queue declared on one is there for clients of all."""

    def __init__(self, nodes: Sequence[RabbitMQNode], mapper: PortMapper) -> None:
        self.nodes = tuple(nodes)
        self._mapper = mapper

    @classmethod
    def start(
        cls,
        size: int = 3,
        *,
        plugins: Sequence[str] = (),
        config: Sequence[str] = (),
        installation: Installation | None = None,
    ) -> "RabbitMQCluster":
        """A cluster whose nodes let clients in and see each other, after some ten seconds."""
        installation = installation or find_rabbitmq()
        if installation is None:
            raise NodeError("no rabbitmq-server found on this machine")
        with ExitStack() as undo:
            scratches = [Scratch.create("rabbitmq") for _ in range(size)]
            for scratch in scratches:
                undo.callback(scratch.remove)
            plans = make_plans(scratches, installation, plugins, config)
            mapper = PortMapper(plans[0], scratches[0])
            nodes = [
                RabbitMQNode(plan, scratch, mapper) for plan, scratch in zip(plans, scratches, strict=True)
            ]
            cluster = cls(nodes, mapper)
            undo.callback(cluster.stop)
            cluster.restart()
            undo.pop_all()
        return cluster

    @property
    def urls(self) -> list[str]:
        """The AMQP URL of each node."""
        return [node.url for node in self.nodes]

    def restart(self) -> None:
        """Every node is up and sees the others, whatever was done to them; the data stays.

        Nodes that are well are left alone. All are seen to at the same time: of nodes that were all down,
        the first to come up waits for the one that went last.
        """
        with ThreadPoolExecutor(len(self.nodes)) as pool:
            list(pool.map(revive, self.nodes))
        self.await_joined()

    def await_joined(self, seconds: float = BOOT_SECONDS) -> None:
        """Returns once all nodes are running members."""
        first = self.nodes[0]
        if not processes.poll(
            lambda: int(first.rabbitmqctl("eval", MEMBERS)) == len(self.nodes), seconds, every=0.5
        ):
            seen = first.rabbitmqctl("cluster_status")
            raise NodeError(f"the nodes do not see each other after {seconds:.0f} s\n{seen}")

    def stop(self) -> None:
        """No process, no file is left."""
        for node in reversed(self.nodes):
            node.stop()
        self._mapper.reap()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def make_plans(
    scratches: Sequence[Scratch], installation: Installation, plugins: Sequence[str], config: Sequence[str]
) -> list[NodePlan]:
    """Plans of nodes that find each other: one port mapper, one cookie, each with the names of all."""
    mapper, *ports = free_ports(1 + 3 * len(scratches))
    members = [
        f"cluster_formation.classic_config.nodes.{number} = {scratch.path.name}@localhost"
        for number, scratch in enumerate(scratches, 1)
    ]
    cookie = secrets.token_hex(16)
    plans = []
    for number, scratch in enumerate(scratches):
        own = (*ports[3 * number : 3 * number + 3], mapper)
        lines = (*CONFIG, *members, *config)
        plan = NodePlan.make(scratch.path, installation.scripts, installation.epmd, plugins, lines, ports=own)
        plan.write_cookie(cookie)
        plans.append(plan)
    return plans


def revive(node: RabbitMQNode) -> None:
    """The node lets clients in, whether it was killed, frozen, stopped or nothing at all."""
    if not node.running:
        node.restart()
        return
    node.thaw()
    try:
        shake_hands(node.url)
    except HandshakeError:
        node.start_app()
