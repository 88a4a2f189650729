"""What is kept of requests and answers tells what was sent, and no secret."""

from hypothesis import given
from hypothesis import strategies as st

from bridge.core.delivery import Evidence
from bridge.targets.evidence import LONGEST, MOST_HEADERS, Folding, digest
from bridge.wire.evidence import told

ABOUT = {"type": "webhook", "to": "https://crm.example.net/in", "method": "POST", "settings": "abc"}
NAMES = st.sampled_from(
    ["Content-Type", "webhook-timestamp", "webhook-signature", "X-Api-Key", "Date", "Via"]
)
PAIRS = st.lists(st.tuples(NAMES, st.text(max_size=12)), max_size=8)


def is_secret(name: str) -> bool:
    return name == "x-api-key"


def folding() -> Folding:
    return Folding(ABOUT, is_secret, frozenset({"webhook-signature"}))


def shown(name: str, value: str) -> str:
    return "***" if name == "X-Api-Key" else value.encode("ascii", "backslashreplace").decode()


@given(st.lists(PAIRS, min_size=1, max_size=8))
def test_whatever_changes_from_one_to_the_next_each_is_told_as_it_was(requests):
    kept = folding()
    for pairs in requests:
        form, values = kept.fold(pairs)
        found = told(form.text, None, digest(b""), values)
        assert list(found.headers) == [(name, shown(name, value)) for name, value in pairs]
        assert (found.to, found.method, found.answered) == (ABOUT["to"], "POST", None)


def test_what_stays_the_same_is_in_the_form_and_only_what_changes_beside_it():
    kept = folding()
    forms = set()
    for number in range(5):
        pairs = [("Content-Type", "application/json"), ("webhook-timestamp", str(number)), ("Via", "x")]
        form, values = kept.fold(pairs)
        forms.add(form.id)
    assert values == ("4",)
    assert len(forms) == 2


def test_a_signature_is_shortened_and_a_secret_is_not_there_at_all():
    kept = folding()
    for secret in ("s3cret-one", "s3cret-two", "correct horse"):
        pairs = [("webhook-signature", f"v1,{secret * 9}"), ("X-Api-Key", secret)]
        form, values = kept.fold(pairs)
        assert secret not in form.text
        found = dict(told(form.text, None, "", values).headers)
        assert found == {"webhook-signature": f"v1,{secret * 9}"[:20] + "...", "X-Api-Key": "***"}


def test_a_receiver_that_makes_up_headers_costs_a_bounded_amount():
    kept = Folding({}, is_secret)
    for number in range(500):
        pairs = [(f"X-{number}-{each}", "v" * 5000) for each in range(200)]
        form, values = kept.fold(pairs)
    assert len(kept._shapes) <= 16
    assert (
        len(told('{"type":"","to":"","settings":"","headers":[]}', form.text, "", values).answered or ())
        == MOST_HEADERS
    )
    assert len(form.text) < MOST_HEADERS * (LONGEST + 40)


def test_sent_and_heard_are_told_together():
    sent, heard = folding(), Folding({}, is_secret)
    for number in ("1", "2"):
        out, changed = sent.fold([("webhook-timestamp", number)])
        back, heard_changed = heard.fold([("Date", number), ("Server", "nginx")])
    evidence = Evidence(out, back, digest(b"body"), changed + heard_changed)
    found = told(out.text, back.text, evidence.digest, evidence.values)
    assert found.headers == (("webhook-timestamp", "2"),)
    assert found.answered == (("Date", "2"), ("Server", "nginx"))
    assert found.body_sha256 == "230d8358dc8e8890b4c58deeb62912ee2f20357ae92a5cc861b98e68fe31acb5"
