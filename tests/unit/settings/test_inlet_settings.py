"""What is said about inlets that cannot work."""

from pathlib import Path

import pytest

from bridge.checks.configuration import check
from bridge.core.errors import SettingsError
from bridge.settings.loading import load

SOURCE = "sources: [{name: main, queue: hooks2}]\ninlets:\n"
TIKI = """
  - name: tiki
    path: /tiki-webhooks.php
    source: main
    event_type: tiki.webhook.received
    verify: [{header: Webhook-Signature, type: base64, algorithm: sha256, secret: "...", user: webmaster}]
"""


def write(folder: Path, text: str) -> Path:
    file = folder / "bridge.yaml"
    file.write_text(SOURCE + text)
    return file


def said(folder: Path, text: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load(write(folder, text), {})
    return str(caught.value)


def test_the_written_form_of_the_design_is_understood(tmp_path: Path):
    settings = load(write(tmp_path, TIKI), {})
    assert (settings.inlets[0].timeout, settings.inlets[0].body) == (0.8, 1_048_576)
    assert check(settings, tmp_path) == []


@pytest.mark.parametrize(
    ("wrong", "right", "problem"),
    [
        ("source: main", "source: mian", "inlets[0].source: no source 'mian'; did you mean main?"),
        ("path: /tiki-webhooks.php", "path: /health/x", "inlets[0].path: /health is the bridge's own"),
        ("path: /tiki-webhooks.php", "path: tiki", "inlets[0].path"),
        (
            'secret: "..."',
            'secret: ""',
            "the secret is empty: everybody could sign with it (allow_empty_secret",
        ),
        ("event_type: ", "methods: [G T]\n    event_type: ", "inlets[0].methods[0]"),
        ("verify: [{", "open: true\n    verify: [{", "give verifiers under `verify`, or `open: true`"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, wrong: str, right: str, problem: str):
    assert problem in said(tmp_path, TIKI.replace(wrong, right))


def test_an_empty_secret_is_taken_where_that_is_forced(tmp_path: Path):
    forced = TIKI.replace('secret: "..."', 'secret: "", allow_empty_secret: true')
    assert check(load(write(tmp_path, forced), {}), tmp_path) == []


def test_names_and_paths_are_unique_in_any_spelling(tmp_path: Path):
    again = TIKI.replace("/tiki-webhooks.php", "/tiki%2Dwebhooks.php/*")
    text = said(tmp_path, TIKI + again)
    assert "inlets[1].name: 'tiki' is already the name of inlets[0]" in text
    assert "inlets[1].path: '/tiki%2Dwebhooks.php/*' is already the path of inlets[0]" in text


def test_a_verifier_that_cannot_work_is_found_by_check(tmp_path: Path):
    settings = load(write(tmp_path, TIKI.replace("sha256", "crc32b")), {})
    (problem,) = check(settings, tmp_path)
    assert problem.path == "inlets[0].verify[0]"
    assert "crc32b" in problem.message
