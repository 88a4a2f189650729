"""`./dev deploy-proof`: the chart and the base with a real API server, with Helm as users have it."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import yaml

from devtools.chart import crds
from devtools.chart.base import BASE
from devtools.chart.render import CHART, SHAPES, Document, render, values_of
from devtools.cluster.options import parser
from devtools.cluster.server import Cluster, cluster
from devtools.nodes.processes import poll
from devtools.project import ROOT, SetupError, say

RELEASE = "bridge"
PROFILE = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")}
DEFINITION_SECONDS = 60


@dataclass
class Verdict:
    """What was looked at, and what was wrong."""

    looked_at: int = 0
    faults: list[str] = field(default_factory=list)

    def check(self, what: str, fault: str = "") -> None:
        """Counts one thing; with a fault it failed."""
        self.looked_at += 1
        if fault:
            self.faults.append(f"{what}: {fault}")


def main(arguments: Sequence[str]) -> int:
    """The exit code."""
    options = parser().parse_args(arguments)
    if unknown := set(options.shape) - set(SHAPES):
        raise SetupError(f"there is no example {', '.join(unknown)}; there are {', '.join(SHAPES)}")
    verdict, started = Verdict(), time.monotonic()
    with cluster() as server:
        say("cluster", "kube-apiserver is ready")
        _define(server)
        _look_for_faults(server, verdict)
        for shape in options.shape or SHAPES:
            _prove_shape(server, shape, verdict)
        _prove_base(server, verdict)
    for fault in verdict.faults:
        say("FAILED", fault)
    say(
        "proof",
        f"{verdict.looked_at} checks, {len(verdict.faults)} failed, {time.monotonic() - started:.0f} s",
    )
    return 1 if verdict.faults else 0


def _define(server: Cluster) -> None:
    """The kinds of KEDA and the Prometheus operator are known."""
    for kind in crds.DEFINED:
        definition = yaml.safe_load(crds.definition_file(kind).read_text(encoding="utf-8"))
        if refusal := server.apply(definition).refusal:
            raise SetupError(f"the definition of {kind} is refused: {refusal}")
        if not poll(partial(server.serves, *_kind_of(definition)), DEFINITION_SECONDS):
            raise SetupError(f"the definition of {kind} is not served")


def _kind_of(definition: Mapping[str, Any]) -> tuple[str, str]:
    """The apiVersion and kind of the objects that it defines."""
    spec = definition["spec"]
    [version] = [each["name"] for each in spec["versions"] if each["storage"]]
    return f"{spec['group']}/{version}", spec["names"]["kind"]


def _namespace(server: Cluster, name: str) -> None:
    labelled = {"name": name, "labels": PROFILE}
    if refusal := server.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": labelled}).refusal:
        raise SetupError(f"the namespace {name} is refused: {refusal}")


def _look_for_faults(server: Cluster, verdict: Verdict) -> None:
    """The server must find what is wrong, or all that follows says nothing."""
    _namespace(server, "faults")
    [deployment] = [
        each for each in render(values_of("sqlite"), namespace="faults") if each["kind"] == "Deployment"
    ]
    misspelt, greedy = deepcopy(deployment), deepcopy(deployment)
    misspelt["spec"]["strateg"] = {}
    greedy["spec"]["template"]["spec"]["containers"][0]["securityContext"].pop("capabilities")
    refusal = server.apply(misspelt, "faults", dry_run=True).refusal
    verdict.check("a misspelt field", "" if "strateg" in refusal else "the server takes it")
    warnings = server.apply(greedy, "faults", dry_run=True).warnings
    verdict.check(
        "a pod that keeps its capabilities",
        "" if "PodSecurity" in " ".join(warnings) else "the server does not warn",
    )


def _prove_shape(server: Cluster, shape: str, verdict: Verdict) -> None:
    say("shape", shape)
    _namespace(server, shape)
    values = values_of(shape)
    for document in render(values, name=RELEASE, namespace=shape):
        _dry_run(server, document, shape, verdict)
    for step, fault in _lifecycle(server, shape, values):
        verdict.check(f"{shape}: helm {step}", fault)


def _dry_run(server: Cluster, document: Document, namespace: str, verdict: Verdict) -> None:
    answer = server.apply(document, namespace, dry_run=True)
    what = f"{namespace}: {document['kind']} {document['metadata']['name']}"
    verdict.check(what, answer.refusal or "; ".join(answer.warnings))


def _lifecycle(server: Cluster, namespace: str, values: Document) -> Iterator[tuple[str, str]]:
    """Each step of a release's life with what was wrong."""
    import helm_python

    changed = deepcopy(values) | {"podAnnotations": {"example.net/turn": "second"}}
    rendered = render(values, name=RELEASE, namespace=namespace)
    [deployment] = [each for each in rendered if each["kind"] == "Deployment"]

    def turn() -> str:
        template = server.get(deployment, namespace).body["spec"]["template"]
        return str(template["metadata"]["annotations"].get("example.net/turn", "first"))

    def fault_of(step: Callable[[], object], wanted: str) -> str:
        try:
            step()
        except helm_python.HelmError as error:
            return str(error)
        return "" if turn() == wanted else f"the Deployment is of the {turn()} turn, not of the {wanted}"

    content = server.kubeconfig(namespace)
    with helm_python.Config(kubeconfig_content=content, namespace=namespace) as config:
        yield (
            "install",
            fault_of(lambda: config.install(CHART, RELEASE, values, namespace=namespace), "first"),
        )
        yield (
            "upgrade",
            fault_of(lambda: config.upgrade(CHART, RELEASE, changed, namespace=namespace), "second"),
        )
        yield "rollback", fault_of(lambda: config.rollback(RELEASE, version=1), "first")
        yield "history", _fault_of_history(config.history(RELEASE))
        config.uninstall(RELEASE)
        yield "uninstall", _left_behind(server, rendered, namespace)


def _fault_of_history(revisions: Sequence[Mapping[str, Any]]) -> str:
    states = [str(each.get("status", "")) for each in revisions]
    return "" if states == ["superseded", "superseded", "deployed"] else f"the revisions are {states}"


def _left_behind(server: Cluster, documents: Sequence[Document], namespace: str) -> str:
    """Objects that are there after all was uninstalled; a claim with the history stays, and only it may.

    Without controllers nothing collects a claim or a pod that is marked as deleted.
    """
    left = [each for each in documents if _is_there(server, each, namespace)]
    kept = [
        each for each in documents if each["metadata"].get("annotations", {}).get("helm.sh/resource-policy")
    ]
    if gone := [each for each in kept if each not in left]:
        return f"{gone[0]['kind']} is gone"
    names = [each["kind"] for each in left if each not in kept]
    return f"left behind: {', '.join(names)}" if names else ""


def _is_there(server: Cluster, document: Document, namespace: str) -> bool:
    found = server.get(document, namespace)
    return found.status == 200 and "deletionTimestamp" not in found.body["metadata"]


def _prove_base(server: Cluster, verdict: Verdict) -> None:
    say("base", BASE)
    _namespace(server, "base")
    kustomization = yaml.safe_load((ROOT / BASE / "kustomization.yaml").read_text(encoding="utf-8"))
    for name in kustomization["resources"]:
        _dry_run(server, yaml.safe_load((ROOT / BASE / name).read_text(encoding="utf-8")), "base", verdict)
