"""What each verifier takes and refuses, in the words it says it with."""

import base64
import hashlib
import hmac
from typing import Any

import pytest

from bridge.core.inlet import Verifier
from bridge.signing.profiles import verifier
from tests.support.requests import NOW, PRIVATE, PUBLIC, STANDARD, reason, request, signed


def basic(text: str, encoding: str = "utf-8") -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(text.encode(encoding)).decode()}


def hexed(key: str, body: bytes, algorithm: str = "sha256") -> str:
    return hmac.digest(key.encode(), body, algorithm).hex()


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
@pytest.mark.parametrize(
    "given",
    [
        {"secret": "cockpit:p:ss wörd"},
        {"secret": "p:ss wörd", "username": "cockpit"},
        {"secret": "p:ss wörd", "user": "cockpit"},
        {"secrets": ["old:one", "cockpit:p:ss wörd"]},
    ],
)
@pytest.mark.parametrize("type_", ["basic", "cockpit"])
def test_basic_takes_user_and_password_however_they_are_told(type_, given, encoding):
    asked = request(basic("cockpit:p:ss wörd", encoding))
    assert reason({"type": type_} | given, asked) is None


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({}, "no header Authorization"),
        ({"Authorization": "Bearer x"}, "the header Authorization is not of the scheme Basic"),
        ({"Authorization": "Basic é"}, "the header Authorization holds no base64"),
        ({"Authorization": "Basic bWU6c2VjcmV0MX=="}, "the header Authorization holds no base64"),
        (basic("me:wrong"), "the user name or the password is wrong"),
        (basic("you:secret"), "the user name or the password is wrong"),
        (basic("me"), "the user name or the password is wrong"),
    ],
)
def test_basic_refuses_with_the_reason(headers, said):
    assert reason({"type": "basic", "username": "me", "secret": "secret"}, request(headers)) == said


def test_with_a_user_name_a_colon_belongs_to_the_password():
    settings = {"type": "basic", "username": "me", "secret": "you:secret"}
    assert reason(settings, request(basic("you:secret"))) == "the user name or the password is wrong"


def test_cockpit_can_send_a_token_in_a_header_of_its_own():
    settings = {"type": "cockpit", "header": "X-Cockpit-Token", "secret": "tökén"}
    assert reason(settings, request({"x-cockpit-token": "tökén"})) is None
    assert (
        reason(settings, request({"x-cockpit-token": "token"}))
        == "the header X-Cockpit-Token holds another token"
    )
    assert reason(settings, request(basic("a:b"))) == "no header X-Cockpit-Token"


def test_a_token_may_stand_after_a_prefix():
    settings = {"type": "token", "header": "Authorization", "prefix": "Bearer ", "secrets": ["a", "b"]}
    assert reason(settings, request({"Authorization": "Bearer b"})) is None
    assert reason(settings, request({"Authorization": "b"})) is not None


def test_bytes_that_are_no_utf_8_are_compared_as_they_were_sent():
    raw = b"\xff\xfe".decode("utf-8", "surrogateescape")
    said = reason({"type": "token", "header": "X-T", "secret": "s"}, request({"X-T": raw}))
    assert said == "the header X-T holds another token"


@pytest.mark.parametrize("spelled", [str.upper, str.lower, "  {}  ".format, "sha1={}".format])
def test_splynx_is_taken_in_either_case_and_with_the_prefix_some_add(spelled):
    signature = signed("splynx", ["s"], b"{}")["X-Splynx-Signature"]
    asked = request({"X-SPLYNX-SIGNATURE": spelled(signature)})
    assert reason({"type": "splynx", "secret": "s"}, asked) is None


@pytest.mark.parametrize("value", ["", "xyz", "ab", "é" * 40, "a" * 64, "a" * 9000])
def test_what_is_no_signature_is_called_so(value):
    said = reason({"type": "splynx", "secret": "s"}, request({"X-Splynx-Signature": value}))
    assert said in {
        "the header X-Splynx-Signature holds no sha1 signature in hex",
        "the header X-Splynx-Signature has more than 8192 characters",
    }


@pytest.mark.parametrize("change", [lambda s: s.rstrip("="), lambda s: s[:-2] + chr(ord(s[-2]) + 1) + "="])
def test_a_base64_signature_has_one_spelling(change):
    signature = base64.b64encode(hmac.digest(b"s", b"{}", "sha256")).decode()
    assert reason({"type": "tiki", "secret": "s"}, request({"Webhook-Signature": signature})) is None
    said = reason({"type": "tiki", "secret": "s"}, request({"Webhook-Signature": change(signature)}))
    assert said == "the header Webhook-Signature holds no sha256 signature in base64"


def test_a_missing_prefix_is_told():
    settings = {"type": "prefixed-hex", "header": "X-Sig", "secret": "s"}
    said = reason(settings, request({"X-Sig": hexed("s", b"{}")}))
    assert said == "the header X-Sig does not begin with sha256="
    other = settings | {"prefix": "v0:", "algorithm": "sha512"}
    assert reason(other, request({"X-Sig": "v0:" + hexed("s", b"{}", "sha512")})) is None


def test_github_looks_at_sha_1_only_where_there_is_nothing_better():
    settings = {"type": "github", "secret": "s"}
    both = signed("github", ["s"], b"{}")
    old = {"X-Hub-Signature": both["X-Hub-Signature"]}
    assert reason(settings, request(old)) is None
    bad = old | {"X-Hub-Signature-256": "sha256=" + "0" * 64}
    assert reason(settings, request(bad)) == "the signature does not match the body"
    assert reason(settings, request({})) == "no header X-Hub-Signature-256"


def test_a_header_of_ones_own_with_githubs_signature_may_hold_either_kind():
    settings = {"type": "github", "secret": "s", "header": "X-Forge"}
    both = signed("github", ["s"], b"{}")
    assert reason(settings, request({"X-Forge": both["X-Hub-Signature"]})) is None
    assert reason(settings, request({"X-Forge": both["X-Hub-Signature-256"]})) is None


def test_gitlab_takes_the_secret_token():
    settings = {"type": "gitlab", "secrets": ["old", "new"]}
    assert reason(settings, request({"X-Gitlab-Token": "new"})) is None
    assert (
        reason(settings, request({"X-Gitlab-Token": "x"})) == "the header X-Gitlab-Token holds another token"
    )
    assert reason(settings, request({})) == "no header X-Gitlab-Token"


def test_gitlab_takes_a_signature_and_then_looks_at_nothing_else():
    settings = {"type": "gitlab", "secrets": ["token", STANDARD]}
    headers = signed("standard", [STANDARD], b"{}")
    assert reason(settings, request(headers)) is None
    assert reason(settings, request({"X-Gitlab-Token": "token"})) is None
    both = headers | {"X-Gitlab-Token": "token"}
    assert reason(settings, request(both, b"[]")) == "the signature does not match the body"
    only = {"type": "gitlab", "secret": STANDARD}
    assert reason(only, request({"X-Gitlab-Token": STANDARD})) == "no header webhook-signature"


def test_phlix_looks_at_the_second_generation_alone_where_it_is_present():
    settings = {"type": "phlix", "secret": "s"}
    headers = signed("phlix", ["s"], b"{}")
    legacy = {"X-Phlix-Signature": headers["X-Phlix-Signature"]}
    assert reason(settings, request(legacy), NOW + 99_999) is None
    assert reason(settings, request(legacy | {"X-Phlix-Signature-V2": ""})) is not None
    assert reason(settings, request({})) == "no header X-Phlix-Signature"


def test_a_timestamped_header_may_hold_spaces_several_signatures_and_other_parts():
    right = hmac.new(b"s", f"{NOW}.{{}}".encode(), hashlib.sha256).hexdigest().upper()
    value = f" t = {NOW} , v0=zz, v1={'0' * 64}, v1={right},, "
    assert reason({"type": "stripe", "secret": "s"}, request({"Stripe-Signature": value})) is None


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("", "is not of the form t=...,v1=..."),
        ("t=1", "is not of the form t=...,v1=..."),
        ("v1=00", "is not of the form t=...,v1=..."),
        ("t=1,t=2,v1=00", "is not of the form t=...,v1=..."),
        ("t=x,v1=00", "is no number of seconds"),
        ("t=-1,v1=00", "is no number of seconds"),
        ("t=٣,v1=00", "is no number of seconds"),
        ("t=1,v1=xx", "holds no v1 in hex"),
        ("t=1," + "v1=00," * 40, "more than 32 signatures"),
    ],
)
def test_a_timestamped_header_of_another_form_is_refused(value, said):
    got = reason({"type": "stripe", "secret": "s"}, request({"Stripe-Signature": value}))
    assert got is not None
    assert said in got


@pytest.mark.parametrize(
    "stamp",
    ["1748802600", "1748802600.25", "1748802600123", "1748802600123456", "2025-06-01T18:30:00Z",
     "2025-06-01T20:30:00+02:00", "2025-06-01 18:30:00.123"],
)  # fmt: skip
def test_plinqx_reads_the_age_of_any_usual_timestamp(stamp):
    headers = {"X-Plinqx-Timestamp": stamp, "X-Plinqx-Signature": hexed("s", stamp.encode() + b"{}")}
    settings = {"type": "plinqx", "secret": "s"}
    assert reason(settings, request(headers), NOW + 299) is None
    assert reason(settings, request(headers), NOW + 301) == "the timestamp is 301 s old, 300 s are allowed"


def test_plinqx_refuses_a_timestamp_whose_age_nobody_can_tell():
    headers = {"X-Plinqx-Timestamp": "soon", "X-Plinqx-Signature": hexed("s", b"soon{}")}
    said = reason({"type": "plinqx", "secret": "s"}, request(headers))
    assert said == "the timestamp in X-Plinqx-Timestamp is in no known form"


@pytest.mark.parametrize("stamp", ["", "x", "1.5", "-5", "9" * 30])
def test_a_standard_timestamp_is_a_whole_number(stamp):
    headers = signed("standard", [STANDARD], b"{}") | {"webhook-timestamp": stamp}
    said = reason({"type": "standard", "secret": STANDARD}, request(headers))
    assert said == "the header webhook-timestamp is no number of seconds"


def test_versions_of_standard_webhooks_that_are_not_known_are_skipped():
    headers = signed("standard", [STANDARD, PRIVATE], b"{}")
    mixed = headers | {"webhook-signature": "v2,AAAA v1, x  " + headers["webhook-signature"]}
    for secret in (STANDARD, PRIVATE, PUBLIC):
        assert reason({"type": "standard", "secret": secret}, request(mixed)) is None
    none = headers | {"webhook-signature": "v2,AAAA"}
    said = reason({"type": "standard", "secrets": [STANDARD, PUBLIC]}, request(none))
    assert said == "the header webhook-signature holds no v1 or v1a signature"
    many = headers | {"webhook-signature": "v1,AAAA " * 33}
    said = reason({"type": "standard", "secret": STANDARD}, request(many))
    assert said == "the header webhook-signature holds more than 32 signatures"


def test_the_headers_of_standard_webhooks_may_have_another_stem():
    headers = {
        name.replace("webhook", "svix"): value
        for name, value in signed("standard", [STANDARD], b"{}").items()
    }
    settings = {"type": "standard", "secret": STANDARD, "header": "svix-signature"}
    assert reason(settings, request(headers)) is None
    assert reason(settings, request({})) == "no header svix-signature"


def test_two_timestamps_that_differ_are_refused():
    options: dict[str, Any] = {
        "prefix": "t={timestamp},v1=",
        "timestamp_header": "X-Time",
        "template": "{timestamp}{body}",
    }
    headers = signed("generic", ["s"], b"{}", **options)
    settings = {"type": "generic", "secret": "s"} | options
    assert reason(settings, request(headers)) is None
    said = reason(settings, request(headers | {"X-Time": "5"}))
    assert said == "the headers X-Signature and X-Time have different timestamps"
    assert "form" in str(reason(settings, request({"X-Signature": "v1=00"})))


def test_an_empty_secret_is_taken_only_when_that_is_forced():
    with pytest.raises(ValueError, match="the secret is empty"):
        Verifier(type="tiki", secret="")
    forced = {"type": "tiki", "secret": "", "allow_empty_secret": True}
    signature = base64.b64encode(hmac.digest(b"", b"{}", "sha256")).decode()
    assert reason(forced, request({"Webhook-Signature": signature})) is None
    assert reason(forced, request({"Webhook-Signature": ""})) is not None


@pytest.mark.parametrize("type_", ["basic", "cockpit"])
def test_a_user_name_with_an_empty_password_is_an_empty_secret(type_):
    with pytest.raises(ValueError, match="the secret is empty"):
        Verifier(type=type_, secret="me:")
    assert reason({"type": type_, "secret": "me::"}, request(basic("me::"))) is None
    forced = {"type": type_, "secret": "me:", "allow_empty_secret": True}
    assert reason(forced, request(basic("me:"))) is None


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"type": "hex"}, "type hex needs a `header`"),
        ({"type": "token"}, "type token needs a `header`"),
        ({"type": "github", "template": "{id}"}, "type github takes no `template`"),
        ({"type": "stripe", "algorithm": "sha1"}, "type stripe takes no `algorithm`"),
        ({"type": "splynx", "algorithm": "sha256"}, "splynx signs with sha1"),
        ({"type": "hex", "header": "X-A", "algorithm": "whirlpool9"}, "no hash"),
        ({"type": "hex", "header": "X A"}, "no header name"),
        ({"type": "standard", "secret": "no base64!"}, "no base64"),
        ({"type": "standard", "secret": "whpk_AAAA"}, "holds 3 bytes"),
        ({"type": "basic", "secret": "password"}, "give `username`"),
        ({"type": "basic", "username": "a:b"}, "cannot hold a colon"),
        ({"type": "generic", "template": "{id}{body}"}, "set `id_header`"),
        ({"type": "generic", "template": "{timestamp}{body}"}, "set `timestamp_header`"),
        ({"type": "generic", "prefix": "{timestamp}"}, "followed by other text"),
        ({"type": "token", "header": "X-A", "secret": "\ud800"}, "Unicode"),
    ],
)
def test_settings_that_cannot_work_are_refused_when_they_are_read(settings, says):
    with pytest.raises(ValueError, match=says):
        verifier(Verifier(**({"secret": "s"} | settings)))
