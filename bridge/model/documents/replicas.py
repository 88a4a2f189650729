"""The replicas of a bridge, as the API shows them."""

from bridge.model.documents.shape import Closed, UtcMoment


class ReplicaDocument(Closed):
    """A process that serves this bridge's sources."""

    id: str
    """A new one with every start."""
    host: str
    """Where it runs: name of the host and process id."""
    targets: list[str]
    """The types of targets that it attempts; the others' deliveries it leaves in their lanes."""
    started_at: UtcMoment
    """When it started."""
    seen_at: UtcMoment
    """When it wrote down last that it lives."""
    revision: int
    """That of the hooks it has in force: with every change of a hook it rises."""
