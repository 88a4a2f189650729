"""Bodies that are labelled are read as labelled, and what cannot be undone is said."""

import base64
import json

import pytest

from bridge.codings.inflating import plain_message, plain_of
from bridge.core.event import Event, Message, Source
from bridge.formats.decoder import Decoder
from bridge.formats.parse import Bounds
from tests.support.packing import packed

DATA = {"name": "Žofie Müllerová", "n": 1}
TEXT = json.dumps(DATA, ensure_ascii=False)
BODY = TEXT.encode()
LIMIT = 1_000_000


def event_of(body, encoding=None, kind="application/json", **headers):
    message = Message(body, "", "q", headers, content_type=kind, content_encoding=encoding)
    event = (
        Decoder(Source(name="s", queue="q"), bounds=Bounds(LIMIT))
        .decode(message, new_id=lambda: "e", received_at=1.0)
        .event
    )
    assert isinstance(event, Event)
    assert event.message.body is body
    return event


@pytest.mark.parametrize(
    ("body", "encoding", "headers"),
    [
        (packed("gzip", BODY), "GZIP", {}),
        (packed("gzip", BODY), "gzip, UTF-8", {}),
        (packed("gzip", BODY), "gzip:UTF-8", {}),
        (packed("deflate", BODY), "gzip", {}),
        (packed("gzip", packed("deflate", BODY)), "deflate, gzip", {}),
        (packed("br", packed("deflate", BODY)), "br, deflate", {}),  # as Spring AMQP lists them
        (packed("br", BODY), "br", {}),
        (packed("zstd", BODY), "zstd", {}),
        (base64.encodebytes(BODY), "base64", {}),
        (base64.b64encode(packed("gzip", BODY)), "gzip,base64", {}),
        (packed("deflate", BODY), "utf-8", {"compression": "application/x-gzip"}),
        (packed("bzip2", BODY), "utf-8", {"compression": "application/x-bz2"}),
        (packed("gzip", TEXT.encode("utf-16")), "UTF-16, gzip", {}),
        (TEXT.encode("iso-8859-2"), "ISO-8859-2", {}),
        (TEXT.encode("utf-16-be"), "utf-16", {}),
        (TEXT.encode("utf-16-le"), "utf-16", {}),
        (TEXT.encode("utf-32"), "utf-32", {}),
        (BODY, "identity", {}),
        (BODY, "no-such-coding", {}),
    ],
)
def test_data_are_read_whatever_the_body_went_through(body, encoding, headers):
    event = event_of(body, encoding, **headers)
    assert (event.data, event.data_fault) == (DATA, "")


def test_the_content_type_tells_in_which_character_set_a_body_is():
    event = event_of(TEXT.encode("windows-1250"), None, "application/json; charset=windows-1250")
    assert event.data == DATA
    assert (
        event_of(TEXT.encode("windows-1250"), "utf-8", "application/json; charset=windows-1250").data == DATA
    )


@pytest.mark.parametrize(
    ("body", "encoding", "kind", "fault"),
    [
        (BODY, "gzip", None, "the body is labelled gzip, and is corrupt, cut off or something else"),
        (
            packed("gzip", BODY)[:-1],
            "gzip",
            None,
            "the body is labelled gzip, and is corrupt, cut off or something else",
        ),
        (b"?", "snappy", None, "the body is labelled snappy, which cannot be undone"),
        (BODY, "gzip" + ",gzip" * 4, None, "the body is labelled with 5 content codings, the limit is 4"),
        (
            packed("gzip", b"x" * (LIMIT + 1)),
            "gzip",
            None,
            f"the body inflates to more than limits.inflated ({LIMIT} bytes), or a hundred times its size",
        ),
        (b"\xff", "euc-jp", None, "the body is labelled euc_jp, and is no text in that character set"),
        (
            b"\x80\x04",
            "lz5",
            None,
            "the body is not JSON: byte 1 is not UTF-8; 'lz5' names no content coding and no character set",
        ),
        (b'{"a"', None, "text/plain", "the body is not JSON: line 1, column 5: Expecting ':' delimiter"),
        (b"", None, None, "the body is empty"),
        (b"[" * 2000 + b"]" * 2000, None, None, "the body nests deeper than 1024 arrays and objects"),
        (b"[]", "binary", "application/x-python-serialize", "the body is not JSON"),
    ],
)
def test_what_cannot_be_undone_is_said(body, encoding, kind, fault):
    headers = {"task": "t", "id": "1"} if kind == "application/x-python-serialize" else {}
    event = event_of(body, encoding, kind, **headers)
    assert event.data is None
    expected = f"bodies of type {kind} are never read" if headers else fault
    assert event.data_fault == expected


def test_null_is_what_the_publisher_sent():
    assert event_of(b" null ").data_fault == ""
    assert event_of(packed("gzip", b"null"), "gzip").data_fault == ""


def test_the_events_of_a_coded_batch_stand_alone_without_its_labels():
    batch = [{"specversion": "1.0", "id": str(n), "source": "s", "type": "t", "data": "ž"} for n in range(2)]
    body = packed("deflate", json.dumps(batch, ensure_ascii=False).encode("utf-16"))
    headers = {"compression": "application/x-gzip", "own": 1}
    kind = "application/cloudevents-batch+json; charset=utf-16"
    message = Message(body, "", "q", headers, kind, "utf-16")
    decoded = Decoder(Source(name="s", queue="q")).decode(message, new_id=lambda: "e", received_at=1.0)
    assert decoded.is_batch
    assert [event.data for event in decoded.events] == ["ž", "ž"]
    first = decoded.events[0].message
    assert (first.content_encoding, first.content_type, first.headers) == (
        None,
        "application/cloudevents+json",
        {"own": 1},
    )
    assert plain_of(first, LIMIT).body is first.body


def test_a_message_with_nothing_to_undo_stays_the_same_object():
    message = Message(BODY, content_type="application/json; charset=utf-8", content_encoding="utf-8")
    assert plain_of(message, LIMIT).body is BODY
    assert plain_message(message, BODY) is message
