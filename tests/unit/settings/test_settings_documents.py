"""Every setting is described, and the schemas agree with what is loaded."""

import json
from collections.abc import Iterator

import pytest
from pydantic import BaseModel

from bridge.core.hook import Hook
from bridge.settings.shape import Choice, DictOf, ListOf, fields_of, is_model, shape_of_field
from bridge.settings.tree import Settings
from devtools.settings_docs import DIALECT, config_schema_text, hook_schema_text, settings_text


def fields(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, str | None]]:
    """Every field below a model with its description."""
    for name, field in fields_of(model).items():
        yield f"{path}{name}", field.description
        shape = shape_of_field(field)
        while isinstance(shape, ListOf | DictOf):
            shape = shape.item
        for inner in shape.models.values() if isinstance(shape, Choice) else [shape]:
            if is_model(inner):
                yield from fields(inner, f"{path}{name}.")


def test_every_setting_is_described_in_a_sentence():
    assert [path for path, text in fields(Settings) if not text or text[-1] not in ".)"] == []


def test_every_single_setting_stands_in_the_table_with_its_variable():
    text = settings_text()
    for section, field in Settings.model_fields.items():
        shape = shape_of_field(field)
        if is_model(shape):
            for name, inner in shape.model_fields.items():
                if not is_model(shape_of_field(inner)):
                    assert f"| `{section}.{name}` |" in text
                    assert f"`BRIDGE_{section.upper()}__{name.upper()}` |" in text


@pytest.mark.parametrize("text", [config_schema_text(), hook_schema_text()])
def test_a_schema_is_of_the_2020_dialect_and_closed(text: str):
    schema = json.loads(text)
    assert schema["$schema"] == DIALECT
    assert schema["additionalProperties"] is False
    assert all(
        part["additionalProperties"] is False for part in schema["$defs"].values() if part["type"] == "object"
    )


def test_the_schema_of_a_hook_tells_its_target_by_type():
    schema = json.loads(hook_schema_text())
    assert schema["required"] == ["name", "target"]
    target = schema["properties"]["target"]
    assert set(target["discriminator"]["mapping"]) == {"webhook", "script", "queue", "notify"}


def test_the_schema_of_a_hook_has_every_key_of_the_model():
    assert set(json.loads(hook_schema_text())["properties"]) == set(Hook.model_fields)


def test_the_schema_shows_no_password():
    assert "guest:guest" not in config_schema_text()


def test_a_variable_may_stand_for_a_number_in_the_file_but_not_in_a_hook_of_the_api():
    in_file, of_hook = json.loads(config_schema_text()), json.loads(hook_schema_text())
    assert in_file["$defs"]["Hook"]["properties"]["concurrency"]["type"] == ["integer", "string"]
    assert of_hook["properties"]["concurrency"]["type"] == "integer"
