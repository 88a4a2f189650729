"""What the Helm chart promises to those who run it."""

import ipaddress
import re
import stat

import pytest
import yaml

from devtools.chart.copies import FILES, copied
from devtools.chart.render import SHAPES, Document, render, values_of
from devtools.project import ROOT
from tests.support.chart import all_shapes, bridge_of, kinds, of_kind, pod_of, settings_of, strings_of

pytest.importorskip("helm_python", reason="Helm as a library is there on Linux only")
METADATA_SERVICES = ("169.254.169.254", "169.254.170.2", "100.100.100.200", "192.0.0.192", "fd00:ec2::254")
SCHEMED = re.compile(r"[a-z]+://[^/\s:@]*:([^@\s/]+)@")


@pytest.fixture(scope="module")
def rendered() -> dict[str, list[Document]]:
    return all_shapes()


def every_pod(documents: list[Document]) -> list[Document]:
    return [pod_of(documents), *(each["spec"] for each in documents if each["kind"] == "Pod")]


@pytest.mark.parametrize("shape", SHAPES)
def test_pods_need_no_right_that_the_restricted_profile_refuses(
    rendered: dict[str, list[Document]], shape: str
):
    for pod in every_pod(rendered[shape]):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }


@pytest.mark.parametrize("shape", SHAPES)
def test_an_outage_restarts_nothing_and_a_start_has_the_time_that_it_waits(
    rendered: dict[str, list[Document]], shape: str
):
    bridge = bridge_of(rendered[shape])
    assert bridge["livenessProbe"]["httpGet"] == {"path": "/health/live", "port": "http"}
    assert bridge["readinessProbe"]["httpGet"] == {"path": "/health/ready", "port": "http"}
    assert "--wait=5m" in bridge["args"]
    startup = bridge["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] == 300 + 120


@pytest.mark.parametrize(
    ("drain", "grace"), [(None, 45), ("40s", 60), ("1m30s", 110), (7.5, 28), ("500ms", 21)]
)
def test_a_pod_is_not_killed_before_its_drain_is_over(drain: object, grace: int):
    values = values_of("sqlite")
    values["config"]["limits"] = {} if drain is None else {"drain": drain}
    pod = pod_of(render(values))
    assert pod["terminationGracePeriodSeconds"] == grace
    assert "lifecycle" not in pod["containers"][0]


def test_releases_of_one_namespace_select_only_their_own_pods():
    one, other = (render(values_of("postgresql"), name=name) for name in ("one", "other"))
    names = [{(each["kind"], each["metadata"]["name"]) for each in documents} for documents in (one, other)]
    assert not names[0] & names[1]
    for kind in ("Deployment", "PodDisruptionBudget"):
        labels = of_kind(other, "Deployment")["spec"]["template"]["metadata"]["labels"]
        selector = of_kind(one, kind)["spec"]["selector"]["matchLabels"]
        assert not selector.items() <= labels.items()
    assert not of_kind(one, "Service")["spec"]["selector"].items() <= labels.items()


def test_the_pod_of_helm_test_gets_no_traffic():
    documents = render(values_of("postgresql"))
    labels = of_kind(documents, "Pod")["metadata"]["labels"]
    assert not of_kind(documents, "Service")["spec"]["selector"].items() <= labels.items()
    assert of_kind(documents, "Pod")["spec"]["containers"][0]["args"] == [
        *("health", "--ready", "--wait=60s"),
        "--url=http://bridge-amqp-bridge:8080",
    ]


def checksum(values: Document) -> str:
    template = of_kind(render(values), "Deployment")["spec"]["template"]
    return str(template["metadata"]["annotations"]["checksum/config"])


def test_an_upgrade_that_changes_nothing_and_one_that_changes_hooks_restart_nothing():
    values = values_of("sqlite")
    before = of_kind(render(values), "Deployment")["spec"]["template"]
    values["config"]["hooks"].append({"name": "b", "target": {"type": "queue", "queue": "b"}})
    values["labels"] = {}
    assert of_kind(render(values), "Deployment")["spec"]["template"] == before
    assert yaml.safe_load(settings_of(render(values))["bridge.yaml"])["reload"] == "watch"


@pytest.mark.parametrize(
    "change",
    [
        {"sources": [{"name": "a", "queue": "a"}]},
        {"limits": {"body": "1MiB"}},
        {"reload": "signal", "hooks": [{"name": "a", "target": {"type": "queue", "queue": "a"}}]},
    ],
)
def test_settings_that_are_read_at_the_start_make_new_pods(change: Document):
    values = values_of("sqlite")
    before = checksum(values | {"config": values["config"] | {"reload": change.get("reload", "watch")}})
    assert checksum(values | {"config": values["config"] | change}) != before


def test_changed_files_make_new_pods_and_may_be_run():
    values = values_of("scripts")
    before = checksum(values)
    values["files"]["import.sh"] += "exit 1\n"
    assert checksum(values) != before
    [volume] = [each for each in pod_of(render(values))["volumes"] if each["name"] == "config"]
    assert volume["configMap"]["defaultMode"] & (stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH) == 0o111


def test_a_digest_is_pulled_whatever_the_tag_says():
    values = values_of("postgresql")
    values["image"]["tag"] = "1.2.3"
    assert bridge_of(render(values))["image"].endswith("amqp-bridge@" + values["image"]["digest"])


@pytest.mark.parametrize("shape", SHAPES)
def test_sqlite_has_one_pod_on_a_volume_and_postgresql_is_updated_pod_by_pod(
    rendered: dict[str, list[Document]], shape: str
):
    spec = of_kind(rendered[shape], "Deployment")["spec"]
    [state] = [each for each in pod_of(rendered[shape])["volumes"] if each["name"] == "state"]
    if "database" in values_of(shape):
        assert spec["strategy"] == {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
        }
        assert "persistentVolumeClaim" not in state
        assert "PersistentVolumeClaim" not in kinds(rendered[shape])
    else:
        assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
        assert state["persistentVolumeClaim"]


@pytest.mark.parametrize("shape", SHAPES)
def test_only_several_pods_have_a_disruption_budget_and_are_spread(
    rendered: dict[str, list[Document]], shape: str
):
    several = shape in {"postgresql", "keda", "inlets", "tls"}
    assert ("PodDisruptionBudget" in kinds(rendered[shape])) is several
    assert ("topologySpreadConstraints" in pod_of(rendered[shape])) is several


@pytest.mark.parametrize("shape", set(SHAPES) - {"openshift"})
def test_no_target_is_a_metadata_service(rendered: dict[str, list[Document]], shape: str):
    egress = of_kind(rendered[shape], "NetworkPolicy")["spec"]["egress"]
    for address in METADATA_SERVICES:
        assert not any(leads_to(rule, address, 80) for rule in egress), address
    if shape != "tls":
        assert any(leads_to(rule, "93.184.216.34", 443) for rule in egress)
        assert not any(leads_to(rule, "10.1.2.3", 443) for rule in egress)


def leads_to(rule: Document, address: str, port: int) -> bool:
    """Whether the rule lets TCP to this address and port out."""
    if "ports" in rule and port not in [each["port"] for each in rule["ports"]]:
        return False
    blocks = [peer["ipBlock"] for peer in rule.get("to", ()) if "ipBlock" in peer]
    return "to" not in rule or any(includes(block, ipaddress.ip_address(address)) for block in blocks)


def includes(block: Document, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    excepted = [ipaddress.ip_network(each) for each in block.get("except", ())]
    return address in ipaddress.ip_network(block["cidr"]) and not any(address in each for each in excepted)


def test_private_networks_that_the_settings_open_are_open_to_pods_too(rendered: dict[str, list[Document]]):
    egress = of_kind(rendered["tls"], "NetworkPolicy")["spec"]["egress"]
    assert any(leads_to(rule, "10.30.4.5", 443) for rule in egress)
    assert not any(leads_to(rule, "10.31.4.5", 443) for rule in egress)
    assert any(leads_to(rule, "10.20.0.9", 5432) for rule in egress)


def test_an_ingress_leads_to_inlets_alone(rendered: dict[str, list[Document]]):
    [rule] = of_kind(rendered["inlets"], "Ingress")["spec"]["rules"]
    assert [path["path"] for path in rule["http"]["paths"]] == [
        "/in/tiki",
        "/tiki-webhooks.php",
        "/graph/a-path-that-nobody-guesses",
    ]


@pytest.mark.parametrize("shape", SHAPES)
def test_manifests_have_no_secret(rendered: dict[str, list[Document]], shape: str):
    assert "Secret" not in kinds(rendered[shape])
    for text in strings_of(rendered[shape]):
        assert all("${" in password for password in SCHEMED.findall(text)), text
    assert not any("value" in each for each in bridge_of(rendered[shape])["env"] if "TOKEN" in each["name"])


def test_alerts_and_dashboards_are_those_of_the_project(rendered: dict[str, list[Document]]):
    documents = rendered["monitoring"]
    groups = of_kind(documents, "PrometheusRule")["spec"]["groups"]
    originals = [
        group
        for path in sorted(ROOT.glob("deploy/prometheus/rules/*.yml"))
        for group in yaml.safe_load(path.read_text())["groups"]
    ]
    assert {each["name"] for each in originals} - {each["name"] for each in groups} == {"bridge-hook-paused"}
    assert all(each in originals for each in groups)
    boards = {
        name: text
        for each in documents
        for name, text in each.get("data", {}).items()
        if name.endswith(".json")
    }
    assert boards == {
        f"amqp-bridge-{path.name}": path.read_text() for path in ROOT.glob("deploy/grafana/dashboards/*.json")
    }


def test_the_chart_carries_no_copy_of_what_is_gone():
    assert {str(path.relative_to(ROOT)) for path in (ROOT / FILES).rglob("*.*")} == set(copied())


def test_keda_counts_sources_and_lanes_with_what_is_under_way(rendered: dict[str, list[Document]]):
    scaled = of_kind(rendered["keda"], "ScaledObject")["spec"]
    assert (scaled["minReplicaCount"], scaled["fallback"]) == (2, {"failureThreshold": 4, "replicas": 4})
    assert [each["name"] for each in scaled["triggers"]] == ["source-orders", "lanes", "in-flight"]
    source, lanes, _ = scaled["triggers"]
    common = {
        "protocol": "http",
        "mode": "QueueLength",
        "excludeUnacknowledged": "false",
        "vhostName": "production",
    }
    assert source["metadata"] == {**common, "queueName": "orders/new (ü)", "value": "2000"}
    assert lanes["metadata"] == {
        **common,
        "queueName": r"^shop\.bridge\.lane\.",
        "value": "5000",
        "useRegex": "true",
        "pageSize": "500",
        "operation": "sum",
    }
    parameters = of_kind(rendered["keda"], "TriggerAuthentication")["spec"]["secretTargetRef"]
    assert {each["parameter"] for each in parameters} == {"host", "username", "password"}
    assert "replicas" not in of_kind(rendered["keda"], "Deployment")["spec"]


def test_without_a_prefix_lanes_are_those_of_the_bridge():
    values = values_of("keda")
    values["config"].pop("broker")
    triggers = of_kind(render(values), "ScaledObject")["spec"]["triggers"]
    assert triggers[1]["metadata"]["queueName"] == r"^bridge\.lane\."
