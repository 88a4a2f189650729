"""The bridge, as its users run it: one process, its default settings, a history in SQLite."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import yaml
from prometheus_client.parser import text_string_to_metric_families

from bench.launch_counted import read_count
from bench.load import Destination, Queue, Script, Webhooks, Work
from bench.subjects.subject import Metrics, RunningProgram, started
from bridge.core.delivery import Status
from bridge.history.history import open_history
from devtools.nodes.ports import free_ports
from devtools.nodes.scratch import Scratch
from devtools.project import PROGRAMS

_COUNTS = "statements"


class RunningBridge(RunningProgram):
    """A bridge at work, which also tells about itself."""

    def __init__(self, process: Any, work: Work, port: int) -> None:
        super().__init__(process, work)
        self._port = port
        self._counts = work.folder / _COUNTS

    def statements(self) -> int | None:
        return read_count(self._counts) if self._counts.exists() else None

    def metrics(self) -> Metrics:
        with urlopen(f"http://127.0.0.1:{self._port}/metrics", timeout=10) as answer:
            return read_metrics(answer.read().decode())


class Bridge:
    """The bridge; `counting` starts it through a launcher that counts SQL statements."""

    def __init__(self, *, counting: bool = False) -> None:
        self._counting = counting

    @contextmanager
    def running(self, work: Work, scratch: Scratch) -> Iterator[RunningBridge]:
        [port] = free_ports(1)
        path = work.folder / "bridge.yaml"
        path.write_text(yaml.safe_dump(settings(work, port), sort_keys=False), encoding="utf-8")
        with started(self._argv(work, path), work, scratch) as process:
            yield RunningBridge(process, work, port)

    async def recorded(self, work: Work) -> int | None:
        history = await open_history(storage_url(work))
        try:
            counts = await history.counts_by_status()
        finally:
            await history.close()
        return counts.get(Status.SUCCESS, 0)

    def _argv(self, work: Work, path: Path) -> Sequence[str]:
        run = ("run", "-c", str(path))
        if self._counting:
            return (sys.executable, "-m", "bench.launch_counted", str(work.folder / _COUNTS), *run)
        return (str(PROGRAMS / "amqp-bridge"), *run)


def settings(work: Work, port: int) -> dict[str, Any]:
    """Only what has to be said; the rest is as it comes."""
    return {
        "broker": {"url": work.amqp_url},
        "storage": {"url": storage_url(work)},
        "http": {"listen": f"127.0.0.1:{port}", "allow_private_targets": ["127.0.0.0/8"]},
        "sources": [{"name": "bench", "queue": work.source, "format": "splynx"}],
        "hooks": [
            {"name": f"bench-{number}", "concurrency": work.concurrency, "target": target}
            for number, target in enumerate(targets(work.destination))
        ],
    }


def storage_url(work: Work) -> str:
    """Where the run's history lies."""
    return f"sqlite:///{work.folder / 'bridge.db'}"


def targets(destination: Destination) -> list[dict[str, Any]]:
    """One target for each place."""
    match destination:
        case Webhooks(urls, secret):
            return [{"type": "webhook", "url": url, "secrets": [secret]} for url in urls]
        case Queue(name):
            return [{"type": "queue", "queue": name}]
        case Script(path):
            return [{"type": "script", "command": [str(path)]}]


def read_metrics(text: str) -> Metrics:
    """Of all that stands on /metrics, what is compared here; connections that were used again left out."""
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return Metrics(
        connections=sum(
            sample.value
            for sample in samples
            if sample.name == "bridge_http_connections_total" and sample.labels["reused"] == "false"
        ),
        parked=sum(sample.value for sample in samples if sample.name == "bridge_parked_total"),
    )
