"""/docs: the description of the API as one page that needs nothing but itself."""

import json
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any

# JSON Schemas as people read them: tables of members, types in words, and a sample of each.


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


_METHODS = ("get", "post", "put", "patch", "delete")

Parts = Iterator[str]


class DocsPage:
    """The page for a description: all of it is there at once, and nothing on it moves."""

    def __init__(self, description: Mapping[str, Any]) -> None:
        """`description` is an OpenAPI document of ours."""
        self._description = description
        self._shapes = Shapes(description["components"]["schemas"])
        self._style = Path(__file__).with_name("docs.css").read_text(encoding="utf-8")

    def html(self) -> str:
        """The page."""
        return "".join(self._page())

    def _page(self) -> Parts:
        info = self._description["info"]
        yield '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        yield '<meta name="viewport" content="width=device-width,initial-scale=1">'
        yield f"<title>{escape(info['title'])} API</title><style>{self._style}</style></head><body>"
        yield from self._contents()
        yield f"<main><h1>{escape(info['title'])} API</h1><p>{escape(info['summary'])}. "
        yield '<a href="openapi.json">openapi.json</a></p>'
        yield f"<div class=about>{_prose(info['description'])}</div>"
        for tag in self._description["tags"]:
            yield f'<section id="{escape(tag["name"])}"><h2>{escape(tag["name"])}</h2>'
            yield f"<p>{escape(tag.get('description', ''))}</p>"
            for method, path, operation in self._operations(tag["name"]):
                yield from self._operation(method, path, operation)
            yield "</section>"
        yield '<section id="schemas"><h2>schemas</h2>'
        yield from self._shapes.all()
        yield "</section></main></body></html>\n"

    def _contents(self) -> Parts:
        yield "<nav><ul>"
        for tag in self._description["tags"]:
            yield f'<li><a href="#{escape(tag["name"])}">{escape(tag["name"])}</a><ul>'
            for method, path, operation in self._operations(tag["name"]):
                yield f'<li><a href="#{escape(operation["operationId"])}"><b class="{method}">{method.upper()}</b> '
                yield f"{escape(path.removeprefix('/api'))}</a></li>"
            yield "</ul></li>"
        yield '<li><a href="#schemas">schemas</a></li></ul></nav>'

    def _operations(self, tag: str) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
        for path, methods in self._description["paths"].items():
            for method in _METHODS:
                if method in methods and tag in methods[method]["tags"]:
                    yield method, path, methods[method]

    def _operation(self, method: str, path: str, operation: Mapping[str, Any]) -> Parts:
        name = escape(operation["operationId"])
        yield f'<article id="{name}"><h3><b class="{method}">{method.upper()}</b> <code>{escape(path)}</code></h3>'
        yield f"<p><strong>{escape(operation['summary'])}</strong> <small>{name}</small></p>"
        yield _prose(operation.get("description", ""))
        yield from self._parameters(operation)
        yield from self._body(operation)
        yield from self._answers(operation)
        yield f"<pre>{escape(_curl(method, path, operation, self._example(operation)))}</pre></article>"

    def _parameters(self, operation: Mapping[str, Any]) -> Parts:
        if not operation.get("parameters"):
            return
        yield "<h4>Parameters</h4><table>"
        for parameter in operation["parameters"]:
            need = " <em>required</em>" if parameter.get("required") else ""
            yield f"<tr><td><code>{escape(parameter['name'])}</code>{need}</td><td>{parameter['in']}</td>"
            yield f"<td>{self._shapes.inline(parameter['schema'])}</td>"
            yield f"<td>{_marked(parameter.get('description', ''))}</td></tr>"
        yield "</table>"

    def _body(self, operation: Mapping[str, Any]) -> Parts:
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if content is None:
            return
        need = "" if operation["requestBody"]["required"] else ", which may be missing"
        yield f"<h4>Body</h4><p>{self._shapes.inline(content['schema'])}{need}</p>"

    def _answers(self, operation: Mapping[str, Any]) -> Parts:
        yield "<h4>Answers</h4><table>"
        for status, answer in operation["responses"].items():
            told = self._described(answer)
            schema = next((each.get("schema") for each in told.get("content", {}).values()), None)
            shape = self._shapes.inline(schema) if schema else "".join(told.get("content", {}))
            yield f"<tr><td>{status}</td><td>{_marked(told['description'])}</td><td>{shape}</td></tr>"
        yield "</table>"
        content = self._described(operation["responses"].get("200", {})).get("content", {})
        if schema := content.get("application/json", {}).get("schema"):
            sample = json.dumps(self._shapes.sample(schema), indent=2, ensure_ascii=False)
            yield f"<details><summary>Example</summary><pre>{escape(sample)}</pre></details>"

    def _described(self, answer: Mapping[str, Any]) -> Mapping[str, Any]:
        if "$ref" in answer:
            found: Mapping[str, Any] = self._description["components"]["responses"][
                answer["$ref"].rpartition("/")[2]
            ]
            return found
        return answer

    def _example(self, operation: Mapping[str, Any]) -> Any:
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if content is None:
            return None
        return content["example"] if "example" in content else self._shapes.sample(content["schema"])


def _curl(method: str, path: str, operation: Mapping[str, Any], example: Any) -> str:
    """The command line that asks for it."""
    words = ["curl"]
    if operation.get("security") is None:
        words.append('-H "Authorization: Bearer $BRIDGE_TOKEN"')
    if method != ("get" if example is None else "post"):
        words.append(f"-X {method.upper()}")
    words.append(f"http://127.0.0.1:8080{path}")
    if example is not None:
        text = json.dumps(example, ensure_ascii=False).replace("'", "'\\''")
        words.append(f"\\\n  -d '{text}'")
    return " ".join(words)


def _prose(text: str) -> str:
    """Paragraphs, with `code` marked."""
    return "".join(f"<p>{_marked(part)}</p>" for part in text.split("\n\n") if part.strip())


def _marked(text: str) -> str:
    plain, *rest = text.split("`")
    # Every second piece stood between two marks.
    pieces = [
        f"<code>{escape(each)}</code>" if place % 2 == 0 else escape(each) for place, each in enumerate(rest)
    ]
    return escape(plain) + "".join(pieces)
