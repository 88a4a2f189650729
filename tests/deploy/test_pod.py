"""The bridge as a pod of the Helm chart has it: its arguments, its environment, settings and secrets as Kubernetes mounts them."""

import asyncio
import os
import secrets
import signal
from pathlib import Path

import aiohttp
import pytest
import yaml

from devtools.chart.render import Document, render, values_of
from devtools.nodes.ports import free_ports
from tests.support.chart import SECRETS, bridge_of, mounted, pod_of, settings_of
from tests.support.command import PROGRAM
from tests.support.waiting import until

pytest.importorskip("helm_python", reason="Helm as a library is there on Linux only")
FOLDERS = "/etc/amqp-bridge/"


def values(port: int) -> Document:
    """Those of the least example, on a broker and a machine that others use too."""
    name = f"pod-{secrets.token_hex(4)}"
    changed = values_of("sqlite")
    changed["http"] = {"port": port}
    changed["config"] |= {"broker": {"prefix": name}, "sources": [{"name": "splynx", "queue": name}]}
    return changed


def swap(folder: Path, files: dict[str, str]) -> None:
    """Brings changed files as kubelet does: another folder, and the link to it replaced."""
    made = folder / f"..{secrets.token_hex(4)}"
    made.mkdir()
    for name, text in files.items():
        (made / name).write_text(text)
    (folder / "..fresh").symlink_to(made.name)
    (folder / "..fresh").rename(folder / "..data")


async def test_it_answers_its_probes_reads_changed_hooks_without_a_restart_and_stops_within_its_grace(
    amqp_url: str, tmp_path: Path
):
    documents = render(values(free_ports(1)[0]))
    pod, bridge = pod_of(documents), bridge_of(documents)
    file, folder = mounted(tmp_path, settings_of(documents))
    (folder / "..2026" / "BRIDGE_BROKER__URL").chmod(0o755)
    (folder / "..2026" / "BRIDGE_BROKER__URL").write_text(amqp_url)
    given = {each["name"]: each["value"].replace(FOLDERS, f"{tmp_path}/") for each in bridge["env"]}
    bare = {name: value for name, value in os.environ.items() if not name.startswith("BRIDGE_")}
    log = (tmp_path / "log").open("wb")
    process = await asyncio.create_subprocess_exec(
        *PROGRAM,
        *(each.replace(FOLDERS, f"{tmp_path}/") for each in bridge["args"]),
        cwd=tmp_path,
        env=bare | given,
        stdout=log,
        stderr=log,
    )
    try:
        async with aiohttp.ClientSession(
            f"http://127.0.0.1:{bridge['ports'][0]['containerPort']}"
        ) as session:

            async def probed(name: str) -> bool:
                assert process.returncode is None, (tmp_path / "log").read_text()
                try:
                    async with session.get(bridge[name]["httpGet"]["path"]) as answer:
                        return answer.status == 200
                except aiohttp.ClientError:
                    return False

            async def hooks() -> list[str]:
                token = {"Authorization": f"Bearer {SECRETS['BRIDGE_HTTP__ADMIN_TOKEN']}"}
                async with session.get("/api/v1/hooks", headers=token) as answer:
                    return [each["name"] for each in (await answer.json())["items"]]

            await until(lambda: probed("startupProbe"), 40, what=(tmp_path / "log").read_text)
            assert await probed("livenessProbe")
            assert await probed("readinessProbe")
            assert await hooks() == ["crm"]
            settings = yaml.safe_load(file.read_text())
            settings["hooks"][0]["name"] = "erp"
            swap(file.parent, {"bridge.yaml": yaml.safe_dump(settings)})

            async def is_changed() -> bool:
                return await hooks() == ["erp"]

            await until(is_changed, what=(tmp_path / "log").read_text)
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(pod["terminationGracePeriodSeconds"]):
            assert await process.wait() == 0
    finally:
        log.close()
        if process.returncode is None:
            process.kill()
            await process.wait()
