"""The Helm chart, rendered by Helm, for each of its examples of real installations."""

import re
from pathlib import Path
from textwrap import dedent

import jsonschema_rs
import pytest
import yaml
from kubernetes_validate import utils as kubernetes_validate

from devtools.chart import crds
from devtools.chart.render import CHART, SHAPES, Document, notes, render, values_of
from devtools.project import ROOT
from tests.support.chart import all_shapes, mounted, settings_of
from tests.support.command import amqp_bridge

helm = pytest.importorskip("helm_python", reason="Helm as a library is there on Linux only")
VERSIONS = (kubernetes_validate.all_versions()[0], kubernetes_validate.latest_version())


@pytest.fixture(scope="module")
def rendered() -> dict[str, list[Document]]:
    return all_shapes()


@pytest.mark.parametrize("shape", SHAPES)
def test_helm_lint_finds_nothing(shape: str):
    report = helm.lint(CHART, values_of(shape), strict=True)
    said = [message for message in report["messages"] if "icon is recommended" not in message["error"]]
    assert (said, report["errors"]) == ([], [])


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_oldest_and_the_newest_kubernetes_know_every_field(
    rendered: dict[str, list[Document]], shape: str, version: str
):
    core = [each for each in rendered[shape] if each["kind"] not in crds.DEFINED]
    assert core
    for document in core:
        kubernetes_validate.validate(document, version, strict=True)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_field_that_kubernetes_does_not_know_would_be_found(
    rendered: dict[str, list[Document]], version: str
):
    [deployment] = [each for each in rendered["sqlite"] if each["kind"] == "Deployment"]
    misspelt = deployment | {"spec": deployment["spec"] | {"progressDeadlineSecond": 1}}
    with pytest.raises(kubernetes_validate.ValidationError, match="progressDeadlineSecond"):
        kubernetes_validate.validate(misspelt, version, strict=True)


@pytest.mark.parametrize("kind", crds.DEFINED)
def test_operators_know_every_field_of_their_objects(rendered: dict[str, list[Document]], kind: str):
    try:
        schema = crds.strict_schema(kind)
    except crds.CannotDownload as error:
        pytest.skip(str(error))
    validator = jsonschema_rs.validator_for(schema)
    objects = [each for documents in rendered.values() for each in documents if each["kind"] == kind]
    assert objects
    for document in objects:
        validator.validate(document)
        misspelt = document | {"spec": document["spec"] | {"maxReplicasCount": 3}}
        assert not validator.is_valid(misspelt)


@pytest.mark.parametrize("shape", SHAPES)
def test_amqp_bridge_check_takes_the_settings_with_the_secrets_as_kubernetes_mounts_them(
    rendered: dict[str, list[Document]], shape: str, tmp_path: Path
):
    file, secrets = mounted(tmp_path, settings_of(rendered[shape]))
    done = amqp_bridge("check", "-c", str(file), cwd=tmp_path, env={"BRIDGE_SECRETS_DIR": str(secrets)})
    assert (done.code, done.err) == (0, "")
    assert ": OK (1 source" in done.out or shape == "keda"


@pytest.mark.parametrize("shape", SHAPES)
def test_the_notes_tell_how_to_see_that_it_runs(shape: str):
    text = notes(values_of(shape))
    assert "rollout status deployment/bridge" in text
    assert "helm -n events test bridge" in text


def test_the_chart_takes_the_values_of_the_documentation():
    text = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    [example] = [
        block for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if "repository:" in block
    ]
    values = yaml.safe_load(dedent(example).replace("sha256:...", f"sha256:{'0' * 64}"))
    assert len(render(values)) > 5
