"""`python -m tests.ui_check`, which is what `./dev ui-check` runs."""

import argparse
import asyncio
import shutil
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
from playwright.async_api import async_playwright

from bench.archive.fill import fill as fill_history
from bridge.history.history import open_history
from devtools.__main__ import guarded
from devtools.choice.broker import open_broker
from devtools.nodes.scratch import Scratch
from devtools.project import SetupError
from tests.support.scene import Scene, open_scene
from tests.ui_check.options import parser
from tests.ui_check.points import POINTS, Point
from tests.ui_check.seed import TOKEN, clear, fill, own_bridge
from tests.ui_check.subject import Subject

_MOST_SHOWN = 40


def main(arguments: Sequence[str]) -> int:
    """The exit code."""
    options = parser().parse_args(arguments)
    points = [each for each in POINTS if not options.point or each.number in options.point]
    if options.list:
        for each in points:
            _tell(str(each))
        return 0
    if options.url:
        if not options.token:
            raise SetupError("--url needs --token")
        return asyncio.run(_of(options.url.rstrip("/"), options.token, points, quick=options.quick))
    with open_broker() as broker:
        scratch = Scratch.create("ui-check")
        try:
            return asyncio.run(_own(broker.url, scratch.path, points, options))
        finally:
            scratch.remove()


async def _of(url: str, token: str, points: Sequence[Point], *, quick: bool) -> int:
    async with opened(url, token, quick=quick) as subject:
        return await run(subject, [each for each in points if not each.own])


async def _own(amqp_url: str, folder: Path, points: Sequence[Point], options: argparse.Namespace) -> int:
    if options.large:
        await _filled(f"sqlite:///{folder / 'bridge.db'}", options.large)
    async with open_scene(amqp_url, folder) as scene, of_scene(scene, quick=options.quick) as subject:
        return await run(subject, points)


async def _filled(url: str, deliveries: int) -> None:
    """Makes a history with so many deliveries of the days before."""
    await (await open_history(url)).close()
    await fill_history(url, deliveries, lambda _: None, end=time.time())


@asynccontextmanager
async def of_scene(scene: Scene, *, quick: bool) -> AsyncIterator[Subject]:
    """A bridge of our own, filled."""
    async with own_bridge(scene) as (bridge, queue), opened(bridge.url, TOKEN, quick=quick) as subject:
        subject.scene, subject.bridge, subject.source = scene, bridge, queue
        yield subject


@asynccontextmanager
async def opened(url: str, token: str, *, quick: bool) -> AsyncIterator[Subject]:
    """A bridge and a browser; what was made in the bridge is removed at the end."""
    names = ("chromium", "chromium-browser", "google-chrome")
    program = next(filter(None, map(shutil.which, names)), None)
    if program is None:
        raise SetupError("there is no chromium on the path: apt-get install chromium")
    async with AsyncExitStack() as stack:
        driver = await stack.enter_async_context(async_playwright())
        browser = await driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        stack.push_async_callback(browser.close)
        http = await stack.enter_async_context(aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()))
        subject = Subject(url, token, http, browser, quick=quick)
        yield subject
        await clear(subject)


async def run(subject: Subject, points: Sequence[Point]) -> int:
    """Fills the bridge and checks the points; 0 if all hold."""
    await fill(subject)
    failed = 0
    for point in points:
        started = time.monotonic()
        found = await point.found(subject)
        failed += bool(found)
        _tell(f"{'FAILED' if found else 'OK':<7}{point} ({time.monotonic() - started:.0f} s)")
        for each in found[:_MOST_SHOWN]:
            _tell(f"       {each[:400]}")
        if len(found) > _MOST_SHOWN:
            _tell(f"       and {len(found) - _MOST_SHOWN} more")
    _tell(f"{len(points) - failed} of {len(points)} points hold")
    return 1 if failed else 0


def _tell(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - what it finds is what it is for


if __name__ == "__main__":
    sys.exit(guarded(main, sys.argv[1:]))
