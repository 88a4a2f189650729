"""What an inlet vouches for, and what nobody else can make it vouch for."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.event import Message
from bridge.core.inlet import Inlet
from bridge.wire.headers import SignedInletMark, SignedInletMarkReader, identity_keys, mark

BODY = b'{"a":1}'


def inlet(*secrets: str, user: str = "crm", name: str = "tiki", source: str = "main", **more: Any) -> Inlet:
    verify = [{"type": "token", "header": "X", "secrets": list(secrets), "user": user} | more]
    return Inlet.model_validate({"name": name, "source": source, "verify": verify})


def marked(by: Inlet, body: bytes = BODY) -> dict[str, Any]:
    verifier = by.verify[0]
    key = identity_keys(by.source, by, verifier)[0]
    return mark(by.name, "POST", "", "a.b", identity=(str(verifier.user), key, body))


def read(table: Any, *inlets: Inlet, body: bytes = BODY, source: str = "main") -> SignedInletMark | None:
    return SignedInletMarkReader(source, inlets).read(Message(body, headers={"x-bridge-inlet": table}))


def test_a_marked_message_tells_type_and_identity():
    assert read(marked(inlet("one")), inlet("one")) == SignedInletMark("a.b", "crm")


def test_a_message_without_a_mark_tells_nothing():
    assert SignedInletMarkReader("main", [inlet("one")]).read(Message(BODY)) is None


def test_the_mark_holds_neither_secret_nor_key():
    one = inlet("one-secret")
    table = marked(one)
    assert "one-secret" not in repr(table)
    assert identity_keys("main", one, one.verify[0])[0].hex() not in repr(table)


def test_an_old_secret_that_is_still_listed_proves_what_waits():
    assert read(marked(inlet("old")), inlet("new", "old")) == SignedInletMark("a.b", "crm")
    assert read(marked(inlet("old")), inlet("new")) == SignedInletMark("a.b", None)


@pytest.mark.parametrize(
    "reader",
    [
        inlet("two"),
        inlet("one", name="other"),
        inlet("one", user="other"),
        inlet("one", source="other"),
    ],
)
def test_another_secret_inlet_user_or_source_proves_nothing(reader: Inlet):
    assert read(marked(inlet("one")), reader) == SignedInletMark("a.b", None)


def test_the_proof_is_good_for_its_body_alone():
    assert read(marked(inlet("one")), inlet("one"), body=BODY + b" ") == SignedInletMark("a.b", None)


def test_a_sender_cannot_lend_itself_the_identity_of_another_verifier():
    two = [inlet("mine", user="me").verify[0], inlet("theirs", user="admin").verify[0]]
    both = Inlet.model_validate({"name": "tiki", "source": "main", "verify": two})
    mine = mark("tiki", "POST", "", None, identity=("admin", identity_keys("main", both, two[0])[0], BODY))
    assert read(mine, both) == SignedInletMark(None, None)


def test_a_public_key_proves_nothing_so_another_secret_of_the_inlet_does():
    public = {"type": "standard", "secret": "whpk_MCowBQYDK2VwAyEA", "user": "crm"}
    private = {"type": "token", "header": "X", "secret": "private-1", "user": "other"}
    alone = Inlet.model_validate({"name": "tiki", "source": "main", "verify": [public]})
    both = Inlet.model_validate({"name": "tiki", "source": "main", "verify": [public, private]})
    assert identity_keys("main", alone, alone.verify[0]) == []
    assert read(marked(both), both) == SignedInletMark("a.b", "crm")


def test_without_a_user_there_is_no_identity():
    bare = Inlet.model_validate(
        {"name": "a", "source": "main", "verify": [{"type": "token", "header": "X", "secret": "one"}]}
    )
    assert identity_keys("main", bare, bare.verify[0]) == []
    assert read(mark("a", "POST", "", None, identity=None), bare) == SignedInletMark(None, None)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10) | st.binary(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
KEYS = st.sampled_from(["name", "type", "identity", "proof", "other"])


@given(VALUES | st.dictionaries(KEYS, VALUES | st.sampled_from(["tiki", "crm"])))
def test_forged_marks_of_any_shape_prove_nothing_and_do_no_harm(table: Any):
    arrival = read(table, inlet("one"))
    assert arrival is None or arrival.identity is None
