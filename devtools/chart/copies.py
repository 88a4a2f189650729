"""Files that the Helm chart carries as copies: Helm packages nothing from outside its folder."""

from pathlib import Path

from devtools.project import ROOT

FILES = "deploy/helm/amqp-bridge/files"
SOURCES = {"rules": "deploy/prometheus/rules/*.yml", "dashboards": "deploy/grafana/dashboards/*.json"}


def copied() -> dict[str, Path]:
    """The original of each copy, by the copy's path."""
    return {
        f"{FILES}/{folder}/{path.name}": path
        for folder, pattern in SOURCES.items()
        for path in sorted(ROOT.glob(pattern))
    }


def text_of(copy: str) -> str:
    """What the copy must hold."""
    return copied()[copy].read_text(encoding="utf-8")
