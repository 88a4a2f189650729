"""The schema of a source: a known envelope or a file, looked at before anything runs."""

import json
from pathlib import Path
from typing import Any

import pytest

from bridge.checks.configuration import LARGEST, check, misfit_of
from bridge.core.event import Source
from bridge.settings.tree import Settings


def source(schema: str | None) -> Source:
    return Source.model_validate({"name": "a", "queue": "q", "schema": schema})


def problems(schema: Any, base: Path) -> list[str]:
    settings = Settings.model_validate({"sources": [{"name": "a", "queue": "q", "schema": schema}]})
    return [str(problem) for problem in check(settings, base)]


@pytest.mark.parametrize("schema", [None, "tiki"])
def test_where_every_body_fits_none_is_looked_at(schema, tmp_path):
    assert misfit_of(source(schema), tmp_path) is None


def test_a_known_envelope_goes_by_its_name(tmp_path):
    misfit = misfit_of(source("phlix"), tmp_path)
    assert misfit is not None
    assert misfit({"event_type": "a", "payload": [], "occurred_at": "2025-06-01T18:30:00+00:00"}) is None
    assert misfit({}) == '$: "event_type" is a required property'


def test_a_file_is_looked_for_beside_the_configuration(tmp_path):
    (tmp_path / "order.json").write_text('{"type": "array"}')
    misfit = misfit_of(source("order.json"), tmp_path)
    assert misfit is not None
    assert misfit({}) == '$: an object with 0 keys is not of type "array"'
    assert problems("order.json", tmp_path) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "bad.json: no JSON: "),
        (b"\xff", "bad.json: no JSON: "),
        (b"5", "bad.json: no JSON Schema: $: 5 is not"),
        (b'{"type":"obj"}', 'bad.json: no JSON Schema: $.type: "obj" is not'),
        (b'{"$ref":"https://example.net/x"}', "Retrieval is disabled"),
        (b"[" * 5000 + b"]" * 5000, "bad.json: no JSON"),
        (b" " * (LARGEST + 1), f"bad.json: over {LARGEST} bytes"),
    ],
)
def test_a_file_that_is_no_schema_is_a_problem_with_its_place(content, message, tmp_path):
    (tmp_path / "bad.json").write_bytes(content)
    [problem] = problems("bad.json", tmp_path)
    assert problem.startswith("sources[0].schema: ")
    assert message in problem


def test_a_missing_file_is_a_problem_and_a_misspelt_name_is_recognised(tmp_path):
    assert problems("order.json", tmp_path) == [f"sources[0].schema: {tmp_path}/order.json: no such file"]
    [problem] = problems("plixx", tmp_path)
    assert problem.endswith("no such file; did you mean phlix?")
    [problem] = problems(".", tmp_path)
    assert problem.endswith("cannot be read: Is a directory")


def test_the_setting_has_its_name_in_the_schema_of_the_configuration():
    properties = Settings.model_json_schema()["$defs"]["Source"]["properties"]
    assert "schema" in properties
    assert "schema_" not in json.dumps(properties)
