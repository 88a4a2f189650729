"""What the Helm chart refuses: unknown keys, plain secrets, and values that do not go together."""

import re
from typing import Any

import pytest
import yaml

from devtools.chart.render import CHART, Document, Refused, render, values_of
from devtools.chart.values import rows

pytest.importorskip("helm_python", reason="Helm as a library is there on Linux only")


def changed(shape: str, path: str, value: Any) -> Document:
    """The example with one value changed; numbers in the path lead into lists."""
    values = values_of(shape)
    *way, last = path.split(".")
    place: Any = values
    for name in way:
        place = place[int(name)] if name.isdigit() else place.setdefault(name, {})
    place[last] = value
    return values


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("replica", 1),
        ("image.digets", ""),
        ("image.digest", "sha256:abc"),
        ("database.type", "mysql"),
        ("secrets.exisiting", []),
        ("probes.liveness.path", "/"),
        ("autoscaling.keda.minReplicaCount", 0),
        ("autoscaling.min", 0),
        ("networkPolicy.targets.cidr", []),
        ("networkPolicy.httpFrom", [{"nameSpaceSelector": {}}]),
        ("metrics.serviceMonitor.intervall", "15s"),
        ("resources.limits.memory", "512MB"),
        ("podSecurity.runAsUser", 0),
        ("persistence.accessMode", "ReadWriteMany"),
        ("config.souces", []),
        ("config.sources.0.que", "a"),
        ("config.hooks.0.target.timeot", "5s"),
        ("config.hooks.0.target.type", "webhok"),
        ("config.http.listen", ":1"),
        ("config.storage.url", "sqlite:///a.db"),
    ],
)
def test_what_the_schema_does_not_know_is_refused_by_its_name(path: str, value: Any):
    render(values_of("sqlite"))
    with pytest.raises(Refused) as refused:
        render(changed("sqlite", path, value))
    *above, last = path.split(".")
    assert last in str(refused.value) or above[-1] in str(refused.value)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("config.broker.url", "amqp://bridge:s3cret@rabbitmq/"),
        ("config.broker.url", ["amqp://a/", "amqps://bridge:s3cret@rabbitmq:5671/shop"]),
        ("config.broker.management_url", "http://bridge:s3cret@rabbitmq:15672"),
        ("config.brokers", {"other": {"url": "amqp://bridge:s3cret@rabbitmq/"}}),
        ("config.http.admin_token", "s3cret-s3cret-s3cret"),
        ("config.storage.encryption_keys", ["s3cret-s3cret-s3cret"]),
        ("config.hooks.0.target.secrets", ["s3cret"]),
        ("config.hooks.0.target.auth", {"type": "bearer", "token": "s3cret"}),
        ("config.hooks.0.target", {"type": "notify", "urls": ["tgram://s3cret/1"]}),
    ],
)
def test_plain_secrets_are_refused_and_not_repeated(path: str, value: Any):
    with pytest.raises(Refused) as refused:
        render(changed("sqlite", path, value))
    assert "config" in str(refused.value)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    ["amqps://rabbitmq/shop", "amqp://bridge@rabbitmq/", "amqp://bridge:${PASSWORD}@rabbitmq/", "${URL}"],
)
def test_addresses_without_a_plain_password_are_taken(url: str):
    assert render(changed("sqlite", "config.broker.url", url))


CLASHES = [
    (
        "sqlite",
        {"replicas": 2},
        "replicas: SQLite serves one pod; set database.type to postgresql, or replicas to 1",
    ),
    (
        "sqlite",
        {"autoscaling.kind": "hpa"},
        "autoscaling.kind: SQLite serves one pod; set database.type to postgresql",
    ),
    ("sqlite", {"autoscaling.kind": "keda"}, "autoscaling.kind: SQLite serves one pod"),
    ("sqlite", {"image.tag": "latest"}, "image.tag: `latest` is another program tomorrow; give a version"),
    (
        "sqlite",
        {"secrets.existing": []},
        "secrets: the broker's address is in no Secret; name one with the key BRIDGE_",
    ),
    (
        "postgresql",
        {"secrets": {}, "config.broker": {"url": "amqps://a/"}},
        "secrets: PostgreSQL's address is in no",
    ),
    ("openshift", {"config.sources": []}, "existingConfigMap: it stands in place of config and files"),
    ("openshift", {"secrets.existing": ["a"]}, "secrets.directory: the bridge reads one folder of secrets"),
    ("scripts", {"files": {"bridge.yaml": "a"}}, "files: bridge.yaml is made from `config`"),
    (
        "postgresql",
        {"terminationGracePeriodSeconds": 54},
        "terminationGracePeriodSeconds: a stop takes up to config.limits.drain and 15 s; set it to 55 or more, or to 0",
    ),
    (
        "postgresql",
        {"resources.limits.memory": "891Mi"},
        "resources.limits.memory: 130 MB + 1.5 x config.limits.memory are 892Mi; set it to that or more",
    ),
    (
        "sqlite",
        {"probes.startup": {"failureThreshold": 59}},
        "probes.startup.failureThreshold: the pod would be killed while it waits for run.wait, 300 s",
    ),
    ("keda", {"autoscaling.max": 1}, "autoscaling.min: it is more than autoscaling.max"),
    (
        "keda",
        {"autoscaling.keda.secret.name": ""},
        "autoscaling.keda.secret.name: KEDA asks the broker's management",
    ),
    (
        "keda",
        {"autoscaling.keda.secret.passwordKey": ""},
        "autoscaling.keda.secret: give usernameKey and passwordKey both, or none",
    ),
    (
        "keda",
        {"autoscaling.keda.fallback.replicas": 13},
        "autoscaling.keda.fallback.replicas: it is more than",
    ),
    (
        "keda",
        {"config.sources": [], "autoscaling.keda.laneMessages": 0, "autoscaling.keda.extraTriggers": []},
        "autoscaling.keda: there is nothing to scale by",
    ),
    ("inlets", {"resources.requests": {"cpu": None}}, "resources.requests.cpu: an HPA compares with it"),
    ("inlets", {"http.adminPort": 8080}, "http.adminPort: it is the same as http.port"),
    ("inlets", {"config.inlets": []}, "ingress.enabled: there is no path to lead in; give inlets in config"),
    (
        "monitoring",
        {"metrics.rules.disabled": ["BridgeX"]},
        "metrics.rules.disabled: there is no alert BridgeX",
    ),
    (
        "tls",
        {"config.http.allow_private_targets": ["169.254.0.0/16"]},
        "metadata services of clouds are there",
    ),
    ("tls", {"networkPolicy.targets.cidrs": ["169.254.169.254/32"]}, "169.254.169.254/32: metadata services"),
]


@pytest.mark.parametrize(("shape", "changes", "sentence"), CLASHES)
def test_values_that_do_not_go_together_are_refused_by_a_sentence_that_says_what_to_do(
    shape: str, changes: dict[str, Any], sentence: str
):
    values = values_of(shape)
    for path, value in changes.items():
        whole = changed(shape, path, value)
        top = path.split(".")[0]
        values[top] = _merged(values.get(top), whole[top], path.split(".")[1:])
    with pytest.raises(Refused, match=re.escape(sentence)):
        render(values)


def _merged(old: Any, new: Any, way: list[str]) -> Any:
    """The old value with what stands at the end of the way in the new one."""
    if not way:
        return new
    return (old or {}) | {way[0]: _merged((old or {}).get(way[0]), new[way[0]], way[1:])}


def test_a_limit_of_memory_that_fits_is_taken():
    assert render(changed("postgresql", "resources.limits.memory", "892Mi"))
    assert render(changed("postgresql", "resources.limits.memory", "1G"))


def test_every_refusal_of_the_chart_is_tested():
    template = (CHART / "templates" / "_refusals.tpl").read_text()
    told = re.findall(r'fail (?:\(printf )?"(?:%s: )?([^%"]{24})', template)
    assert len(told) == template.count("fail ") == len(set(told))
    assert [begin for begin in told if not any(begin in sentence for _, _, sentence in CLASHES)] == []


def test_every_value_stands_in_the_readme():
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    listed = {row.path for row in rows()}
    for name, value in defaults.items():
        inner = {f"{name}.{key}" for key in value} if isinstance(value, dict) else set()
        assert name in listed or inner & listed, name
