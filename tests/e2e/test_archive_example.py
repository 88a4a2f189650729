"""The example that archives what no other hook asks for: one line for each event, whoever writes at once."""

import asyncio
import json
import resource
import sys
from pathlib import Path

from tests.support.bridge_process import BridgeProcess
from tests.support.scene import Scene
from tests.support.waiting import until

PROGRAM = Path(__file__).parents[2] / "examples" / "archive" / "archive.py"


async def archive(file: Path, event: bytes, *options: str, most: int | None = None) -> int | None:
    """The exit code; `most`: bytes that the process may make a file of, as on a disk that is full."""

    def limit() -> None:
        if most is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    process = await asyncio.create_subprocess_exec(
        sys.executable, PROGRAM, file, *options,
        stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, preexec_fn=limit,
    )  # fmt: skip
    await process.communicate(event)
    return process.returncode


def archives(file: Path) -> list[Path]:
    return [found for found in file.parent.glob(f"{file.name}*") if found.suffix != ".lock"]


def written(*files: Path) -> list[int]:
    return [json.loads(line)["n"] for file in files for line in file.read_text().splitlines()]


async def test_many_at_once_write_whole_lines_into_files_that_are_rotated(tmp_path: Path):
    file = tmp_path / "rest.jsonl"
    events = [b'{"n":%d,\n"text":"%s"}' % (n, b"x" * 500) for n in range(24)]
    codes = await asyncio.gather(
        *(archive(file, event, "--most-bytes", "2500", "--keep", "20") for event in events)
    )
    assert codes == [0] * len(events)
    files = archives(file)
    assert sorted(written(*files)) == list(range(24))
    assert len(files) == 6
    assert max(found.stat().st_size for found in files) <= 2500


async def test_only_so_many_former_files_are_kept(tmp_path: Path):
    file = tmp_path / "rest.jsonl"
    for n in range(5):
        assert await archive(file, b'{"n":%d}' % n, "--most-bytes", "10", "--keep", "2") == 0
    assert [written(tmp_path / name) for name in ("rest.jsonl", "rest.jsonl.1", "rest.jsonl.2")] == [
        [4],
        [3],
        [2],
    ]
    assert not (tmp_path / "rest.jsonl.3").exists()


async def test_half_a_line_is_no_line_and_a_full_disk_is_tried_again(tmp_path: Path):
    file = tmp_path / "rest.jsonl"
    file.write_bytes(b'{"n":1}\n{"n":2')
    assert await archive(file, b'{"n":3}') == 0
    assert written(file) == [1, 3]
    assert await archive(file, b'{"n":4,"text":"%s"}' % (b"x" * 5000), most=4096) == 75
    assert written(file) == [1, 3]


async def test_it_gets_what_no_other_hook_asks_for(scene: Scene):
    source = await scene.queue()
    file = scene.folder / "rest.jsonl"
    target = {"type": "script", "command": [sys.executable, str(PROGRAM), str(file)], "stdin": "event"}
    hooks = [
        scene.webhook("low", filter="event.data.n < 3"),
        scene.webhook("off", filter="event.data.n > 7", enabled=False),
        {"name": "archive", "unmatched": True, "target": target},
    ]
    async with scene.bridge(hooks, source) as bridge:
        await scene.queues.publish(source, [b'{"n":%d}' % n for n in range(10)])
        await until(lambda: has_archived(bridge, 5), 20, what=bridge.last_words)
        assert bridge.history.statuses("low") == {"SUCCESS": 3}
        assert bridge.history.statuses("off") == {"SKIPPED": 2}
    archived = [json.loads(line)["data"]["n"] for line in file.read_text().splitlines()]
    assert sorted(archived) == [3, 4, 5, 6, 7]


async def has_archived(bridge: BridgeProcess, count: int) -> bool:
    return bridge.history.statuses("archive") == {"SUCCESS": count}
