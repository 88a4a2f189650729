"""The sieve: our consumers' messages come out whole and in order, everything else stays as it was."""

import struct
from collections.abc import Iterator
from itertools import pairwise

import pytest
from aiormq.exceptions import InvalidFrameError
from hypothesis import given
from hypothesis import strategies as st
from pamqp import commands, frame
from pamqp.base import Frame
from pamqp.body import ContentBody
from pamqp.header import ContentHeader
from pamqp.heartbeat import Heartbeat

from bridge.amqp.frames import DeliveryFrameReader
from bridge.core.event import Message

OURS = "bridge.ours"
MESSAGE_ID = commands.Basic.Properties(message_id="m", delivery_mode=2)


def content(body: bytes, channel: int = 1, consumer: str = OURS, tag: int = 1, parts: int = 1) -> list[bytes]:
    """The frames of one message, its body in so many frames."""
    size = -(-len(body) // parts) or 1
    frames: list[frame.FrameTypes] = [
        commands.Basic.Deliver(consumer, tag, False, "exchange", "key"),
        ContentHeader(0, len(body), MESSAGE_ID),
        *(ContentBody(body[at : at + size]) for at in range(0, len(body), size)),
    ]
    return [frame.marshal(each, channel) for each in frames]


def method(arguments: Frame, channel: int) -> list[bytes]:
    return [frame.marshal(arguments, channel)]


class Taken(list[tuple[int, Message]]):
    """A consumer that keeps what it is given."""

    def take(self, tag: int, message: Message) -> None:
        self.append((tag, message))

    def sieve(self) -> DeliveryFrameReader:
        return DeliveryFrameReader({OURS.encode(): self.take})

    @property
    def bodies(self) -> list[bytes]:
        return [message.body for _, message in self]


def chunks(data: bytes, cuts: list[int]) -> Iterator[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    for start, end in pairwise(places):
        yield data[start:end]


FOREIGN = st.one_of(
    st.just([frame.marshal(Heartbeat(), 0)]),
    st.just(method(commands.Connection.Blocked("memory"), 0)),
    st.integers(1, 3).map(lambda channel: method(commands.Basic.Ack(5, multiple=True), channel)),
    st.integers(1, 3).map(lambda channel: method(commands.Basic.ConsumeOk(OURS), channel)),
    st.builds(content, st.binary(max_size=40), st.integers(1, 3), st.just("somebody else's")),
    st.builds(
        lambda body, channel: [
            *method(commands.Basic.Return(312, "NO_ROUTE", "", "key"), channel),
            *content(body, channel)[1:],
        ],
        st.binary(max_size=40),
        st.integers(1, 3),
    ),
)
MINE = st.builds(content, st.binary(max_size=60), st.integers(1, 3), parts=st.integers(1, 3))


@st.composite
def streams(draw: st.DrawFn) -> tuple[list[tuple[bool, bytes]], list[int]]:
    """Frames as (ours, octets): in order on each channel, the channels mixed (section 4.2.6 allows it)."""
    units = draw(
        st.lists(st.one_of(FOREIGN.map(lambda unit: (False, unit)), MINE.map(lambda unit: (True, unit))))
    )
    queues: dict[int, list[tuple[bool, bytes]]] = {}
    for ours, unit in units:
        channel = struct.unpack_from(">H", unit[0], 1)[0]
        queues.setdefault(channel, []).extend((ours, octets) for octets in unit)
    mixed = []
    while queues:
        channel = draw(st.sampled_from(sorted(queues)))
        mixed.append(queues[channel].pop(0))
        if not queues[channel]:
            del queues[channel]
    return mixed, draw(st.lists(st.integers(0, 10_000), max_size=30))


@given(streams())
def test_messages_come_out_and_the_rest_stays_however_the_stream_is_cut(stream):
    frames, cuts = stream
    taken = Taken()
    sieve = taken.sieve()

    left = b"".join(sieve.feed(chunk) for chunk in chunks(b"".join(octets for _, octets in frames), cuts))

    assert left == b"".join(octets for ours, octets in frames if not ours)
    assert sieve.finish() == b""
    expected: dict[int, list[bytes]] = {}
    for ours, octets in frames:
        kind, channel, size = struct.unpack_from(">BHI", octets)
        if ours and kind == 2:
            expected.setdefault(channel, []).append(b"")
        elif ours and kind == 3:
            expected[channel][-1] += octets[7 : 7 + size]
    assert sorted(taken.bodies) == sorted(body for bodies in expected.values() for body in bodies)


def test_messages_come_in_their_order_with_all_that_is_told_of_them():
    taken = Taken()
    data = b"".join(b"".join(content(b"%d" % tag, tag=tag)) for tag in range(1, 200))

    assert taken.sieve().feed(data) == b""

    assert [tag for tag, _ in taken] == list(range(1, 200))
    assert taken[4][1] == Message(b"5", "exchange", "key", message_id="m")


@pytest.mark.parametrize("size", [0, 1, 131_064, 300_000, 5_000_000])
def test_a_body_of_any_size_comes_whole(size):
    taken, body = Taken(), bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    sieve = taken.sieve()
    data = b"".join(content(body, parts=-(-size // 131_064) or 1))

    for at in range(0, len(data), 65_536):
        assert sieve.feed(data[at : at + 65_536]) == b""

    assert taken.bodies == [body]


def test_frames_before_a_message_reach_the_library_as_they_were():
    taken = Taken()
    before, after = method(commands.Basic.ConsumeOk(OURS), 1), method(commands.Basic.CancelOk(OURS), 1)

    left = taken.sieve().feed(b"".join(before + content(b"x") + after))

    assert left == b"".join(before + after)
    assert taken.bodies == [b"x"]


def test_a_consumer_that_is_forgotten_gets_nothing_more():
    taken = Taken()
    takers = {OURS.encode(): taken.take}
    sieve, data = DeliveryFrameReader(takers), b"".join(content(b"x"))
    sieve.feed(data)
    takers.clear()

    assert sieve.feed(data) == data
    assert len(taken) == 1


def test_a_message_that_is_not_taken_does_not_harm_the_others():
    taken = Taken()

    def take(tag: int, message: Message) -> None:
        if message.body == b"bad":
            raise RuntimeError("a bug")
        taken.take(tag, message)

    data = b"".join(content(b"bad") + content(b"good"))

    assert DeliveryFrameReader({OURS.encode(): take}).feed(data) == b""
    assert taken.bodies == [b"good"]


HALF = content(b"four", parts=2)


@pytest.mark.parametrize(
    "frames",
    [
        [HALF[0], *method(commands.Basic.Ack(1), 1)],
        [HALF[0], HALF[0]],
        [HALF[0], HALF[1], HALF[1]],
        [HALF[0], HALF[2]],
        [*HALF[:3], frame.marshal(ContentBody(b"too much"), 1)],
        [HALF[0], frame.marshal(ContentBody(b"not a header"), 1).replace(b"\x03", b"\x02", 1)],
        [HALF[0].replace(b"\x0bbridge.ours", b"\xffbridge.ours")],
    ],
    ids=[
        "method",
        "second deliver",
        "second header",
        "no header",
        "too much",
        "broken header",
        "broken deliver",
    ],
)
def test_content_that_is_not_as_it_must_be_ends_the_connection(frames):
    """The alternative is a message that is lost when a later multiple ack covers its tag."""
    with pytest.raises(InvalidFrameError):
        Taken().sieve().feed(b"".join(frames))


@pytest.mark.parametrize(
    "data",
    [b"AMQP\0\0\x09\1", b"HTTP/1.1 400 Bad Request\r\n\r\n", content(b"x")[0][:-1] + b"\0"],
    ids=["another version", "no AMQP at all", "no end octet"],
)
def test_what_is_no_frame_is_left_to_the_library_with_all_that_follows(data):
    taken = Taken()
    sieve = taken.sieve()
    heartbeat = frame.marshal(Heartbeat(), 0)
    message = b"".join(content(b"x"))

    assert sieve.feed(heartbeat + data) == heartbeat + data
    assert sieve.feed(message) == message
    assert not taken


@given(st.integers(1, 60))
def test_at_the_end_half_a_frame_is_left_to_the_library(missing):
    sieve = Taken().sieve()
    *whole, last = content(b"x" * 100)
    sieve.feed(b"".join(whole) + last[:-missing])

    assert sieve.finish() == last[:-missing]
