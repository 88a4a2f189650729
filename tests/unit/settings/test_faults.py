"""A hook with faults is told apart from the others, and from faults that concern more than one hook."""

from pathlib import Path

import pytest

from bridge.checks.configuration import check
from bridge.core.errors import SettingsError
from bridge.settings.loading import load_with_places
from bridge.settings.tree import Settings

SOUND = "{name: sound, target: {type: queue, queue: q}}"
WEBHOOK = "target: {type: webhook, url: 'https://example.net/'}"


def loaded(folder: Path, text: str) -> Settings:
    file = folder / "bridge.yaml"
    file.write_text(text)
    found = load_with_places(file, {})
    return found.with_faults(check(found.settings, folder))


@pytest.mark.parametrize(
    ("hook", "said", "unread"),
    [
        ("target: {type: webhook, url: 'ftp://x'}", "target.url: ", set()),
        ("target: {type: webhook, url: '${NO_SUCH}'}", "target.url: environment variable NO_SUCH is not", {"target"}),
        (
            "target: {type: webhook, url: 'https://example.net/', secrets: ['${NO_SUCH}']}",
            "target.secrets[0]: environment variable NO_SUCH is not set",
            set(),
        ),
        ("target: {type: script, command: [./missing.php]}", "target.command: ", set()),
        ("target: {type: webhok}", "target.type: ", {"target"}),
        ("target: {type: queue, queue: q, broker: none}", "target.broker: ", set()),
        (f"filter: 'event.data.n ==', {WEBHOOK}", "filter: ", {"filter"}),
        (f"filter: 7, {WEBHOOK}", "filter: ", {"filter"}),
        (f"events: ['a.**'], {WEBHOOK}", "events[0]: ", {"events"}),
        (f"events: 7, {WEBHOOK}", "events: ", {"events"}),
        (f"sources: [nowhere], {WEBHOOK}", "sources[0]: ", {"sources"}),
        (f"evnts: [a], {WEBHOOK}", "evnts: unknown key; did you mean events?", set()),
        (f"enabled: often, {WEBHOOK}", "enabled: ", set()),
        (f"rate: 1/s, rate: 2/s, {WEBHOOK}", "rate: given twice", set()),
        ("rate: 1/s", "target: is missing", {"target"}),
        ("retry: {preset: never}, target: {type: notify, urls: []}", "target.urls: ", {"target"}),
    ],
)  # fmt: skip
def test_a_hook_with_a_fault_keeps_its_name_and_the_others_are_sound(
    tmp_path: Path, hook: str, said: str, unread: set[str]
):
    settings = loaded(tmp_path, f"hooks: [{SOUND}, {{name: bad, {hook}}}]")
    sound, bad = settings.hooks
    assert (sound.name, sound.fault, bad.name) == ("sound", None, "bad")
    assert bad.fault is not None
    assert said in bad.fault.reason
    assert bad.fault.unread == unread


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (f"hoks: []\nhooks: [{SOUND}]", "hoks"),
        ("hooks: 7", "hooks"),
        (f"hooks: [{SOUND}, 7]", "hooks[1]"),
        (f"hooks: [{SOUND}, {SOUND}]", "hooks[1].name"),
        (f"hooks: [{SOUND}, {{name: CRM, {WEBHOOK}}}]", "hooks[1].name"),
        (f"hooks: [{SOUND}, {{{WEBHOOK}}}]", "hooks[1].name"),
        (f"hooks: [{SOUND}, {{name: '${{NO_SUCH}}', {WEBHOOK}}}]", "hooks[1].name"),
        (f"sources: [{{name: a, queue: q, prefetch: 0}}]\nhooks: [{SOUND}]", "sources[0].prefetch"),
        (f"broker: {{prefix: ''}}\nhooks: [{SOUND}]", "broker.prefix"),
        (f"inlets: [{{name: a, source: nowhere, open: true}}]\nhooks: [{SOUND}]", "inlets[0].source"),
    ],
)
def test_a_fault_that_is_not_of_one_hook_with_a_name_refuses_the_whole_file(
    tmp_path: Path, text: str, path: str
):
    with pytest.raises(SettingsError) as caught:
        loaded(tmp_path, text)
    assert path in [problem.path for problem in caught.value.problems]


def test_many_faults_of_one_hook_are_told_in_a_few_words(tmp_path: Path):
    keys = ", ".join(f"unknown{number}: 1" for number in range(9))
    [bad] = loaded(tmp_path, f"hooks: [{{name: bad, {keys}, {WEBHOOK}}}]").hooks
    assert bad.fault is not None
    assert bad.fault.reason.count("unknown key") == 5
    assert bad.fault.reason.endswith("and 4 more")
