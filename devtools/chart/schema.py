"""values.schema.json of the Helm chart: what devtools/chart/values.schema.yaml says, and the schema of bridge.yaml under `config`."""

import json
from pathlib import Path
from typing import Any

import yaml

from devtools.settings_docs import config_schema_text

DIALECT = "https://json-schema.org/draft/2020-12/schema"
OWN = Path(__file__).with_name("values.schema.yaml")
OF_THE_CHART = {"Http": ("listen", "admin_listen"), "Storage": ("url",)}
"""Settings that the chart writes itself, by their section."""
VARIABLE = r"\$\{[A-Za-z_][A-Za-z0-9_]*\}"
WITHOUT_PASSWORD = r"^([^@]*|[a-z]+://([^:@/]*|[^@/]*\$\{[A-Za-z_][A-Za-z0-9_]*\}[^@/]*)@[^@]*)$"
"""A URL whose password, if there is one, is a variable."""


def values_schema_text() -> str:
    """The whole schema. An object without a type is one: that is said in one place, here."""
    own = _typed(yaml.safe_load(OWN.read_text(encoding="utf-8")))
    bridge = _stripped(json.loads(config_schema_text()))
    for section, names in OF_THE_CHART.items():
        for name in names:
            del bridge["$defs"][section]["properties"][name]
    for section, name in (("Broker", "url"), ("Broker", "management_url"), ("OtherBroker", "url")):
        _forbid_passwords(bridge["$defs"][section]["properties"][name])
    own["properties"]["config"] = {key: bridge[key] for key in ("type", "properties", "additionalProperties")}
    own["$defs"] |= bridge["$defs"]
    whole = {"$schema": DIALECT, "title": "Values of the chart amqp-bridge", **own}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def _typed(schema: Any) -> Any:
    """The schema with `type: object` wherever properties are listed."""
    if isinstance(schema, list):
        return [_typed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    typed = {key: _typed(value) for key, value in schema.items()}
    return {"type": "object"} | typed if isinstance(schema.get("additionalProperties"), bool) else typed


def _stripped(schema: Any) -> Any:
    """The schema without its texts, and with secrets only as variables: plain ones would stand in a release's values."""
    if isinstance(schema, list):
        return [_stripped(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: _stripped(value) for key, value in schema.items() if not _is_text(key, value)}
    if kept.get("writeOnly") is True:
        kept |= _matching(VARIABLE)
    return kept


def _is_text(key: str, value: Any) -> bool:
    return key in {"title", "description"} and isinstance(value, str)


def _forbid_passwords(url: dict[str, Any]) -> None:
    for choice in url["anyOf"]:
        if choice["type"] == "string":
            choice.update(_matching(WITHOUT_PASSWORD))
        elif choice["type"] == "array":
            choice["items"].update(_matching(WITHOUT_PASSWORD))


def _matching(pattern: str) -> dict[str, Any]:
    """What a text must match, said so that Helm does not print the text where it does not."""
    return {"not": {"not": {"pattern": pattern}}}
