"""A real Prometheus, promtool and amtool for tests, with the project's own rules."""

import asyncio
import re
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
import yaml

from devtools.choice.unpacked import AMTOOL, PROMETHEUS, PROMTOOL, Program
from devtools.nodes.ports import free_ports
from devtools.project import ROOT
from tests.support.waiting import until

RULES = ROOT / "deploy" / "prometheus" / "rules"
JOB = "amqp-bridge"
_HASTENED = (
    (r"for: (1m|15m)$", "for: 2s"),
    (r"for: 30s$", "for: 1s"),
    (r"\[(1m|5m)\]", "[5s]"),
    (r"\[2m\]", "[6s]"),
    (r"\[(10m|30m|1h|2h|6h|1d|3d)\]", "[20s]"),
    (r"depth\) > 1000$", "depth) > 10"),
    (r"\) > 100$", ") > 5"),
    (r"> 600$", "> 3"),
    (r"timestamp_seconds\) > 60$", "timestamp_seconds) > 4"),
    (r"^( +)> 1$", r"\1> 0.2"),
)
"""What is put in place of waits, ranges and thresholds, so that a cause of seconds is seen as one of minutes is."""
OPTIONS = ("--log.level=warn", "--enable-feature=exemplar-storage", "--storage.tsdb.retention.time=1d")

_SLOWER = {"no-data": [(r"for: 1m$", "for: 10s")]}
"""The first evaluation comes before the first scrape."""


def program(wanted: Program) -> str:
    """Its path; skips the test where it cannot be had."""
    found = wanted.found()
    if found is None:
        pytest.skip(f"no {wanted.name}: `./dev test` unpacks it where apt has packages of Debian")
    return found


def promtool(*arguments: str | Path) -> None:
    """Runs promtool; asserts that it finds nothing wrong."""
    _checked(program(PROMTOOL), *map(str, arguments))


def amtool(*arguments: str | Path) -> None:
    """Runs amtool, of Alertmanager; asserts that it finds nothing wrong."""
    _checked(program(AMTOOL), *map(str, arguments))


def _checked(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{' '.join(argv)}:\n{done.stdout}{done.stderr}"


def alerts() -> dict[str, dict[str, Any]]:
    """The alerting rules by the name of their file."""
    found = {path.stem: yaml.safe_load(path.read_text()) for path in sorted(RULES.glob("*.yml"))}
    rules = {
        name: [rule for group in file["groups"] for rule in group["rules"]] for name, file in found.items()
    }
    return {name: rule for name, (rule, *_) in rules.items() if "alert" in rule}


def hastened(folder: Path) -> Path:
    """The folder, with all rules in it, hastened: their waits and ranges are some 30 times shorter, and their thresholds as much
    lower. Expressions are otherwise what users load.
    """
    folder.mkdir()
    for path in RULES.glob("*.yml"):
        text = path.read_text()
        for wanted, put in _SLOWER.get(path.stem, _HASTENED):
            text = re.sub(wanted, put, text, flags=re.MULTILINE)
        (folder / path.name).write_text(text)
    return folder


class Prometheus:
    """A Prometheus that scrapes once a second."""

    def __init__(self, session: aiohttp.ClientSession, url: str, folder: Path) -> None:
        self._session = session
        self.url = url
        self._folder = folder

    async def ask(self, path: str, **query: str) -> Any:
        """The data of an answer of its API."""
        async with self._session.get(f"{self.url}/api/v1/{path}", params=query) as answer:
            body = await answer.json()
            assert body["status"] == "success", (query, body)
            return body["data"]

    async def query(self, expression: str) -> list[dict[str, Any]]:
        """The present result of an expression: each with `metric` and `value`."""
        found: list[dict[str, Any]] = (await self.ask("query", query=expression))["result"]
        return found

    async def value(self, expression: str) -> float | None:
        """The value of the only series of a result; None without one."""
        found = await self.query(expression)
        assert len(found) < 2, found
        return float(found[0]["value"][1]) if found else None

    async def has_fired(self, job: str = ".+") -> set[str]:
        """The names of the alerts that fired so far, for jobs of this pattern or for none."""
        wanted = f'last_over_time(ALERTS{{alertstate="firing", job=~"({job})?"}}[1h])'
        return {each["metric"]["alertname"] for each in await self.query(wanted)}

    async def scraped(self) -> None:
        """Returns once all its targets have been scraped."""

        async def look() -> bool:
            found = (await self.ask("targets"))["activeTargets"]
            return bool(found) and all(each["health"] == "up" for each in found)

        await until(look, 20, what=self.last_words)

    def last_words(self) -> str:
        """What it logged."""
        return (self._folder / "prometheus.log").read_text()[-3000:]


@asynccontextmanager
async def prometheus(
    folder: Path, jobs: Mapping[str, str], *, rules: Path, alertmanager: str = ""
) -> AsyncIterator[Prometheus]:
    """Scrapes and evaluates once a second; `jobs` are the URLs of bridges by the name of their job, or of other metrics with their path, `rules` a folder of rule files;
    alerts are posted to the URL `alertmanager`, if there is one.
    """
    address = f"127.0.0.1:{free_ports(1)[0]}"
    settings = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "scrape_configs": [
            {
                "job_name": job,
                "metrics_path": urlsplit(url).path or "/metrics",
                "params": parse_qs(urlsplit(url).query),
                "static_configs": [{"targets": [urlsplit(url).netloc]}],
            }
            for job, url in jobs.items()
        ],
        "rule_files": [str(rules / "*.yml")],
        "alerting": {
            "alertmanagers": [
                {
                    "path_prefix": urlsplit(alertmanager).path,
                    "static_configs": [{"targets": [urlsplit(alertmanager).netloc]}],
                }
            ]
        },
    }
    if not alertmanager:
        del settings["alerting"]
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(settings))
    argv = (f"--config.file={file}", f"--storage.tsdb.path={folder / 'tsdb'}", *OPTIONS)
    async with (
        _running(
            program(PROMETHEUS), *argv, f"--web.listen-address={address}", log=folder / "prometheus.log"
        ),
        aiohttp.ClientSession() as session,
    ):
        url = f"http://{address}"
        await until(lambda: _answers(session, f"{url}/-/ready"), 30, what="Prometheus is ready")
        yield Prometheus(session, url, folder)


@asynccontextmanager
async def _running(*argv: str, log: Path) -> AsyncIterator[None]:
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(*argv, stdout=output, stderr=output)
    try:
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.wait(), 20)


async def _answers(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False
