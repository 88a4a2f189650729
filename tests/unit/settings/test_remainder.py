"""One look tells every fault: of form, between settings, and of what stands in them."""

from pathlib import Path

import pytest

from bridge.checks.configuration import check
from bridge.core.errors import SettingsError
from bridge.settings.loading import load_with_places


def said(folder: Path, text: str) -> list[str]:
    """The paths that have a problem, in the order of the file."""
    file = folder / "bridge.yaml"
    file.write_text(text)
    loaded = load_with_places(file, {})
    with pytest.raises(SettingsError) as caught:
        loaded.sound(check(loaded.settings, folder))
    return [problem.path for problem in caught.value.problems]


QUEUE = "target: {type: queue, queue: q}"


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        # A hook with a fault of form is looked at for its other faults,
        (
            f"hooks: [{{name: a, rate: often, evnts: [b], filter: 'event.data.x ==', {QUEUE}}}]",
            ["hooks[0].rate", "hooks[0].evnts", "hooks[0].filter"],
        ),
        ("hooks: [{name: a, filter: '1 =', target: {type: webhok}}]", ["hooks[0].target.type", "hooks[0].filter"]),
        ("hooks: [{name: a, filter: '1 =', target: {type: webhook}}]", ["hooks[0].target.url", "hooks[0].filter"]),
        (f"hooks: [{{name: A, sources: [b], {QUEUE}}}]", ["hooks[0].name", "hooks[0].sources[0]"]),
        (f"hooks: [{{filter: '1 =', {QUEUE}}}]", ["hooks[0].name", "hooks[0].filter"]),
        (
            f"hooks: [{{name: a, events: [1, 2], filter: '1 =', {QUEUE}}}]",
            ["hooks[0].events[0]", "hooks[0].events[1]", "hooks[0].filter"],
        ),
        # and so are all others, at the places that they have in the file.
        (f"hooks: [7, {{name: a, filter: '1 =', {QUEUE}}}]", ["hooks[0]", "hooks[1].filter"]),
        (f"log: 7\nhooks: [{{name: a, events: ['a.**'], {QUEUE}}}]", ["log", "hooks[0].events[0]"]),
        (
            ("sources: [{name: a, queue: q, prefetch: 0}]\ninlets:\n"
            "- {name: i, source: b, open: true}\n- {name: i, source: a, verify: [{type: strip, secret: s}]}"),
            ["sources[0].prefetch", "inlets[0].source", "inlets[1].name", "inlets[1].verify[0].type"],
        ),
        ("sources: [{name: a, queu: q, schema: no.json}]", ["sources[0].queue", "sources[0].queu", "sources[0].schema"]),
        # What only comes of another fault is not told.
        (f"sources: {{name: a, queue: q}}\nhooks: [{{name: h, sources: [a], {QUEUE}}}]", ["sources"]),
        (f"sources: [{{name: A, queue: q}}]\nhooks: [{{name: h, sources: [A], {QUEUE}}}]", ["sources[0].name"]),
        ("brokers: 7\nhooks: [{name: h, target: {type: queue, queue: q, broker: b}}]", ["brokers"]),
        (
            "hooks: [{name: h, target: {type: webhook, url: 'https://x/', body: tmplate, template: '{{ 1 '}}]",
            ["hooks[0].target.body"],
        ),
        ("hooks: [{name: h, target: {type: webhook, url: 'https://x/', secrets: ['${NO}']}}]", ["hooks[0].target.secrets[0]"]),
        (
            ("sources: [{name: a, queue: q}]\n"
            "inlets: [{name: i, source: a, verify: [{type: hex, header: x, secret: '${NO}'}]}]"),
            ["inlets[0].verify[0].secret"],
        ),
    ],
)  # fmt: skip
def test_one_look_tells_every_fault_and_nothing_that_comes_of_another(
    tmp_path: Path, text: str, paths: list[str]
):
    assert sorted(said(tmp_path, text)) == sorted(paths)


@pytest.mark.parametrize(
    "text", ["hooks: 7", "sources: 7", "inlets: [[]]", "hooks: [{}]", "hooks: [{target: []}]"]
)
def test_what_is_of_no_use_at_all_ends_with_its_problem(tmp_path: Path, text: str):
    assert said(tmp_path, text)
