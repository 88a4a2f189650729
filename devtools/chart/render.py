"""The Helm chart rendered by Helm itself, as a library: there is no program to install."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from devtools.project import ROOT

CHART = ROOT / "deploy" / "helm" / "amqp-bridge"
SHAPES = {path.stem.removesuffix("-values"): path for path in sorted((CHART / "ci").glob("*-values.yaml"))}
"""Files of values for real installations, by name."""
Document = dict[str, Any]


class Refused(Exception):
    """The chart does not take the values; the message says why."""


def values_of(shape: str) -> Document:
    """The values of one of SHAPES."""
    return dict(yaml.safe_load(SHAPES[shape].read_text(encoding="utf-8")))


def render(
    values: Mapping[str, Any], *, name: str = "bridge", namespace: str = "events", chart: Path = CHART
) -> list[Document]:
    """The objects that Helm would apply, hooks and all; raises Refused. Without Helm (not on Linux) it raises ImportError."""
    import helm_python

    with helm_python.Chart.load(chart) as loaded:
        try:
            files = loaded.render(dict(values), name=name, namespace=namespace)
        except helm_python.HelmError as error:
            raise Refused(str(error)) from None
    return [document for path in sorted(files) for document in _documents(path, files[path])]


def notes(values: Mapping[str, Any]) -> str:
    """What Helm tells after an installation."""
    import helm_python

    with helm_python.Chart.load(CHART) as loaded:
        files = loaded.render(dict(values), name="bridge", namespace="events")
    return next(text for path, text in files.items() if path.endswith("NOTES.txt"))


def _documents(path: str, text: str) -> Iterator[Document]:
    if path.endswith(".yaml"):
        yield from filter(None, yaml.safe_load_all(text))
