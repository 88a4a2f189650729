"""Secrets and options that cannot sign are refused when they are read, with words for the operator."""

import pytest

from bridge.core.target import Signature
from bridge.signing.profiles import signer

SPEC_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.mark.parametrize(
    ("profile", "secrets", "says"),
    [
        ("standard", ["not base64!"], "no base64"),
        ("standard", ["whsec_"], "empty"),
        ("standard", [""], "empty"),
        ("standard", ["whsk_6Xb/dCcH"], "holds 6 bytes"),
        ("standard", ["whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="], "public and cannot sign"),
        ("standard", ["whsk_" + "A" * 86 + "=="], "do not belong together"),
        ("standard", [SPEC_SECRET, "\ud800"], "no base64"),
        ("splynx", [], "needs a secret"),
        ("github", [], "needs a secret"),
        ("phlix", [], "needs a secret"),
        ("tiki", [], "needs a secret"),
        ("stripe", [], "needs a secret"),
        ("generic", [], "needs a secret"),
        ("github", [""], "empty"),
        ("plinqx", [""], "empty"),
        ("cockpit", [""], "empty"),
        ("cockpit", ["no colon"], "user:password"),
        ("cockpit", ["user:"], "user:password"),
        ("splynx", ["good", ""], "empty"),
        ("splynx", ["\ud800"], "Unicode"),
        ("none", ["x"], "signs nothing"),
        ("stirpe", ["x"], "no profile"),
    ],
)
def test_secrets_that_do_not_fit_are_refused_with_the_reason(profile, secrets, says):
    with pytest.raises(ValueError, match=says):
        signer(profile, secrets, Signature())


@pytest.mark.parametrize(
    ("profile", "options", "says"),
    [
        ("splynx", {"header": "X-Mine"}, "its own way of `header`"),
        ("stripe", {"algorithm": "sha512"}, "its own way of `algorithm`"),
        ("tiki", {"template": "{id}{body}"}, "its own way of `template`"),
        ("tiki", {"algorithm": "crc32"}, "'crc32' is no hash"),
        ("generic", {"algorithm": "shake_128"}, "'shake_128' is no hash"),
        ("generic", {"template": "{boddy}"}, "{boddy}, which is no placeholder"),
        ("generic", {"header": "X Y"}, "no header name"),
        ("generic", {"header": "Content-Length"}, "set by the HTTP client"),
        ("generic", {"header": "content-type"}, "cannot be replaced"),
        ("generic", {"header": "X-A", "id_header": "x-a"}, "the same name"),
        ("generic", {"prefix": "a\r\nb"}, "line break"),
        ("generic", {"prefix": " a"}, "not begin with a space"),
        ("generic", {"prefix": "é"}, "ASCII"),
    ],
)
def test_options_that_do_not_fit_are_refused_with_the_reason(profile, options, says):
    with pytest.raises(ValueError, match=says):
        signer(profile, ["s"], Signature(**options))


def test_an_error_never_repeats_the_secret():
    for profile in ("standard", "cockpit"):
        with pytest.raises(ValueError, match="secret") as caught:
            signer(profile, ["hunter2 hunter2"], Signature())
        assert "hunter2" not in str(caught.value)
