"""The Kustomize base, which is rendered from the Helm chart."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from kubernetes_validate import utils as kubernetes_validate

from devtools.chart.base import BASE, files
from devtools.project import ROOT
from tests.support.chart import mounted
from tests.support.command import amqp_bridge

OVERLAY = """\
namespace: shop
resources: [base]
configMapGenerator:
  - {name: amqp-bridge, behavior: replace, files: [bridge.yaml]}
replicas: [{name: amqp-bridge, count: 5}]
"""


def test_the_base_has_no_file_of_which_the_generator_knows_nothing():
    assert {str(path.relative_to(ROOT)) for path in (ROOT / BASE).iterdir()} == set(files())


def test_kubernetes_knows_every_field_of_the_base():
    names = yaml.safe_load((ROOT / BASE / "kustomization.yaml").read_text())["resources"]
    for name in names:
        document = yaml.safe_load((ROOT / BASE / name).read_text())
        assert "namespace" not in document["metadata"]
        kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)


def test_amqp_bridge_check_takes_the_settings_of_the_base(tmp_path: Path):
    file, secrets = mounted(tmp_path, {"bridge.yaml": (ROOT / BASE / "bridge.yaml").read_text()})
    done = amqp_bridge("check", "-c", str(file), cwd=tmp_path, env={"BRIDGE_SECRETS_DIR": str(secrets)})
    assert (done.code, done.err) == (0, "")


def test_an_overlay_has_settings_of_its_own_and_changing_them_makes_new_pods(tmp_path: Path):
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("no kubectl, which has Kustomize in it")
    shutil.copytree(ROOT / BASE, tmp_path / "base")
    (tmp_path / "kustomization.yaml").write_text(OVERLAY)
    names = set()
    for queue in ("orders", "invoices"):
        (tmp_path / "bridge.yaml").write_text(f"sources: [{{name: a, queue: {queue}}}]\n")
        argv = [kubectl, "kustomize", str(tmp_path)]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=50, check=False)
        assert done.returncode == 0, done.stderr
        objects = {each["kind"]: each for each in yaml.safe_load_all(done.stdout)}
        assert objects["Deployment"]["spec"]["replicas"] == 5
        assert objects["ConfigMap"]["data"]["bridge.yaml"].count(queue) == 1
        volumes = objects["Deployment"]["spec"]["template"]["spec"]["volumes"]
        [used] = [each["configMap"]["name"] for each in volumes if each["name"] == "config"]
        assert used == objects["ConfigMap"]["metadata"]["name"]
        names.add(used)
    assert len(names) == 2
