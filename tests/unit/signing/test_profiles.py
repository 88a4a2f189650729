"""What each profile sends, against published vectors and other implementations."""

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from bridge.core.target import Signature
from bridge.signing.profiles import names, signer

VECTORS = Path(__file__).parents[2] / "data" / "vectors"
SPEC_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SPEC_PRIVATE = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
SPEC_BODY = b'{"test": 2432232314}'
SECRETS = {"none": [], "cockpit": ["user:pass:word"]}
PROFILES = [
    "standard", "splynx", "phlix", "plinqx", "tiki", "cockpit", "github", "stripe", "generic", "none",
]  # fmt: skip


def vectors(name: str) -> Any:
    return json.loads((VECTORS / f"{name}.json").read_text())


def headers_of(
    profile: str,
    secrets: list[str],
    body: bytes = b"{}",
    webhook_id: str = "msg_1",
    stamp: str = "1746428889",
    *,
    event_type: str = "a.b",
    method: str = "POST",
    path: str = "/",
    **options: Any,
) -> dict[str, str]:
    made = signer(profile, secrets, Signature(**options), method=method, path=path)
    return dict(made.headers(body, webhook_id, stamp, event_type))


def test_the_vectors_of_the_standard_webhooks_specification_hold():
    headers = headers_of(
        "standard", [SPEC_SECRET, SPEC_PRIVATE], SPEC_BODY, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330"
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": (
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= "
            "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
        ),
    }


def test_an_ed25519_seed_signs_as_the_whole_key_does():
    seed = base64.b64encode(base64.b64decode(SPEC_PRIVATE.removeprefix("whsk_"))[:32]).decode()
    assert headers_of("standard", ["whsk_" + seed]) == headers_of("standard", [SPEC_PRIVATE])


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_vectors_of_modern_schemes_hold(number):
    vector = vectors("generic")[number]
    profile = ["standard", "github", "stripe"][number]
    headers = headers_of(
        profile,
        [vector["secret"]],
        vector["body"].encode(),
        vector.get("id", "i"),
        str(vector.get("timestamp")),
    )
    assert vector["headers"].items() <= headers.items()


@pytest.mark.parametrize("profile", ["splynx", "phlix", "plinqx", "tiki"])
def test_the_vectors_of_the_systems_hold(profile):
    for vector in vectors(profile):
        options: dict[str, Any] = {"encoding": "hex"} if vector.get("verification") == "hmac" else {}
        stamp = str(vector.get("timestamp", ""))
        body = vector["body"].encode()
        headers = headers_of(
            profile, [vector["secret"]], body, stamp=stamp, event_type="invocation.completed", **options
        )
        assert headers == vector["headers"]


def test_splynx_signs_a_ping_as_documented():
    headers = headers_of("splynx", ["splynx-secret-1"], b'{"type":"ping"}')
    assert headers == {"X-Splynx-Signature": "cb4c1210a5237ba7f3c0cde9b7b1186d7409d8e0"}


def test_cockpit_sends_basic_authentication_with_colons_and_umlauts_in_the_password():
    [vector] = vectors("cockpit")
    secret = f"{vector['auth']['user']}:{vector['auth']['pass']}"
    assert headers_of("cockpit", [secret]) == vector["headers"]
    assert headers_of("cockpit", []) == {}


def test_github_sends_both_signatures_the_type_and_the_id():
    headers = headers_of("github", ["gh"], event_type="push", webhook_id="id.1")
    assert headers["X-GitHub-Event"] == "push"
    assert headers["X-GitHub-Delivery"] == "id.1"
    assert set(headers) >= {"X-Hub-Signature-256", "X-Hub-Signature"}


@pytest.mark.parametrize("profile", ["github", "plinqx"])
def test_a_type_that_is_not_known_is_left_out(profile):
    assert not [name for name in headers_of(profile, ["s"], event_type="") if name.endswith("Event")]


def test_plinqx_without_a_secret_sends_timestamp_and_type():
    assert headers_of("plinqx", []) == {"X-Plinqx-Event": "a.b", "X-Plinqx-Timestamp": "1746428889"}


@pytest.mark.parametrize(
    ("profile", "stamp"),
    [
        ("standard", "1746428889"),
        ("phlix", "1746428889"),
        ("stripe", "1746428889"),
        ("generic", "1746428889"),
        ("plinqx", "2025-05-05T07:08:09Z"),
        ("splynx", ""),
        ("none", ""),
    ],
)
def test_each_profile_writes_the_time_in_its_own_way(profile, stamp):
    made = signer(profile, [] if profile == "none" else [SPEC_SECRET], Signature())
    assert made.stamp(1746428889.987) == stamp


def test_every_live_secret_of_standard_signs():
    secrets = [SPEC_SECRET, "whsec_" + base64.b64encode(b"n" * 32).decode(), SPEC_PRIVATE]
    signatures = headers_of("standard", secrets)["webhook-signature"].split(" ")
    alone = [headers_of("standard", [secret])["webhook-signature"] for secret in secrets]
    assert signatures == alone
    assert Webhook(secrets[0])  # the reference library takes it


@pytest.mark.parametrize(
    ("profile", "header"), [("phlix", "X-Phlix-Signature-V2"), ("stripe", "Stripe-Signature")]
)
def test_every_live_secret_of_a_timestamped_scheme_signs(profile, header):
    new, old = (headers_of(profile, [secret])[header].partition(",")[2] for secret in ("new", "old"))
    assert headers_of(profile, ["new", "old"])[header] == f"t=1746428889,{new},{old}"


@pytest.mark.parametrize("profile", ["splynx", "github", "tiki", "plinqx", "generic"])
def test_where_the_scheme_has_one_signature_the_first_secret_signs(profile):
    assert headers_of(profile, ["new", "old"]) == headers_of(profile, ["new"])


def test_phlix_signs_the_legacy_header_by_the_first_secret():
    both, new = headers_of("phlix", ["new", "old"]), headers_of("phlix", ["new"])
    assert both["X-Phlix-Signature"] == new["X-Phlix-Signature"]


def test_standard_without_a_secret_sends_id_and_timestamp_only():
    assert headers_of("standard", []) == {"webhook-id": "msg_1", "webhook-timestamp": "1746428889"}


@pytest.mark.parametrize("secret", ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_TWZLUQ"])
def test_prefix_and_padding_of_a_standard_secret_may_be_missing(secret):
    assert headers_of("standard", [secret])["webhook-signature"].startswith("v1,")


@pytest.mark.parametrize(
    ("php", "python"), [("sha512/256", "sha512_256"), ("sha3-256", "sha3_256"), ("SHA-384", "sha384")]
)
def test_hashes_are_known_by_their_names_in_php(php, python):
    headers = headers_of("tiki", ["s"], b"x", header="X-Any", algorithm=php, encoding="hex")
    assert headers == {"X-Any": hmac.new(b"s", b"x", python).hexdigest()}


@pytest.mark.parametrize("profile", PROFILES)
def test_the_reserved_names_are_those_that_are_sent(profile):
    sent = headers_of(profile, SECRETS.get(profile, [SPEC_SECRET]))
    assert {name.lower() for name in sent} == names(profile, Signature())


def test_the_reserved_names_of_generic_are_the_chosen_ones():
    chosen: dict[str, Any] = {
        "header": "X-A",
        "timestamp_header": "X-B",
        "id_header": "X-C",
        "event_header": "X-D",
    }
    sent = headers_of("generic", ["s"], **chosen)
    assert (
        {name.lower() for name in sent}
        == names("generic", Signature(**chosen))
        == {"x-a", "x-b", "x-c", "x-d"}
    )


def test_cockpit_without_a_secret_leaves_authorization_to_others():
    assert names("cockpit", Signature(), secrets=False) == frozenset()


@given(body=st.binary(max_size=300), timestamp=st.integers(0, 2**33), key=st.binary(min_size=1, max_size=70))
def test_standard_signs_exactly_the_bytes_that_are_sent(body, timestamp, key):
    secret = "whsec_" + base64.b64encode(key).decode()
    headers = headers_of("standard", [secret], body, "msg_1", str(timestamp))
    expected = hmac.digest(key, b"msg_1.%d.%b" % (timestamp, body), "sha256")
    assert headers["webhook-signature"] == "v1," + base64.b64encode(expected).decode()


@given(body=st.binary(max_size=100), seed=st.binary(min_size=32, max_size=32))
def test_version_1a_is_the_ed25519_signature_of_the_same_content(body, seed):
    secret = "whsk_" + base64.b64encode(seed).decode()
    value = headers_of("standard", [secret], body, "msg_1", "5")["webhook-signature"]
    expected = Ed25519PrivateKey.from_private_bytes(seed).sign(b"msg_1.5." + body)
    assert value == "v1a," + base64.b64encode(expected).decode()


@given(body=st.binary(max_size=300), key=st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_one_signer_signs_many_bodies_independently(body, key):
    one = signer("github", [key], Signature())
    one.headers(b"another body before", "i", "1", "t")
    headers = dict(one.headers(body, "i", "1", "t"))
    assert (
        headers["X-Hub-Signature-256"] == "sha256=" + hmac.new(key.encode(), body, hashlib.sha256).hexdigest()
    )


@given(webhook_id=st.text(), event_type=st.text())
@pytest.mark.parametrize("profile", ["standard", "github", "plinqx", "generic"])
def test_no_id_and_no_type_can_break_out_of_its_header(profile, webhook_id, event_type):
    options: dict[str, Any] = {"id_header": "X-Id", "event_header": "X-Event"} if profile == "generic" else {}
    headers = headers_of(profile, [SPEC_SECRET], b"", webhook_id, event_type=event_type, **options)
    for value in headers.values():
        assert value.isascii()
        assert value.isprintable()
    if profile == "standard":
        assert "." not in headers["webhook-id"]
