"""A real Prometheus, Alertmanager and promtool for tests, with the project's own rules."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
import yaml

from devtools.choice.unpacked import ALERTMANAGER, PROMETHEUS, PROMTOOL, Program
from devtools.nodes.ports import free_ports
from devtools.project import ROOT
from tests.support.waiting import until

RULES = ROOT / "deploy" / "prometheus" / "rules"
JOB = "amqp-bridge"
OPTIONS = ("--log.level=warn", "--enable-feature=exemplar-storage", "--storage.tsdb.retention.time=1d")


def program(wanted: Program) -> str:
    """Its path; skips the test where it cannot be had."""
    found = wanted.found()
    if found is None:
        pytest.skip(f"no {wanted.name}: `./dev test` unpacks it where apt has packages of Debian")
    return found


def promtool(*arguments: str | Path, folder: Path = ROOT) -> None:
    """Runs promtool; asserts that it finds nothing wrong."""
    argv = [program(PROMTOOL), *map(str, arguments)]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"promtool {arguments[0]}:\n{done.stdout}{done.stderr}"


def alerts() -> dict[str, dict[str, Any]]:
    """The alerting rules by the name of their file."""
    found = {path.stem: yaml.safe_load(path.read_text()) for path in sorted(RULES.glob("*.yml"))}
    rules = {
        name: [rule for group in file["groups"] for rule in group["rules"]] for name, file in found.items()
    }
    return {name: rule for name, (rule, *_) in rules.items() if "alert" in rule}


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

    async def firing(self) -> set[str]:
        """The names of the alerts that fire now."""
        found = (await self.ask("alerts"))["alerts"]
        return {each["labels"]["alertname"] for each in found if each["state"] == "firing"}

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
    folder: Path,
    targets: Sequence[str],
    *,
    rules: Path | None = None,
    alertmanager: str = "",
    relabel: Sequence[Mapping[str, Any]] = (),
) -> AsyncIterator[Prometheus]:
    """Scrapes and evaluates once a second; `targets` are URLs of bridges, `rules` a folder of rule files."""
    port = free_ports(1)[0]
    scraped = {
        "job_name": JOB,
        "static_configs": [{"targets": [urlsplit(url).netloc for url in targets]}],
        "metric_relabel_configs": list(relabel),
    }
    settings: dict[str, Any] = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "scrape_configs": [scraped],
    }
    if rules is not None:
        settings["rule_files"] = [str(rules / "*.yml")]
    if alertmanager:
        settings["alerting"] = {
            "alertmanagers": [{"static_configs": [{"targets": [urlsplit(alertmanager).netloc]}]}]
        }
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(settings))
    argv = (f"--config.file={file}", f"--storage.tsdb.path={folder / 'tsdb'}", *OPTIONS)
    address = f"127.0.0.1:{port}"
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
async def alertmanager(folder: Path, receiver: str) -> AsyncIterator[str]:
    """The URL of an Alertmanager that posts what fires to the receiver's URL at once."""
    port = free_ports(1)[0]
    settings = {
        "route": {"receiver": "test", "group_wait": "0s", "group_by": ["alertname"]},
        "receivers": [{"name": "test", "webhook_configs": [{"url": receiver, "send_resolved": False}]}],
    }
    file = folder / "alertmanager.yml"
    file.write_text(yaml.safe_dump(settings))
    url = f"http://127.0.0.1:{port}"
    argv = (f"--config.file={file}", f"--storage.path={folder / 'alertmanager'}", "--cluster.listen-address=")
    log = folder / "alertmanager.log"
    async with (
        _running(program(ALERTMANAGER), *argv, f"--web.listen-address=127.0.0.1:{port}", log=log),
        aiohttp.ClientSession() as session,
    ):
        await until(lambda: _answers(session, f"{url}/-/ready"), 30, what="Alertmanager is ready")
        yield url


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
