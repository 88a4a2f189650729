"""The product's image as a container, with the receivers and clients of a test in others."""

import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import yaml

from devtools.containers.engine import Engine
from devtools.containers.programs import CannotRun
from tests.support.bridge_process import Metrics

AMQP = "amqp://guest:guest@broker:5672/"
RECEIVER = Path(__file__).parent / "counting_receiver.py"
HARDENED = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--tmpfs=/tmp")
ANYBODY = "1234567:0"
"""A user that the image does not know, of group 0, as OpenShift gives."""
READY_SECONDS = 90.0


def until(look: Callable[[], Any], seconds: float, what: Callable[[], str]) -> Any:
    """What `look` gives as soon as that is true; AssertionError with `what` when it takes too long."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what()}"
        time.sleep(0.1)
    return found


@dataclass
class Surroundings:
    """One network with a broker, and what a test starts in it."""

    engine: Engine
    image: str
    network: str
    folder: Path
    volume: str = field(default_factory=lambda: f"state-{secrets.token_hex(4)}")
    _started: list[str] = field(default_factory=list)

    def run(self, *arguments: str, **options: Any) -> str:
        """The id of a container of these `docker run` arguments, in the background."""
        found = self.engine.docker("run", "--detach", f"--network={self.network}", *arguments, **options)
        self._started.append(found.strip())
        return found.strip()

    def bridge(self, settings: Mapping[str, Any], *, user: str = ANYBODY) -> str:
        """A bridge with these settings and this test's history, hardened as far as an image can be."""
        file = self.folder / "bridge.yaml"
        file.write_text(yaml.safe_dump(dict(settings)))
        file.chmod(0o644)
        return self.run(
            *(*HARDENED, f"--user={user}", "--memory=256m", "--pids-limit=100", "--network-alias=bridge"),
            f"--volume={file}:/etc/amqp-bridge/bridge.yaml:ro",
            f"--volume={self.volume}:/var/lib/amqp-bridge",
            "--health-interval=1s",
            self.image,
        )

    def receiver(self, seconds: float) -> str:
        """A receiver at http://receiver:9000/ that answers after so many seconds, and prints the id of each webhook."""
        return self.run(
            *("--network-alias=receiver", f"--volume={RECEIVER}:/receiver.py:ro"),
            *("python:3.13-slim", "python3", "-u", "/receiver.py", str(seconds)),
        )

    def publish(self, queue: str, bodies: Sequence[Mapping[str, Any]]) -> None:
        """Publishes from a container of its own, and returns once the broker has confirmed."""
        lines = "".join(f"{json.dumps(body)}\n" for body in bodies).encode()
        command = ("publish", "--url", AMQP, "--queue", queue, "--create", "--ndjson", "-")
        told = ("run", "--rm", "--interactive", f"--network={self.network}", *HARDENED, self.image)
        self.engine.docker(*told, *command, given=lines)

    # ---- what containers tell -------------------------------------------------------------------------

    def inspect(self, container: str) -> dict[str, Any]:
        """What the engine knows of it."""
        found: list[dict[str, Any]] = json.loads(self.engine.docker("inspect", container))
        return found[0]

    def state(self, container: str) -> dict[str, Any]:
        """Its state: `Status`, `ExitCode`, `Health`."""
        found: dict[str, Any] = self.inspect(container)["State"]
        return found

    def logs(self, container: str) -> str:
        """All that it wrote on standard output."""
        return self.engine.docker("logs", container)

    def last_words(self, container: str) -> str:
        """Its state and the end of its log."""
        return f"{self.state(container)}\n{self.logs(container)[-3000:]}"

    def healthy(self, container: str) -> None:
        """Returns once the engine's own health check calls it healthy and it consumes its sources."""
        until(lambda: self._health(container) == "healthy", READY_SECONDS, lambda: self.last_words(container))
        until(lambda: "ok" in self.asked(container), READY_SECONDS, lambda: self.last_words(container))

    def _health(self, container: str) -> str:
        state = self.state(container)
        assert state["Status"] == "running", self.last_words(container)
        return str(state["Health"]["Status"])

    def asked(self, container: str) -> str:
        """What `amqp-bridge health` prints in there; empty if it fails."""
        try:
            return self.engine.docker("exec", container, "amqp-bridge", "health")
        except CannotRun:
            return ""

    def metric(self, container: str, name: str) -> float:
        """The sum of the samples of `bridge_<name>`, as they are scraped from the container's address in the network."""
        address = self.inspect(container)["NetworkSettings"]["Networks"][self.network]["IPAddress"]
        with urlopen(f"http://{address}:8080/metrics", timeout=5) as answer:
            return Metrics(answer.read().decode())(name)

    def stop(self, container: str, seconds: int = 45) -> float:
        """Stops it as an orchestrator does; returns how long that took, and asserts that it ended in order."""
        begun = time.monotonic()
        self.engine.docker("stop", f"--time={seconds}", container)
        state = self.state(container)
        assert state["ExitCode"] == 0, self.last_words(container)
        return time.monotonic() - begun

    def remove(self) -> None:
        """Removes all containers of this test, and its history."""
        for container in self._started:
            self.engine.docker("rm", "--force", "--volumes", container)
        if self.volume in self.engine.docker("volume", "ls", "--quiet").split():
            self.engine.docker("volume", "rm", self.volume)


def settings(queue: str, *hooks: Mapping[str, Any], **sections: Any) -> dict[str, Any]:
    """The settings of a bridge in a container."""
    return {
        "broker": {"url": AMQP, "prefix": f"bridge.{queue}"},
        "http": {
            "listen": ":8080",
            "allow_private_targets": ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"],
        },
        "sources": [{"name": "orders", "queue": queue}],
        "hooks": list(hooks),
        **sections,
    }


def webhook(name: str, **more: Any) -> dict[str, Any]:
    """A hook to the receiver."""
    target = {"type": "webhook", "url": f"http://receiver:9000/{name}", "secrets": ["whsec_" + "A" * 44]}
    return {"name": name, "target": target, **more}


def ids(log: str) -> Iterator[str]:
    """The ids of the webhooks that the receiver got."""
    return (line.split()[1] for line in log.splitlines() if line.startswith("got "))
