import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook

from bench.traffic.events import SIZE, event_body, number_of, time_of
from bench.traffic.receiver import SECRET, Receiver, open_receiver
from bench.traffic.tally import Order, percentile

AT = 1_700_000_000_000_000_000


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with open_receiver() as opened:
        yield opened


def request(number: int, *, secret: str = SECRET) -> bytes:
    body = event_body(number, AT)
    head = (
        "POST /hook/0 HTTP/1.1\r\nHost: receiver\r\n"
        f"CONTENT-LENGTH: {len(body)}\r\n{signature_lines(body, secret)}\r\n"
    )
    return head.encode() + body


def signature_lines(body: bytes, secret: str) -> str:
    now = datetime.now(UTC)
    signature = Webhook(secret).sign("msg_1", now, body.decode())
    return f"Webhook-Id: msg_1\r\nWebhook-Timestamp: {int(now.timestamp())}\r\nWebhook-Signature: {signature}\r\n"


async def send(receiver: Receiver, *pieces: bytes, answers: int) -> list[bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", receiver.port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            # Lets the piece go out alone, so that the endpoint gets it in parts.
            await asyncio.sleep(0)
        return [await reader.readuntil(b"\r\n\r\nok") for _ in range(answers)]
    finally:
        writer.close()
        await writer.wait_closed()


def test_an_event_is_json_of_the_size_that_is_promised_and_carries_number_and_time() -> None:
    body = event_body(29_999, AT)
    assert len(body) == SIZE
    assert json.loads(body)["data"]["customer_id"] == "7"
    assert (number_of(body), time_of(body)) == (29_999, AT)


def test_percentiles_are_values_that_occurred() -> None:
    values = list(range(1, 101))
    assert (percentile(values, 50), percentile(values, 99), percentile([7], 99)) == (50, 99, 7)
    assert percentile([], 50) == 0


async def test_requests_are_answered_and_counted_however_they_are_cut(receiver: Receiver) -> None:
    await receiver.expect(Order(events=3, marks=(3,)))
    whole = request(0) + request(1) + request(2)
    pieces = [whole[start : start + 97] for start in range(0, len(whole), 97)]
    answers = await send(receiver, *pieces, answers=3)
    assert all(answer.startswith(b"HTTP/1.1 200") for answer in answers)
    await asyncio.wait_for(receiver.reached(3), 10)
    arrivals = await receiver.arrivals()
    assert (arrivals.requests, arrivals.connections, arrivals.missing) == (3, 1, 0)
    assert (arrivals.checked, arrivals.forged) == (1, 0)


async def test_missing_and_repeated_events_are_told(receiver: Receiver) -> None:
    await receiver.expect(Order(events=3))
    await send(receiver, request(0), request(0), request(2), answers=3)
    arrivals = await receiver.arrivals()
    assert (arrivals.missing, arrivals.repeated) == (1, 1)
    assert await receiver.count() == 2


async def test_a_wrong_signature_is_told(receiver: Receiver) -> None:
    await receiver.expect(Order(events=1))
    await send(receiver, request(0, secret="whsec_b3RoZXItc2VjcmV0"), answers=1)
    assert (await receiver.arrivals()).forged == 1


async def test_an_attempt_that_hangs_counts_only_once_it_is_answered(receiver: Receiver) -> None:
    order = Order(events=4, hang_every=4, hang_seconds=0.2, marks=(3, 4))
    await receiver.expect(order)
    loop = asyncio.get_running_loop()
    begin = loop.time()
    hanging = asyncio.create_task(send(receiver, request(2), answers=1))
    await send(receiver, request(0), request(1), request(3), answers=3)
    await asyncio.wait_for(receiver.reached(3), 10)
    await asyncio.wait_for(receiver.reached(4), 10)
    await hanging
    assert loop.time() - begin >= order.hang_seconds


async def test_a_body_of_somebody_else_is_refused_and_told(receiver: Receiver) -> None:
    await receiver.expect(Order(events=1))
    reader, writer = await asyncio.open_connection("127.0.0.1", receiver.port)
    writer.write(b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}")
    assert (await reader.read()).startswith(b"HTTP/1.1 400")
    writer.close()
    await writer.wait_closed()
    assert (await receiver.arrivals()).alien == 1
