"""The schemas of what KEDA and the Prometheus operator define, made strict: an unknown field is an error, where a cluster drops it.

They stand in the projects' Go modules, which `go mod download` brings into Go's own cache, checked against Go's checksum database.
"""

import json
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

MODULES = {
    "github.com/kedacore/keda/v2@v2.21.0": "config/crd/bases/keda.sh_{}.yaml",
    "github.com/prometheus-operator/prometheus-operator@v0.85.0": "example/prometheus-operator-crd/monitoring.coreos.com_{}.yaml",
}
"""Each module with where its definitions lie."""
DEFINED = {
    "ScaledObject": ("github.com/kedacore/keda/v2@v2.21.0", "scaledobjects"),
    "TriggerAuthentication": ("github.com/kedacore/keda/v2@v2.21.0", "triggerauthentications"),
    "ServiceMonitor": ("github.com/prometheus-operator/prometheus-operator@v0.85.0", "servicemonitors"),
    "PrometheusRule": ("github.com/prometheus-operator/prometheus-operator@v0.85.0", "prometheusrules"),
}
DOWNLOAD_SECONDS = 300


class CannotDownload(Exception):
    """Why the definitions cannot be had here."""


def definition_file(kind: str) -> Path:
    """The file of the kind's CustomResourceDefinition; raises CannotDownload."""
    module, plural = DEFINED[kind]
    return _folder(module) / MODULES[module].format(plural)


def strict_schema(kind: str) -> dict[str, Any]:
    """A JSON Schema of the kind's objects; raises CannotDownload."""
    definition = yaml.safe_load(definition_file(kind).read_text(encoding="utf-8"))
    [version] = [each for each in definition["spec"]["versions"] if each["storage"]]
    schema = dict(strict(version["schema"]["openAPIV3Schema"]))
    # Kubernetes adds it to every kind; definitions leave it open.
    schema["properties"] = schema["properties"] | {"metadata": {"type": "object"}}
    return schema


def strict(schema: Any) -> Any:
    """The schema with additionalProperties false wherever properties are listed and others are not asked for."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    made = {key: strict(value) for key, value in schema.items()}
    if made.pop("x-kubernetes-int-or-string", False):
        made.pop("type", None)
    is_open = made.pop("x-kubernetes-preserve-unknown-fields", False)
    if isinstance(made.get("properties"), dict) and not is_open:
        made.setdefault("additionalProperties", False)
    return made


@cache
def _folder(module: str) -> Path:
    """Where Go keeps the module, downloaded if need be."""
    go = shutil.which("go")
    if go is None:
        raise CannotDownload("there is no Go, with whose modules the definitions come")
    try:
        done = subprocess.run(
            (go, "mod", "download", "-json", module),
            cwd="/",  # nobody's module
            capture_output=True,
            text=True,
            timeout=DOWNLOAD_SECONDS,
            check=False,
        )
        told: dict[str, str] = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise CannotDownload(f"go mod download {module}: {type(error).__name__}") from error
    if "Dir" not in told:
        raise CannotDownload(f"go mod download {module}: {told.get('Error', 'no reason given')}")
    return Path(told["Dir"])
