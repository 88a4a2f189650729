"""What a profile signs verifies, and nothing else does."""

from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.inlet import Verifier
from bridge.signing.profiles import verifier
from tests.support.requests import NOW, PRIVATE, PUBLIC, STANDARD, reason, request, signed

OTHER = "whsec_b3RoZXIgb3RoZXIgb3RoZXIgb3RoZXIgb3RoZXI="
TEMPLATE = "{method} {path} {id}.{timestamp}.{event}.{body}"
HEADERS = {"timestamp_header": "X-Time", "id_header": "X-Id", "event_header": "X-Event"}


class Scheme(NamedTuple):
    """A profile with its options, and the verifier that receives it."""

    profile: str
    verify: dict[str, Any]
    options: dict[str, Any] = {}  # noqa: RUF012 - nothing changes it
    sign_with: str = STANDARD
    verify_with: str = STANDARD
    needed: tuple[str, ...] = ()


def generic(**options: Any) -> Scheme:
    needed = (options.get("header", "X-Signature"), *[options[name] for name in HEADERS if name in options])
    return Scheme("generic", {"type": "generic"} | options, options, needed=needed)


SCHEMES = {
    "standard": Scheme(
        "standard", {"type": "standard"}, needed=("webhook-id", "webhook-timestamp", "webhook-signature")
    ),
    "v1a, private": Scheme(
        "standard", {"type": "standard"}, {}, PRIVATE, PRIVATE, ("webhook-id", "webhook-signature")
    ),
    "v1a, public": Scheme("standard", {"type": "standard"}, {}, PRIVATE, PUBLIC, ("webhook-timestamp",)),
    "splynx": Scheme("splynx", {"type": "splynx"}, needed=("X-Splynx-Signature",)),
    "phlix": Scheme("phlix", {"type": "phlix"}),
    "plinqx": Scheme("plinqx", {"type": "plinqx"}, needed=("X-Plinqx-Signature", "X-Plinqx-Timestamp")),
    "tiki": Scheme("tiki", {"type": "tiki"}, needed=("Webhook-Signature",)),
    "tiki, hex": Scheme(
        "tiki",
        {"type": "hex", "header": "X-Mine", "algorithm": "sha512/256"},
        {"header": "X-Mine", "algorithm": "sha512/256", "encoding": "hex"},
        needed=("X-Mine",),
    ),
    "base64": Scheme("tiki", {"type": "base64 hmac", "header": "webhook-signature"}),
    "github": Scheme("github", {"type": "github"}),
    "prefixed-hex": Scheme("github", {"type": "prefixed hex", "header": "X-Hub-Signature-256"}),
    "prefixed-hex, sha1": Scheme(
        "github", {"type": "prefixed-hex", "header": "X-Hub-Signature", "algorithm": "sha1"}
    ),
    "stripe": Scheme("stripe", {"type": "stripe"}, needed=("Stripe-Signature",)),
    "timestamped": Scheme("phlix", {"type": "timestamped", "header": "X-Phlix-Signature-V2"}),
    "generic": generic(),
    "generic, all": generic(template=TEMPLATE, **HEADERS),
    "generic, prefix": generic(
        header="X-Any", template="{timestamp}.{body}", prefix="t={timestamp};v=", encoding="base64"
    ),
}
BODY_SCHEMES = pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES)


def settings(scheme: Scheme, *secrets: str) -> dict[str, Any]:
    return scheme.verify | {"secrets": list(secrets or [scheme.verify_with])}


@BODY_SCHEMES
@given(body=st.binary(max_size=200))
def test_what_is_signed_verifies(scheme, body):
    headers = signed(scheme.profile, [scheme.sign_with], body, **scheme.options)
    assert reason(settings(scheme), request(headers, body, path="/in/x")) is None


@BODY_SCHEMES
@given(body=st.binary(min_size=1, max_size=60), data=st.data())
def test_any_changed_byte_of_the_body_is_refused(scheme, body, data):
    place = data.draw(st.integers(0, len(body) - 1))
    other = body[:place] + bytes([body[place] ^ data.draw(st.integers(1, 255))]) + body[place + 1 :]
    headers = signed(scheme.profile, [scheme.sign_with], body, **scheme.options)
    said = reason(settings(scheme), request(headers, other, path="/in/x"))
    assert said == "the signature does not match the body"


@BODY_SCHEMES
def test_another_key_is_refused(scheme):
    headers = signed(
        scheme.profile, [OTHER if scheme.sign_with == STANDARD else STANDARD], b"{}", **scheme.options
    )
    assert reason(settings(scheme), request(headers, path="/in/x")) in {
        "the signature does not match the body",
        "the header webhook-signature holds no v1a signature",
    }


@BODY_SCHEMES
def test_any_live_secret_verifies(scheme):
    headers = signed(scheme.profile, [scheme.sign_with], b"{}", **scheme.options)
    assert reason(settings(scheme, OTHER, scheme.verify_with), request(headers, path="/in/x")) is None


@BODY_SCHEMES
def test_each_missing_header_is_told_by_name(scheme):
    headers = signed(scheme.profile, [scheme.sign_with], b"{}", **scheme.options)
    for name in scheme.needed:
        rest = {key: value for key, value in headers.items() if key != name}
        assert reason(settings(scheme), request(rest, path="/in/x")) == f"no header {name}"


@BODY_SCHEMES
def test_no_reason_holds_a_secret_or_the_right_signature(scheme):
    headers = signed(scheme.profile, [OTHER], b"{}", **scheme.options)
    right = signed(scheme.profile, [scheme.sign_with], b"{}", **scheme.options)
    said = reason(settings(scheme), request(headers, b"{}", path="/in/y"))
    if said is not None:
        assert scheme.verify_with not in said
        assert not [value for name, value in right.items() if len(value) > 20 and value in said]


@BODY_SCHEMES
@given(value=st.text(max_size=60), glue=st.sampled_from(["", ",,", "t=1,v1=", "v1,", "sha256=", "t=1;v="]))
def test_nothing_that_is_sent_makes_a_verifier_raise(scheme, value, glue):
    headers = signed(scheme.profile, [scheme.sign_with], b"{}", **scheme.options)
    check = verifier(Verifier(**settings(scheme)))
    for name in headers:
        changed = headers | {name: glue + value}
        check(request(changed, path="/in/x\udcff"), NOW)


TIMED = [
    "standard",
    "v1a, public",
    "phlix",
    "plinqx",
    "stripe",
    "timestamped",
    "generic, all",
    "generic, prefix",
]


@pytest.mark.parametrize("name", TIMED)
@pytest.mark.parametrize(
    ("age", "said"),
    [
        (300, None),
        (-300, None),
        (301, "the timestamp is 301 s old, 300 s are allowed"),
        (-301, "the timestamp is 301 s ahead, 300 s are allowed"),
    ],
)
def test_a_timestamp_is_good_for_as_long_as_the_tolerance_says(name, age, said):
    scheme = SCHEMES[name]
    headers = signed(scheme.profile, [scheme.sign_with], b"{}", **scheme.options)
    assert reason(settings(scheme), request(headers, path="/in/x"), NOW + age + 0.9) == said


def test_the_tolerance_can_be_chosen():
    headers = signed("stripe", ["s"], b"{}")
    said = reason({"type": "stripe", "secret": "s", "tolerance": "10s"}, request(headers), NOW + 900)
    assert said == "the timestamp is 900 s old, 10 s are allowed"
