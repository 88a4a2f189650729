"""The description of the API against a running bridge: nothing breaks it, and every answer is as described."""

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.bridge_process import BridgeProcess
from tests.support.endpoint import status
from tests.support.scene import Scene
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(180)

TOKEN = "e2e-Geheimnis-9314"
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
    "use_after_free",
    "ignored_auth",
)
# What fits its schema is refused all the same where it names a cursor, source or version that there is not: that
# everything valid be accepted cannot be asked for.
CONFIGURATION = """
[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 408, 409, 412, 413, 415, 422, 429, "5xx"]
"""
GROUPS = {
    "hooks made": r"hooks\.create",
    "hooks changed": r"hooks\.(replace|patch)",
    "hooks run": r"hooks\.(?!create|replace|patch)",
    "what happened": r"(deliveries|events)\.",
    "what is": r"(explain|sources|replicas|me|overview|about|settings|find)\.",
    "jobs": r"(replays|quarantine)\.",
    "access": r"(audit|tokens)\.",
    "figures": r"(stats|phlix|failures)\.",
    "phlix": r"webhooks\.",
    "open": r"(health|metrics|openapi|docs|inlets)\.",
}
"""By the names of the operations: each run takes half a minute at the most."""


@pytest.fixture
async def bridge(scene: Scene) -> AsyncIterator[BridgeProcess]:
    """One with something of everything in it."""
    source = await scene.queue()
    hooks = [
        scene.webhook("crm"),
        scene.webhook("broken", retry={"schedule": ["1h"]}),
        scene.webhook("held", paused=True),
        scene.webhook("failed", retry={"preset": "none"}),
    ]
    for path in ("/broken", "/failed"):
        scene.endpoint.script(path, status(500))
    sources = [{"name": "main", "queue": source, "dimensions": {"user": "event.data.user"}}]
    http = {"admin_token": TOKEN}
    async with scene.bridge(hooks, sources, http=http, limits={"body": 2000}) as running:
        await scene.queues.publish(source, [b'{"user":1}', b'{"user":2}', b'"' + b"x" * 2500 + b'"'])
        ends = {"crm": "SUCCESS", "broken": "RETRYING", "held": "PENDING", "failed": "FAILED"}

        def is_done() -> bool:
            return all(running.history.statuses(hook) == {end: 2} for hook, end in ends.items())

        await until(is_done, what=running.last_words)
        yield running


async def schemathesis(folder: Path, url: str, operations: str) -> tuple[int, str]:
    """Its exit code, and what it said."""
    (folder / "schemathesis.toml").write_text(CONFIGURATION)
    arguments: list[str] = [
        f"{url}/openapi.json",
        *("--header", f"Authorization: Bearer {TOKEN}"),
        *("--checks", ",".join(CHECKS)),
        *("--phases", "examples,coverage,fuzzing"),
        *("--max-examples", "4"),
        *("--seed", "1", "--generation-deterministic"),
        *("--request-timeout", "15"),
        *("--warnings", "off", "--no-color"),
        *("--include-operation-id-regex", f"^{operations}"),
    ]
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("schemathesis"),
        "run",
        *arguments,
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
        code = await process.wait()
    return code, said.decode(errors="replace")


@pytest.mark.parametrize("group", sorted(GROUPS))
async def test_whatever_is_sent_every_answer_is_as_described(
    bridge: BridgeProcess, tmp_path: Path, group: str
):
    folder = tmp_path / "schemathesis"
    folder.mkdir()
    code, said = await schemathesis(folder, bridge.url, GROUPS[group])
    assert code == 0, said[-6000:]

    assert not bridge.said("http.internal_error")


async def test_every_operation_is_in_one_group(bridge: BridgeProcess):
    document = json.loads(await bridge._get("/openapi.json"))
    names = [each["operationId"] for methods in document["paths"].values() for each in methods.values()]
    found = {name: [group for group, pattern in GROUPS.items() if re.match(pattern, name)] for name in names}
    assert {name: groups for name, groups in found.items() if len(groups) != 1} == {}
    assert len(set(names)) == len(names)
