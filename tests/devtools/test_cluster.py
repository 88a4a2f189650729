"""What of a cluster's making needs no cluster; `./dev deploy-proof` is the rest."""

import yaml

from devtools.chart import crds
from devtools.cluster.program import STAGED, VERSION, _module
from devtools.cluster.proof import Verdict, _fault_of_history

OF_KUBERNETES = """\
module k8s.io/kubernetes

go 1.26.0

require (
	k8s.io/klog/v2 v2.140.0
	k8s.io/api v0.0.0
	k8s.io/apiserver v0.0.0
	k8s.io/utils v0.0.0-20260108192941-914a6e750570
)
"""


def test_only_the_parts_that_kubernetes_publishes_with_itself_get_its_version():
    made = _module(OF_KUBERNETES)
    assert made.count("replace ") == 2
    assert f"replace k8s.io/api => k8s.io/api {STAGED}" in made
    assert f"require k8s.io/kubernetes v{VERSION}" in made
    assert "\ngo 1.26.0\n" in made


def test_a_definition_made_strict_refuses_what_a_cluster_drops():
    loose = yaml.safe_load(
        "{type: object, properties: {a: {type: object, properties: {b: {type: string}}}, "
        "c: {x-kubernetes-preserve-unknown-fields: true, type: object, properties: {}}, "
        "d: {x-kubernetes-int-or-string: true, anyOf: [{type: integer}, {type: string}]}}}"
    )
    made = crds.strict(loose)
    assert made["additionalProperties"] is False
    assert made["properties"]["a"]["additionalProperties"] is False
    assert "additionalProperties" not in made["properties"]["c"]
    assert made["properties"]["d"] == {"anyOf": [{"type": "integer"}, {"type": "string"}]}


def test_one_fault_fails_the_proof():
    verdict = Verdict()
    verdict.check("a")
    assert verdict.faults == []
    verdict.check("b", "is wrong")
    assert (verdict.looked_at, verdict.faults) == (2, ["b: is wrong"])


def test_a_history_of_releases_in_another_state_is_a_fault():
    assert (
        _fault_of_history([{"status": "superseded"}, {"status": "superseded"}, {"status": "deployed"}]) == ""
    )
    assert "failed" in _fault_of_history([{"status": "superseded"}, {"status": "failed"}])
