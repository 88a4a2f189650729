import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from bridge.rules.wire.sign import names, signer

VECTORS = Path(__file__).parents[2] / "data" / "vectors"
SPEC_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def vectors(name: str) -> Any:
    return json.loads((VECTORS / f"{name}.json").read_text())


def headers_of(
    profile: str,
    secrets: list[str],
    body: bytes,
    webhook_id: str = "msg_1",
    timestamp: int = 1746428889,
    *,
    event_type: str = "a.b",
) -> dict[str, str]:
    return dict(signer(profile, secrets).headers(body, webhook_id, timestamp, event_type))


def test_the_vector_of_the_standard_webhooks_specification_holds():
    headers = headers_of(
        "standard",
        [SPEC_SECRET],
        b'{"test": 2432232314}',
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_the_standard_vector_of_the_samples_holds():
    vector = vectors("generic")[0]
    headers = headers_of(
        "standard", [vector["secret"]], vector["body"].encode(), vector["id"], vector["timestamp"]
    )
    assert headers == vector["headers"]


def test_the_github_vector_of_the_samples_holds():
    vector = vectors("generic")[1]
    headers = headers_of("github", [vector["secret"]], vector["body"].encode(), "id-1", event_type="push")
    assert headers["X-Hub-Signature-256"] == vector["headers"]["X-Hub-Signature-256"]
    assert headers["X-GitHub-Event"] == "push"
    assert headers["X-GitHub-Delivery"] == "id-1"


@pytest.mark.parametrize("vector", vectors("splynx"), ids=lambda vector: vector["name"])
def test_the_splynx_vectors_of_the_samples_hold(vector):
    assert headers_of("splynx", [vector["secret"]], vector["body"].encode()) == vector["headers"]


def test_splynx_signs_a_ping_as_documented():
    headers = headers_of("splynx", ["splynx-secret-1"], b'{"type":"ping"}')
    assert headers == {"X-Splynx-Signature": "cb4c1210a5237ba7f3c0cde9b7b1186d7409d8e0"}


def test_every_live_secret_of_standard_signs():
    secrets = [SPEC_SECRET, "whsec_" + base64.b64encode(b"n" * 32).decode()]
    headers = headers_of("standard", secrets, b"{}")
    signatures = headers["webhook-signature"].split(" ")
    assert len(signatures) == 2
    for secret in secrets:
        assert Webhook(secret)  # the reference library takes each of them
        alone = headers_of("standard", [secret], b"{}")["webhook-signature"]
        assert alone in signatures


@pytest.mark.parametrize("profile", ["splynx", "github"])
def test_where_the_scheme_has_one_signature_the_first_secret_signs(profile):
    assert headers_of(profile, ["new", "old"], b"x") == headers_of(profile, ["new"], b"x")


def test_standard_without_a_secret_sends_id_and_timestamp_only():
    assert headers_of("standard", [], b"{}") == {"webhook-id": "msg_1", "webhook-timestamp": "1746428889"}


def test_none_sends_nothing():
    assert headers_of("none", [], b"{}") == {}


@pytest.mark.parametrize("secret", ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_TWZLUQ"])
def test_prefix_and_padding_of_a_standard_secret_may_be_missing(secret):
    assert headers_of("standard", [secret], b"{}")["webhook-signature"].startswith("v1,")


@pytest.mark.parametrize(
    ("profile", "secrets", "says"),
    [
        ("standard", ["not base64!"], "no base64"),
        ("standard", ["whsec_"], "empty"),
        ("standard", [""], "empty"),
        ("standard", ["whsk_6Xb/dCcH"], "ed25519"),
        ("standard", [SPEC_SECRET, "\ud800"], "no base64"),
        ("splynx", [], "needs a secret"),
        ("github", [], "needs a secret"),
        ("github", [""], "empty"),
        ("splynx", ["good", ""], "empty"),
        ("splynx", ["\ud800"], "Unicode"),
        ("none", ["x"], "signs nothing"),
        ("stripe", ["x"], "no profile"),
    ],
)
def test_secrets_that_do_not_fit_are_refused_with_the_reason(profile, secrets, says):
    with pytest.raises(ValueError, match=says):
        signer(profile, secrets)


def test_an_error_never_repeats_the_secret():
    with pytest.raises(ValueError, match="base64") as caught:
        signer("standard", ["hunter2 hunter2"])
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("profile", ["standard", "splynx", "github", "none"])
def test_the_reserved_names_are_those_that_are_sent(profile):
    secrets = [] if profile == "none" else [SPEC_SECRET]
    assert {name.lower() for name in headers_of(profile, secrets, b"")} == names(profile)


@given(body=st.binary(max_size=300), timestamp=st.integers(0, 2**33), key=st.binary(min_size=1, max_size=70))
def test_standard_signs_exactly_the_bytes_that_are_sent(body, timestamp, key):
    secret = "whsec_" + base64.b64encode(key).decode()
    headers = headers_of("standard", [secret], body, "msg_1", timestamp)
    expected = hmac.digest(key, b"msg_1.%d.%b" % (timestamp, body), "sha256")
    assert headers["webhook-signature"] == "v1," + base64.b64encode(expected).decode()


@given(body=st.binary(max_size=300), key=st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_one_signer_signs_many_bodies_independently(body, key):
    one = signer("github", [key])
    one.headers(b"another body before", "i", 1, "t")
    headers = dict(one.headers(body, "i", 1, "t"))
    assert (
        headers["X-Hub-Signature-256"] == "sha256=" + hmac.new(key.encode(), body, hashlib.sha256).hexdigest()
    )


@given(webhook_id=st.text(), event_type=st.text())
@pytest.mark.parametrize("profile", ["standard", "github"])
def test_no_id_and_no_type_can_break_out_of_its_header(profile, webhook_id, event_type):
    headers = headers_of(profile, [SPEC_SECRET], b"", webhook_id, 1, event_type=event_type)
    for value in headers.values():
        assert value.isascii()
        assert value.isprintable()
    if profile == "standard":
        assert "." not in headers["webhook-id"]
