"""JSON Schemas as people read them: tables of members, types in words, and a sample of each."""

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

Schema = Mapping[str, Any]

_DEEPEST = 5
_BOUNDS = (
    ("minimum", "from {}"),
    ("exclusiveMinimum", "more than {}"),
    ("maximum", "up to {}"),
    ("exclusiveMaximum", "less than {}"),
    ("minLength", "at least {} characters"),
    ("maxLength", "at most {} characters"),
    ("minItems", "at least {} items"),
    ("maxItems", "at most {} items"),
    ("default", "default {}"),
)
_SAMPLES = {
    "uuid": "01987a5c-0f3e-7c52-b3a1-5d2f8e6a9b04",
    "date-time": "2025-05-05T07:08:09Z",
    "integer": 1,
    "number": 1.5,
    "boolean": True,
    "null": None,
}


class Shapes:
    """Schemas that refer to each other by name."""

    def __init__(self, schemas: Mapping[str, Schema]) -> None:
        self._schemas = schemas

    def all(self) -> Iterator[str]:
        """Every one, as an article."""
        for name, schema in self._schemas.items():
            yield f'<article id="schema-{escape(name)}"><h3>{escape(_title(name))}</h3>'
            yield f"<p>{escape(schema.get('description', ''))}</p>"
            yield from self._members(schema)
            yield "</article>"

    def inline(self, schema: Schema) -> str:
        """The type in words, with links."""
        if "$ref" in schema:
            name = _referred(schema)
            return f'<a href="#schema-{escape(name)}">{escape(_title(name))}</a>'
        for choice in ("anyOf", "oneOf", "allOf"):
            if choice in schema:
                return " or ".join(dict.fromkeys(self.inline(each) for each in schema[choice]))
        if "enum" in schema:
            return ", ".join(f"<code>{escape(str(each))}</code>" for each in schema["enum"])
        if "const" in schema:
            return f"<code>{escape(str(schema['const']))}</code>"
        return self._plain(schema) + _bounds(schema)

    def sample(self, schema: Schema, depth: int = 0) -> Any:
        """A value as it may look."""
        if "$ref" in schema:
            return self.sample(self._schemas[_referred(schema)], depth) if depth < _DEEPEST else {}
        for given in ("example", "const", "default"):
            if given in schema:
                return schema[given]
        for several in ("examples", "enum"):
            if schema.get(several):
                return schema[several][0]
        for choice in ("anyOf", "oneOf", "allOf"):
            if choice in schema:
                return self.sample(schema[choice][0], depth)
        return self._sample_of_type(schema, depth + 1)

    def _sample_of_type(self, schema: Schema, depth: int) -> Any:
        kind = schema.get("type")
        if kind == "object":
            required = schema.get("required", schema.get("properties", {}))
            return {
                name: self.sample(member, depth)
                for name, member in schema.get("properties", {}).items()
                if name in required
            }
        if kind == "array":
            return [self.sample(schema.get("items", {}), depth)]
        if schema.get("pattern", "").startswith("^[0-9]{4}-"):
            return _SAMPLES["date-time"]
        return _SAMPLES.get(schema.get("format", ""), _SAMPLES.get(str(kind), "..." if kind else {}))

    def _plain(self, schema: Schema) -> str:
        kind = schema.get("type", "any value")
        if kind == "array":
            return f"list of {self.inline(schema.get('items', {}))}"
        if kind == "object" and isinstance(schema.get("additionalProperties"), Mapping):
            return f"object of {self.inline(schema['additionalProperties'])}"
        text = " or ".join(kind) if isinstance(kind, list) else str(kind)
        return escape(f"{text} ({schema['format']})" if "format" in schema else text)

    def _members(self, schema: Schema) -> Iterator[str]:
        if not schema.get("properties"):
            yield f"<p>{self.inline(schema)}</p>"
            return
        yield "<table>"
        for name, member in schema["properties"].items():
            need = " <em>required</em>" if name in schema.get("required", ()) else ""
            yield f"<tr><td><code>{escape(name)}</code>{need}</td><td>{self.inline(member)}</td>"
            yield f"<td>{escape(member.get('description', ''))}</td></tr>"
        yield "</table>"


def _bounds(schema: Schema) -> str:
    told = [
        words.format(escape(str(schema[key])))
        for key, words in _BOUNDS
        if key in schema and schema[key] not in (None, "", [], {})
    ]
    if "pattern" in schema:
        told.append(f"as <code>{escape(schema['pattern'])}</code>")
    return f" <small>{', '.join(told)}</small>" if told else ""


def _referred(schema: Schema) -> str:
    return str(schema["$ref"]).rpartition("/")[2]


def _title(name: str) -> str:
    """As people say it: a page of deliveries for `PageDocument_DeliveryInList_`."""
    return name.replace("PageDocument_", "Page of ").rstrip("_").replace("Document", "")
