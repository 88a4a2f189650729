"""README.md of the Helm chart: every value with its default and the comment above it in values.yaml."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from devtools.project import ROOT

CHART = ROOT / "deploy" / "helm" / "amqp-bridge"
INTRODUCTION = """\
# Helm chart amqp-bridge

Made from values.yaml by `./dev generate`; do not edit. How to install, upgrade and scale: [docs/deploy.md](../../../docs/deploy.md#kubernetes).

```sh
helm install bridge deploy/helm/amqp-bridge -f values.yaml
```

Whole examples are in [ci](ci). Unknown keys are refused, but in `extra...`; values that do not go together are refused by a sentence that
says what to do.

| value | default | meaning |
|---|---|---|
"""


@dataclass(frozen=True)
class Row:
    """A value: where it stands, its default, and what its comment says."""

    path: str
    default: Any
    meaning: str

    def __str__(self) -> str:
        default = (
            json.dumps(self.default, ensure_ascii=False)
            if not isinstance(self.default, str)
            else self.default
        )
        shown = f"`{default}`" if default else '`""`'
        return f"| `{self.path}` | {shown} | {self.meaning} |".replace("|` ", "\\|` ")


def readme_text() -> str:
    """The whole page."""
    return INTRODUCTION + "\n".join(map(str, rows())) + "\n"


def rows() -> Iterator[Row]:
    """Every value that is no mapping with keys of its own, and every mapping that has a comment."""
    text = (CHART / "values.yaml").read_text(encoding="utf-8")
    node = yaml.compose(text, yaml.SafeLoader)
    yield from _rows(node, yaml.safe_load(text), text.splitlines(), "")


def _rows(node: Any, values: dict[str, Any], lines: list[str], path: str) -> Iterator[Row]:
    for key, value in node.value:
        name, place = key.value, f"{path}{key.value}"
        meaning = _comment(lines, key.start_mark.line)
        is_block = isinstance(value, yaml.MappingNode) and not value.flow_style
        if meaning or not is_block:
            yield Row(place, {} if is_block else values[name], meaning)
        if is_block:
            yield from _rows(value, values[name], lines, f"{place}.")


def _comment(lines: list[str], line: int) -> str:
    """The comment right above the line."""
    found: list[str] = []
    while line and lines[line - 1].lstrip().startswith("#"):
        line -= 1
        found.insert(0, lines[line].lstrip("# "))
    return " ".join(found)
