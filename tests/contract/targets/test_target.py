"""What every kind of target promises, run on each of them for real."""

import asyncio
import contextlib
import hashlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bridge.core.delivery import Answer, Fault
from bridge.core.errors import PublishFailed
from bridge.core.hook import Hook
from bridge.core.ports import Preview, Target
from bridge.targets.factory import Targets
from bridge.wire.evidence import unfolded
from tests.support.events import NASTY_BODIES, delivery
from tests.support.publisher import MemoryPublisher
from tests.support.receiver import answering, hanging, receiving, response

TIMEOUT = 0.5
KINDS = ["webhook", "script", "queue"]


@dataclass
class Rig:
    """A target and how to look behind it."""

    target: Target
    arrived: Callable[[], list[bytes]]


Behaviour = str
"""`takes`, `refuses` or `hangs`."""


@contextlib.asynccontextmanager
async def targets(directory: Path, publisher: MemoryPublisher) -> AsyncIterator[Targets]:
    made = Targets({"": publisher}, ["127.0.0.0/8"], directory, lambda _: None)
    try:
        yield made
    finally:
        await made.close()


def hook(**target: Any) -> Hook:
    return Hook.model_validate({"name": "crm", "target": target})


@contextlib.asynccontextmanager
async def webhook(behaviour: Behaviour, directory: Path) -> AsyncIterator[Rig]:
    handles = {
        "takes": answering(response()),
        "refuses": answering(response(503, b"busy")),
        "hangs": hanging,
    }
    async with (
        receiving(handles[behaviour]) as receiver,
        targets(directory, MemoryPublisher()) as made,
    ):
        built = made.build(hook(type="webhook", url=receiver.url, timeout=TIMEOUT))
        yield Rig(built, lambda: [request.body for request in receiver.requests])


@contextlib.asynccontextmanager
async def script(behaviour: Behaviour, directory: Path) -> AsyncIterator[Rig]:
    ends = {"takes": "exit 0", "refuses": "exit 1", "hangs": "exec sleep 60"}
    program = directory / "hook.sh"
    program.write_text(f'#!/bin/sh\ncat > "arrived.$$"\n{ends[behaviour]}\n')
    program.chmod(0o755)
    # Starting a shell on a busy machine takes a while; only a hanging one is to be cut.
    timeout = TIMEOUT if behaviour == "hangs" else 20.0
    async with targets(directory, MemoryPublisher()) as made:
        built = made.build(hook(type="script", command=["./hook.sh"], stdin="body", timeout=timeout))
        yield Rig(built, lambda: [path.read_bytes() for path in directory.glob("arrived.*")])


@contextlib.asynccontextmanager
async def queue(behaviour: Behaviour, directory: Path) -> AsyncIterator[Rig]:
    publisher = MemoryPublisher("out")
    if behaviour == "refuses":
        publisher.failing = PublishFailed("the broker said no")
    if behaviour == "hangs":
        publisher.open.clear()
    async with targets(directory, publisher) as made:
        built = made.build(hook(type="queue", queue="out", timeout=TIMEOUT))
        yield Rig(built, lambda: [message.body for message in publisher.queues["out"]])


RIGS = {"webhook": webhook, "script": script, "queue": queue}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_delivery_that_is_taken_has_no_fault(kind: str, tmp_path: Path) -> None:
    async with RIGS[kind]("takes", tmp_path) as rig:
        answer = await rig.target.attempt(delivery(b'{"a":1}'))
        assert answer.fault is None
        assert rig.arrived() == [b'{"a":1}']


@pytest.mark.parametrize("body", NASTY_BODIES.values(), ids=NASTY_BODIES.keys())
@pytest.mark.parametrize("kind", KINDS)
async def test_any_body_arrives_byte_for_byte(kind: str, body: bytes, tmp_path: Path) -> None:
    async with RIGS[kind]("takes", tmp_path) as rig:
        answer = await rig.target.attempt(delivery(body))
        assert answer.fault is None, answer
        assert rig.arrived() == [body]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_delivery_that_is_refused_has_a_fault_that_may_be_mended(kind: str, tmp_path: Path) -> None:
    async with RIGS[kind]("refuses", tmp_path) as rig:
        answer = await rig.target.attempt(delivery())
        assert answer.fault in {Fault.STATUS, Fault.EXIT, Fault.NOT_CONFIRMED}
        assert answer.error
        assert not answer.lasting


@pytest.mark.parametrize("kind", KINDS)
async def test_an_attempt_ends_at_its_time_limit(kind: str, tmp_path: Path) -> None:
    async with RIGS[kind]("hangs", tmp_path) as rig:
        started = time.monotonic()
        answer = await rig.target.attempt(delivery())
        assert answer.fault is Fault.TIMEOUT
        assert TIMEOUT - 0.05 <= time.monotonic() - started < TIMEOUT + 5.0


@pytest.mark.parametrize("kind", KINDS)
async def test_one_target_makes_many_attempts_at_once(kind: str, tmp_path: Path) -> None:
    async with RIGS[kind]("takes", tmp_path) as rig:
        bodies = [b'{"n":%d}' % number for number in range(20)]
        answers = await asyncio.gather(
            *(
                rig.target.attempt(delivery(body, event_id=f"event-{number}"))
                for number, body in enumerate(bodies)
            )
        )
        assert [answer.fault for answer in answers] == [None] * 20
        assert sorted(rig.arrived()) == sorted(bodies)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_cancelled_attempt_lets_go_and_the_next_one_works(kind: str, tmp_path: Path) -> None:
    async with RIGS[kind]("hangs", tmp_path) as rig:
        attempt = asyncio.create_task(rig.target.attempt(delivery()))
        await asyncio.sleep(0)
        attempt.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await attempt
        assert (await rig.target.attempt(delivery())).fault is Fault.TIMEOUT


@pytest.mark.parametrize("kind", KINDS)
async def test_what_was_sent_is_kept_and_is_what_a_preview_shows(kind: str, tmp_path: Path) -> None:
    async with RIGS[kind]("takes", tmp_path) as rig:
        shown = rig.target.preview(delivery(b'{"a":1}'))
        assert isinstance(shown, Preview)
        answer = await rig.target.attempt(delivery(b'{"a":1}'))
        assert answer.evidence is not None
        [arrived] = rig.arrived()
        assert answer.evidence.digest == hashlib.sha256(arrived).hexdigest() == shown.evidence.digest
        assert shown.content == arrived
        told = unfolded(answer.evidence)
        assert told.type == kind
        assert (told.answered is not None) == (kind == "webhook")


@pytest.mark.parametrize("kind", KINDS)
async def test_an_attempt_that_fails_tells_what_it_sent_too(kind: str, tmp_path: Path) -> None:
    async with RIGS[kind]("hangs", tmp_path) as rig:
        answer = await rig.target.attempt(delivery(b'{"a":1}'))
        assert answer.evidence is not None
        assert answer.evidence.digest == hashlib.sha256(b'{"a":1}').hexdigest()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_target_can_be_closed_used_or_not(kind: str, tmp_path: Path) -> None:
    async with RIGS[kind]("takes", tmp_path) as rig:
        await rig.target.attempt(delivery())
        await rig.target.close()
    async with RIGS[kind]("takes", tmp_path) as rig:
        await rig.target.close()


@pytest.mark.parametrize("kind", KINDS)
async def test_an_answer_is_a_value(kind: str, tmp_path: Path) -> None:
    async with RIGS[kind]("takes", tmp_path) as rig:
        assert isinstance(await rig.target.attempt(delivery()), Answer)
