"""The Kustomize base, rendered from the Helm chart: one file for each object, and bridge.yaml as a file that a ConfigMap is made from."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import yaml

from devtools.chart.render import render
from devtools.project import ROOT

BASE = "deploy/kustomize/base"
VALUES = ROOT / "deploy" / "kustomize" / "values.yaml"
KINDS = ("Deployment", "NetworkPolicy", "PodDisruptionBudget", "Service", "ServiceAccount")
NAME = "amqp-bridge"
MADE = "# Made from the Helm chart by `./dev generate`; do not edit. An overlay patches it.\n"
OF_HELM = ("helm.sh/chart", "app.kubernetes.io/managed-by")


def files() -> list[str]:
    """The paths of all files of the base."""
    names = ["kustomization.yaml", "bridge.yaml", *(f"{kind.lower()}.yaml" for kind in KINDS)]
    return [f"{BASE}/{name}" for name in names]


def text_of(path: str) -> str:
    """What the file must hold; what it holds now, where Helm cannot be had (it is there on Linux)."""
    try:
        return MADE + _texts()[path]
    except ImportError:
        return (ROOT / path).read_text(encoding="utf-8")


@cache
def _texts() -> dict[str, str]:
    values = yaml.safe_load(VALUES.read_text(encoding="utf-8"))
    objects = {each["kind"]: _plain(each) for each in render(values, name=NAME, namespace="")}
    settings = objects.pop("ConfigMap")["data"]["bridge.yaml"]
    if set(objects) != set(KINDS):
        raise ValueError(f"the base has {sorted(objects)}: name them in devtools/chart/base.py")
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [f"{kind.lower()}.yaml" for kind in KINDS],
        # A name with a hash: changed settings make new pods.
        "configMapGenerator": [{"name": NAME, "files": ["bridge.yaml"]}],
    }
    texts = {f"{BASE}/{kind.lower()}.yaml": _yaml(document) for kind, document in objects.items()}
    return texts | {f"{BASE}/kustomization.yaml": _yaml(kustomization), f"{BASE}/bridge.yaml": settings}


def _plain(document: Mapping[str, Any]) -> dict[str, Any]:
    """The object without what only Helm needs: its labels, the namespace, and the checksum of the ConfigMap."""
    plain = dict(document)
    plain["metadata"] = {key: value for key, value in document["metadata"].items() if key != "namespace"}
    _drop_labels(plain["metadata"])
    template = document.get("spec", {}).get("template")
    if template:
        _drop_labels(template["metadata"])
        template["metadata"]["annotations"].pop("checksum/config")
    return plain


def _drop_labels(metadata: dict[str, Any]) -> None:
    for name in OF_HELM:
        metadata["labels"].pop(name, None)


def _yaml(document: Mapping[str, Any]) -> str:
    return yaml.safe_dump(document, sort_keys=False, width=120)
