"""What the broker says of a message: read as the AMQP library reads it."""

import struct
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp import commands, header

from bridge.amqp.frames import read_deliver, read_header

WORDS = st.text(max_size=30).map(lambda text: text.encode("utf-8", "replace").decode())
SET = st.one_of(st.none(), WORDS.filter(bool))
PROPERTIES = st.builds(
    commands.Basic.Properties,
    content_type=SET,
    content_encoding=SET,
    headers=st.one_of(st.none(), st.dictionaries(WORDS, WORDS, max_size=3)),
    delivery_mode=st.sampled_from([None, 1, 2]),
    priority=st.one_of(st.none(), st.integers(0, 255)),
    correlation_id=SET,
    reply_to=SET,
    expiration=SET,
    message_id=SET,
    timestamp=st.one_of(st.none(), st.just(datetime(2025, 3, 14, 9, 26, 53, tzinfo=UTC))),
    message_type=SET,
    user_id=SET,
    app_id=SET,
)


@given(PROPERTIES, st.integers(0, 2**64 - 1), st.binary(max_size=4))
def test_every_property_is_read_as_the_library_reads_it(properties, size, around):
    octets = header.ContentHeader(0, size, properties).marshal()
    expected = header.ContentHeader()
    expected.unmarshal(octets)

    found_size, found = read_header(around + octets + around, len(around), len(around) + len(octets))

    assert found_size == size == expected.body_size
    theirs = expected.properties
    assert found == (
        theirs.headers or {},
        theirs.content_type,
        theirs.content_encoding,
        theirs.correlation_id,
        theirs.message_id,
        theirs.app_id,
        theirs.message_type,
        theirs.timestamp,
        theirs.reply_to,
        theirs.priority,
        theirs.expiration,
    )


@given(
    st.builds(commands.Basic.Deliver, WORDS, st.integers(1, 2**63 - 1), st.booleans(), WORDS, WORDS),
    st.binary(max_size=4),
)
def test_a_deliver_is_read_as_the_library_reads_it(deliver, around):
    octets = deliver.marshal()

    consumer, *rest = read_deliver(around + octets + around, len(around), len(around) + len(octets))

    assert [consumer.decode(), *rest] == [value for _, value in deliver]


def test_text_that_is_not_utf_8_is_told_with_escapes():
    """RabbitMQ does not check it; pamqp ends the connection over it, and the message comes again."""
    octets = struct.pack(">HHQH", 60, 0, 0, 1 << 15) + b"\x04caf\xe9"
    assert read_header(octets, 0, len(octets))[1][1] == r"caf\xe9"

    octets = b"\x01c" + struct.pack(">QB", 7, 0) + b"\x00" + b"\x02\xff\xfe"
    assert read_deliver(octets, 0, len(octets)) == (b"c", 7, False, "", r"\xff\xfe")


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        struct.pack(">HHQH", 61, 0, 0, 0),
        struct.pack(">HHQHH", 60, 0, 0, 1, 0),
        struct.pack(">HHQH", 60, 0, 0, 0) + b"more",
        struct.pack(">HHQH", 60, 0, 0, 1 << 15) + b"\x09short",
        struct.pack(">HHQH", 60, 0, 0, 1 << 15),
    ],
    ids=["nothing", "another class", "more flags", "more bytes", "text cut off", "no text"],
)
def test_anything_else_is_no_header(octets):
    with pytest.raises((IndexError, KeyError, ValueError, struct.error)):
        read_header(octets, 0, len(octets))
