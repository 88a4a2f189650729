import base64
import hmac
from pathlib import Path
from typing import Any

import pytest

from bridge.checks.configuration import check, warnings
from bridge.core.inlet import Verifier
from bridge.core.target import Auth, Signature
from bridge.settings.tree import Settings
from bridge.signing.profiles import signer, verifier
from bridge.signing.shapes import SignedRequest
from bridge.targets.webhook.address import authorization

KEY = "whsec_" + base64.b64encode(b"k" * 32).decode()
BODY = b'{"a":1}'


def told(**settings: Any) -> dict[str, str]:
    """Warnings by path."""
    whole = Settings.model_validate(settings)
    assert check(whole, Path("/")) == []
    return {problem.path: problem.message for problem in warnings(whole)}


def hook(**target: Any) -> dict[str, Any]:
    return {"name": "crm", "target": {"type": "webhook", "url": "https://crm.example.net/in", **target}}


def inlet(**verify: Any) -> dict[str, Any]:
    return {"name": "in", "source": "main", "path": "/x", "event_type": "x", "verify": [verify]}


MAIN = [{"name": "main", "queue": "q"}]
LEFT_OUT: dict[str, tuple[dict[str, Any], str]] = {
    "standard": ({"hooks": [hook(secrets=[KEY, KEY + "\n"])]}, "hooks[0].target.secrets[1]"),
    "bearer": (
        {"hooks": [hook(profile="none", auth={"type": "bearer", "token": " t0ken\r\n"})]},
        "hooks[0].target.auth.token",
    ),
    "header": (
        {"hooks": [hook(profile="none", headers={"X-Key": "k3y\n"})]},
        "hooks[0].target.headers.X-Key",
    ),
    "admin token": ({"http": {"admin_token": "a-long-admin-token\n"}}, "http.admin_token"),
    "inlet token": (
        {"sources": MAIN, "inlets": [inlet(type="token", header="X-Key", secret="k3y\n")]},
        "inlets[0].verify[0].secret",
    ),
    "inlet standard": (
        {"sources": MAIN, "inlets": [inlet(type="standard", secrets=["\t" + KEY])]},
        "inlets[0].verify[0].secrets[0]",
    ),
}
TAKEN: dict[str, tuple[dict[str, Any], str]] = {
    "splynx": ({"hooks": [hook(profile="splynx", secrets=["s3cret\n"])]}, "hooks[0].target.secrets[0]"),
    "generic": ({"hooks": [hook(profile="generic", secrets=[" s3cret"])]}, "hooks[0].target.secrets[0]"),
    "password": (
        {"hooks": [hook(profile="none", auth={"type": "basic", "username": "u", "password": "p\n"})]},
        "hooks[0].target.auth.password",
    ),
    "inlet": (
        {"sources": MAIN, "inlets": [inlet(type="hex", header="X-Sig", secret="k3y ")]},
        "inlets[0].verify[0].secret",
    ),
    "key at rest": (
        {"storage": {"encryption_keys": ["0123456789abcdef\n"]}},
        "storage.encryption_keys[0]",
    ),
}


@pytest.mark.parametrize(("settings", "path"), LEFT_OUT.values(), ids=LEFT_OUT)
def test_a_blank_that_can_be_no_part_of_a_secret_is_left_out_and_told(settings: dict[str, Any], path: str):
    found = told(**settings)
    assert list(found) == [path]
    assert "left out" in found[path]


@pytest.mark.parametrize(("settings", "path"), TAKEN.values(), ids=TAKEN)
def test_a_blank_that_may_be_a_part_of_a_secret_stays_and_is_told(settings: dict[str, Any], path: str):
    found = told(**settings)
    assert list(found) == [path]
    assert "taken for a part" in found[path]


def test_sound_secrets_are_not_mentioned_and_none_is_shown():
    assert told(hooks=[hook(secrets=[KEY], headers={"X-Key": "k3y"})], http={"admin_token": "a b c d"}) == {}
    message = told(hooks=[hook(profile="splynx", secrets=["s3cret\n"])])["hooks[0].target.secrets[0]"]
    assert "s3cret" not in message


@pytest.mark.parametrize("blank", ["\n", "\r\n", " ", "\t"])
def test_what_is_left_out_changes_no_signature(blank: str):
    plain, odd = (signer("standard", [secret], Signature()) for secret in (KEY, blank + KEY + blank))
    assert plain.headers(BODY, "id", "1", "t") == odd.headers(BODY, "id", "1", "t")
    assert authorization(Auth(type="bearer", token=f"t0ken{blank}")) == "Bearer t0ken"


@pytest.mark.parametrize("blank", ["\n", " "])
def test_a_sender_gets_in_whatever_stands_behind_the_inlet_s_token(blank: str):
    request = SignedRequest(BODY, {"x-key": "k3y"}, "POST", "/x")
    verify = verifier(Verifier.model_validate({"type": "token", "header": "X-Key", "secret": "k3y" + blank}))
    assert verify(request, 0.0) is None


def test_a_key_that_may_hold_a_line_break_is_used_with_it():
    [(_, signature)] = signer("splynx", ["s3cret\n"], Signature()).headers(BODY, "id", "1", "t")
    assert signature.endswith(hmac.new(b"s3cret\n", BODY, "sha1").hexdigest())
