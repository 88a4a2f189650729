"""Bodies that a hook's own template makes."""

import pytest

from bridge.bodies.body import Body
from tests.support.bodies import build, event, refusal

SENT = event(b"", {"name": 'D"D', "id": 7, "nothing": None, "cut": "\ud83d"})


@pytest.mark.parametrize(
    ("template", "content", "content_type"),
    [
        ("{'id': event.data.id}", '{"id":7}', "application/json"),
        ("event.data.name", '"D\\"D"', "application/json"),
        ('{"name": "{{ event.data.name }}"}', '{"name": "D\\"D"}', "application/json"),
        ('{"cut": "{{ event.data.cut }}"}', '{"cut": "\\ud83d"}', "application/json"),
        ("{{ event.data.id }}", "7", "application/json"),
        ("id={{ event.data.id }} ž", "id=7 ž", "text/plain; charset=utf-8"),
        ('{"name": {{ event.data.name }}}', '{"name": D"D}', "text/plain; charset=utf-8"),
        ('["{{ event.data.cut }}", NaN]', '["\\ud83d", NaN]', "text/plain; charset=utf-8"),
        ("{{ event.data.nothing }}", "", "text/plain; charset=utf-8"),
    ],
)
def test_what_a_template_makes_is_told_as_what_it_is(template, content, content_type):
    assert build("template", template=template)(SENT) == Body(content.encode(), content_type)


def test_a_missing_key_fails_for_good_and_is_named():
    assert "event.data.missing" in refusal(build("template", template="{{ event.data.missing }}"), SENT)


def test_a_template_that_cannot_be_compiled_is_an_error():
    with pytest.raises(ValueError, match="line 1, column 9"):
        build("template", template="{{ event.nope }}")
    with pytest.raises(ValueError, match="line 1"):
        build("template")
