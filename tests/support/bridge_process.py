"""The bridge as operators run it: a process of its own with a configuration file, seen from outside."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.support.command import PROGRAM
from tests.support.forks import POSSIBLE, Forked, fork
from tests.support.history import SqliteHistory
from tests.support.waiting import until

ROOT = Path(__file__).parents[2]
STOP_SECONDS = 40.0

Labels = frozenset[tuple[str, str]]


class Metrics:
    """One scrape."""

    def __init__(self, text: str) -> None:
        self._samples: dict[str, list[tuple[Mapping[str, str], float]]] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                self._samples.setdefault(sample.name, []).append((sample.labels, sample.value))

    def __call__(self, name: str, **labels: str) -> float:
        """The sum of all samples of `bridge_<name>` with these labels; 0 where there is none."""
        return sum(
            value
            for found, value in self._samples.get(f"bridge_{name}", [])
            if labels.items() <= found.items()
        )

    def has(self, name: str) -> bool:
        """Whether `bridge_<name>` has any sample."""
        return bool(self._samples.get(f"bridge_{name}"))


class BridgeProcess:
    """One bridge with its folder; it may be started, killed and started again on the same files.

    `from_nothing`: as an operator's shell starts it, with a command line of its own; a second slower.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self.folder = folder
        self.settings = dict(settings)
        self.file = folder / "bridge.yaml"
        self.history = SqliteHistory(folder / "bridge.db")
        self.starts = 0
        self.url = ""
        self.program: Sequence[str] = PROGRAM
        self.from_nothing = False
        self.variables: dict[str, str] = {}
        self._process: asyncio.subprocess.Process | Forked | None = None
        self.write()

    # ---- its configuration ----------------------------------------------------------------------------

    def write(self, **sections: Any) -> None:
        """Write the file, with these sections in place of what they were; whoever reads it meanwhile has the one or the other."""
        self.settings |= sections
        fresh = self.file.with_suffix(".fresh")
        fresh.write_text(yaml.safe_dump(self.settings, allow_unicode=True))
        fresh.replace(self.file)

    async def reload(self, hooks: Sequence[Mapping[str, Any]]) -> None:
        """Have these hooks in force."""
        self.write(hooks=list(hooks))
        before = len(self.said("config.reloaded"))
        self.hang_up()
        await until(lambda: len(self.said("config.reloaded")) > before, what=self.last_words)

    def hang_up(self) -> None:
        """SIGHUP: read the file anew."""
        self._running().send_signal(signal.SIGHUP)

    # ---- its life -------------------------------------------------------------------------------------

    async def launch(self, *arguments: str) -> None:
        """Start the process without waiting for anything."""
        self.starts += 1
        bare = {name: value for name, value in os.environ.items() if not name.startswith("BRIDGE_")}
        environment = bare | {"PYTHONPATH": str(ROOT), "PYTHONFAULTHANDLER": "1"} | self.variables
        arguments = ("run", "-c", str(self.file), *arguments)
        with self._log_file.open("wb") as log:
            if self.from_nothing or not POSSIBLE:
                self._process = await asyncio.create_subprocess_exec(
                    *(*self.program, *arguments),
                    cwd=self.folder,
                    env=environment,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            else:
                self._process = fork(self.program[-1], arguments, cwd=self.folder, env=environment, out=log)

    async def start(self, *arguments: str) -> None:
        """Start, and return once it is ready and consumes its sources."""
        await self.launch(*arguments)
        await self.serving()

    async def serving(self) -> None:
        """Return once it is ready and consumes its sources."""
        listening = await until(self._listening, 30, what=self.last_words)
        self.url = listening["address"]
        await until(self._serving, 30, what=self.last_words)

    def _listening(self) -> dict[str, Any] | None:
        assert self.alive, f"the bridge ended with exit code {self.exit_code}:\n{self.last_words()}"
        return next(iter(self.said("http.listening")), None)

    async def _serving(self) -> bool:
        status, health = await self.health()
        return status == 200 and set(health.get("consumers", {}).values()) <= {"consuming"}

    async def stop(self) -> None:
        """SIGTERM; asserts that it ends in order, with exit code 0."""
        self.signal(signal.SIGTERM)
        code = await self.ended()
        assert code == 0, f"exit code {code} after SIGTERM:\n{self.last_words()}"
        assert "Traceback" not in self.log_text, self.last_words()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._running().send_signal(number)

    async def kill(self) -> None:
        """SIGKILL; returns once it is gone."""
        self._running().kill()
        await self.ended()

    async def ended(self, seconds: float = STOP_SECONDS) -> int:
        """Its exit code, as soon as it has ended."""
        try:
            return await asyncio.wait_for(self._running().wait(), seconds)
        except TimeoutError:
            raise AssertionError(f"it did not end within {seconds:g} s:\n{self.last_words()}") from None

    @property
    def alive(self) -> bool:
        """It was started and has not ended."""
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int:
        """The process id of the present life."""
        return self._running().pid

    @property
    def exit_code(self) -> int | None:
        """How it ended, None while it has not."""
        return self._running().returncode

    def _running(self) -> asyncio.subprocess.Process | Forked:
        assert self._process is not None, "it was not started"
        return self._process

    # ---- what it tells --------------------------------------------------------------------------------

    @property
    def _log_file(self) -> Path:
        return self.folder / f"log-{self.starts}.txt"

    @property
    def log_text(self) -> str:
        """All that the present life wrote."""
        return self._log_file.read_text(errors="replace")

    def said(self, event: str) -> list[dict[str, Any]]:
        """The log lines of this event in the present life."""
        lines = [line for line in self.log_text.splitlines() if event in line and line.startswith("{")]
        return [line for line in map(json.loads, lines) if line.get("event") == event]

    def last_words(self) -> str:
        """The end of its log, without the lines that tell of single attempts."""
        lines = [line for line in self.log_text.splitlines() if '"attempt.' not in line]
        return "\n".join(line[:600] for line in lines[-30:])

    async def metrics(self) -> Metrics:
        """Scrape."""
        return Metrics(await self._get("/metrics"))

    async def metric(self, name: str, **labels: str) -> float:
        """The sum of the samples of one metric."""
        return (await self.metrics())(name, **labels)

    async def health(self) -> tuple[int, dict[str, Any]]:
        """Status and body of /health/ready."""
        async with aiohttp.ClientSession() as session, session.get(f"{self.url}/health/ready") as response:
            return response.status, await response.json()

    async def _get(self, path: str) -> str:
        async with aiohttp.ClientSession() as session, session.get(f"{self.url}{path}") as response:
            assert response.status == 200
            return await response.text()


@asynccontextmanager
async def owned(bridge: BridgeProcess) -> AsyncIterator[BridgeProcess]:
    """Whatever happens, the process is gone at the end; after a failure its log is printed."""
    try:
        yield bridge
    except BaseException:
        if bridge.starts:
            print(f"---- log of the bridge ----\n{bridge.last_words()}")  # noqa: T201 - pytest shows it
        raise
    finally:
        if bridge.alive:
            await bridge.kill()
