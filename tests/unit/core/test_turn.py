"""One turn of the event loop is shared: what takes long goes on in the next ones."""

import asyncio

import pytest

from bridge.core.budget import Turn
from bridge.core.event import Message
from bridge.formats.registry import AT_ONCE, Heavy, read_body
from bridge.targets.evidence import LARGE

FORM = "application/x-www-form-urlencoded"


class Clock:
    """Goes on when work is done."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_a_turn_is_over_once_its_time_is_used_up_and_the_next_one_begins_anew():
    clock = Clock()
    turn = Turn(0.005, clock)
    assert not turn.is_over()
    clock.now += 0.004
    assert not turn.is_over()
    clock.now += 0.004
    assert turn.is_over()
    await asyncio.sleep(0)
    assert not turn.is_over()


async def test_who_comes_late_waits_and_each_turn_serves_as_many_as_it_has_time_for_in_their_order():
    clock, served = Clock(), list[tuple[int, int]]()
    turn = Turn(0.005, clock)
    turns = 0

    async def work(number: int, takes: float) -> None:
        await turn.own()
        served.append((turns, number))
        clock.now += takes

    takes = [0.1, 0.1, 0.001, 0.001, 0.1, 0.1]
    tasks = [asyncio.create_task(work(number, each)) for number, each in enumerate(takes)]
    while not all(task.done() for task in tasks):
        await asyncio.sleep(0)
        turns += 1
    assert [number for _, number in served] == list(range(6))
    by_turn = [at for at, _ in served]
    assert by_turn[0] < by_turn[1] < by_turn[2] == by_turn[3] == by_turn[4] < by_turn[5]


async def test_nobody_passes_those_who_have_just_been_woken():
    clock, served = Clock(), list[str]()
    turn = Turn(0.005, clock)
    loop = asyncio.get_running_loop()

    async def work(name: str) -> None:
        await turn.own()
        served.append(name)
        clock.now += 1

    tasks = [asyncio.create_task(work(name)) for name in ("first", "second", "third")]
    await asyncio.sleep(0)
    # Its task begins in the same turn in which the next ones are woken, and before them.
    loop.call_soon(lambda: tasks.append(asyncio.create_task(work("late"))))
    tasks.append(asyncio.create_task(work("later")))
    await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    assert served == ["first", "second", "third", "later", "late"]


async def test_one_who_gives_up_waiting_keeps_nobody_waiting():
    clock = Clock()
    turn = Turn(0.005, clock)

    async def work() -> None:
        await turn.own()
        clock.now += 1

    _, first, second = [asyncio.create_task(work()) for _ in range(3)]
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait_for(second, 5)
    assert first.cancelled()


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"[" + b"[]," * 4000 + b"1]", None),
        (b"[" * 1000 + b"]" * 1000 + b"," + b"{}," * 4000, None),
        (b"[" + b"1," * 4001 + b"1]", None),
        (b'{"a":' + b'{"":1,"":2},' * 2000, None),
        (b"&".join([b"a=%41"] * 3000), FORM),
    ],
)
def test_a_small_body_that_holds_many_values_is_read_where_nobody_waits(
    body: bytes, content_type: str | None
):
    assert len(body) < AT_ONCE
    with pytest.raises(Heavy):
        read_body(Message(body, content_type=content_type), at_once=AT_ONCE)


def test_a_body_of_few_values_is_read_at_once_whatever_its_texts_hold():
    assert read_body(Message(b'{"a":"' + b"x" * 200_000 + b'"}'), at_once=AT_ONCE).fault == ""


def test_a_form_of_many_fields_weighs_what_its_fields_take_so_that_nobody_waits_for_what_is_made_of_it():
    form = Message(b"&".join([b"a%d=1" % number for number in range(9999)]), content_type=FORM)
    assert len(form.body) < LARGE < read_body(form).weight
