"""Bodies of requests: what is no JSON, what does not fit, and what no reader of JSON agrees on."""

import asyncio
import json
from collections.abc import AsyncIterator
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.access.service import NewToken
from bridge.history.history import SqlHistory
from bridge.http.body import fitting
from bridge.http.documents import RequestProblem
from tests.support.api_server import ServedApi, serving_api

GOOD = b'{"name": "ci", "role": "viewer"}'


@pytest.fixture
async def api(history: SqlHistory) -> AsyncIterator[ServedApi]:
    async with serving_api(history) as served:
        yield served


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        pytest.param(b"", "empty", id="nothing"),
        pytest.param(b"  ", "empty", id="blanks"),
        pytest.param(b"{", "line 1", id="cut off"),
        pytest.param(GOOD + b"x", "line 1", id="more behind it"),
        pytest.param(b"name=ci", "line 1", id="a form"),
        pytest.param(b'{"name": "ci", "name": "cd"}', '"name" stands twice', id="a key twice"),
        pytest.param(b'{"n": NaN}', "NaN", id="no number"),
        pytest.param(b'{"n": -Infinity}', "-Infinity", id="no end"),
        pytest.param(b'{"n": 1e999}', "1e999", id="beyond doubles"),
        pytest.param(b'{"n": ' + b"9" * 5000 + b"}", "too long", id="too many digits"),
        pytest.param(b'{"name": "\xff"}', "byte 11", id="no UTF-8"),
        pytest.param(b'{"name": "\\ud800", "role": "viewer"}', "not Unicode", id="half a character"),
        pytest.param(b'{"a":' * 129 + b"1" + b"}" * 129, "deeper", id="too deep"),
        pytest.param(b"[" * 25_000, "deep", id="deeper than a stack"),
    ],
)
async def test_what_is_no_json_is_400_and_says_why(api: ServedApi, body: bytes, reason: str):
    answer = await api.client.ask("/tokens", method="POST", body=body)
    assert answer.status == 400
    assert reason in answer.body["detail"]
    assert answer.names == [""]


@pytest.mark.parametrize(
    "kind",
    ["application/json", "application/vnd.x+json", "text/plain", "application/x-www-form-urlencoded", ""],
)
async def test_json_is_json_whatever_it_calls_itself(api: ServedApi, kind: str):
    answer = await api.client.ask(
        "/tokens", method="POST", body=GOOD, headers={"Content-Type": kind} if kind else {}
    )
    assert answer.status == 201


@pytest.mark.parametrize(
    "headers", [{"Content-Type": "multipart/form-data; boundary=x"}, {"Content-Encoding": "gzip"}]
)
async def test_what_cannot_be_read_as_it_is_is_415(api: ServedApi, headers: dict[str, str]):
    assert (await api.client.ask("/tokens", method="POST", body=GOOD, headers=headers)).status == 415


async def test_a_byte_order_mark_is_passed_over(api: ServedApi):
    assert (await api.client.ask("/tokens", method="POST", body=b"\xef\xbb\xbf" + GOOD)).status == 201


@pytest.mark.parametrize(
    "items",
    [b"[]," * 250_000, b"{}," * 25_001, b"7," * 100_001, b'"\\"[",' * 200_000],
    ids=["arrays", "objects", "numbers", "texts"],
)
async def test_more_values_than_are_read_while_others_wait_are_413(api: ServedApi, items: bytes):
    answer = await api.client.ask("/tokens", method="POST", body=BytesIO(b'{"data": [' + items[:-1] + b"]}"))
    assert answer.status == 413
    assert "over 100000 values" in answer.body["detail"]


async def test_commas_and_brackets_within_a_text_are_no_values(api: ServedApi):
    body = json.dumps({"data": '[[],"{"],' * 100_000}).encode()
    assert (await api.client.ask("/tokens", method="POST", body=BytesIO(body))).status == 422


async def test_of_many_keys_the_one_that_stands_twice_is_found_in_no_time(api: ServedApi):
    keys = [f'"k{number}":1' for number in range(90_000)]
    body = f"{{{','.join([*keys, keys[-1]])}}}".encode()
    async with asyncio.timeout(10):
        answer = await api.client.ask("/tokens", method="POST", body=BytesIO(body))
    assert '"k89999" stands twice' in answer.body["detail"]


async def test_a_body_over_16_mib_is_413(api: ServedApi):
    body = b'{"name": "' + b"x" * (16 * 1024 * 1024) + b'"}'
    assert (await api.client.ask("/tokens", method="POST", body=BytesIO(body))).status == 413


async def test_a_problem_names_so_many_faults_and_no_more(api: ServedApi):
    body = {f"key{number}": 1 for number in range(5000)}
    answer = await api.client.send("POST", "/tokens", body)
    assert answer.status == 422
    assert len(answer.names) == 100


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=20,
    )
)
def test_any_value_fits_or_is_refused_with_its_faults(value):
    refused = refusal(value)
    if refused is not None:
        assert refused.status == 422
        assert refused.members["invalid-params"]
        json.dumps(refused.members)


def refusal(value: object) -> RequestProblem | None:
    try:
        fitting(value, NewToken)
    except RequestProblem as refused:
        return refused
    return None
