"""Standard Webhooks tells the event's type in a header where a hook wants it."""

import base64

import pytest

from bridge.core.target import Signature
from bridge.signing.profiles import names, signer

SECRET = "whsec_" + base64.b64encode(b"k" * 24).decode()


def test_the_type_is_told_in_the_header_that_is_named():
    options = Signature(event_header="X-Event-Type")
    made = signer("standard", [SECRET], options)
    headers = dict(made.headers(b"{}", "msg_1", "1746428889", "invoice.pàid"))
    assert headers["X-Event-Type"] == "invoice.p%C3%A0id"
    without = dict(signer("standard", [SECRET], Signature()).headers(b"{}", "msg_1", "1746428889", "a.b"))
    assert headers["webhook-signature"] == without["webhook-signature"]
    assert set(headers) - set(without) == {"X-Event-Type"}
    assert "X-Event-Type" not in dict(made.headers(b"{}", "msg_1", "1746428889", ""))
    assert "x-event-type" in names("standard", options)


@pytest.mark.parametrize("header", ["webhook-id", "Webhook-Signature", "content-type", "a b"])
def test_a_header_that_cannot_be_is_refused(header):
    with pytest.raises(ValueError, match=r"header name|cannot be replaced"):
        signer("standard", [SECRET], Signature(event_header=header))


@pytest.mark.parametrize("option", [{"header": "x-sig"}, {"template": "{id}"}, {"id_header": "x-id"}])
def test_all_else_stays_as_the_standard_has_it(option):
    with pytest.raises(ValueError, match="has its own way"):
        signer("standard", [SECRET], Signature(**option))
