"""The objects that the Helm chart renders, and settings and secrets laid out as Kubernetes mounts them."""

import re
from pathlib import Path
from typing import Any

from devtools.chart.render import SHAPES, Document, render, values_of
from tests.support.certificates import Authority

STATE = "/var/lib/amqp-bridge"
TLS = "/etc/amqp-bridge/tls"
SECRETS = {
    "BRIDGE_BROKER__URL": "amqp://bridge:hidden@rabbitmq/",
    "BRIDGE_STORAGE__URL": "postgresql://bridge:hidden@postgres/bridge",
    "BRIDGE_HTTP__ADMIN_TOKEN": "0123456789abcdef",
    "OPS_CHAT": "ntfy://example.net/ops",
    "KEY_OF_2026": "0123456789abcdef",
    "KEY_OF_2025": "fedcba9876543210",
}
ANY_SECRET = "whsec_aGlkZGVuIGhpZGRlbiBoaWRkZW4="
"""Of all other names."""


def all_shapes() -> dict[str, list[Document]]:
    """The objects of each example."""
    return {shape: render(values_of(shape)) for shape in SHAPES}


def of_kind(documents: list[Document], kind: str) -> Document:
    """The only object of this kind."""
    [found] = [each for each in documents if each["kind"] == kind]
    return found


def kinds(documents: list[Document]) -> set[str]:
    return {each["kind"] for each in documents}


def pod_of(documents: list[Document]) -> Document:
    """The specification of the bridge's pods."""
    spec: Document = of_kind(documents, "Deployment")["spec"]["template"]["spec"]
    return spec


def bridge_of(documents: list[Document]) -> Document:
    """The bridge's container."""
    container: Document = pod_of(documents)["containers"][0]
    return container


def settings_of(documents: list[Document]) -> dict[str, str]:
    """The files of the ConfigMap with bridge.yaml."""
    [files] = [each["data"] for each in documents if "bridge.yaml" in each.get("data", {})]
    return dict(files)


def mounted(folder: Path, files: dict[str, str]) -> tuple[Path, Path]:
    """bridge.yaml in a folder of settings, and a folder of secrets that has all that the file names."""
    (folder / "state").mkdir()
    text = files["bridge.yaml"].replace(STATE, str(folder / "state"))
    if TLS in text:
        authority = Authority(folder, "ca")
        issued = authority.issue("bridge")
        of_name = {"ca.crt": authority.file, "tls.crt": issued.cert, "tls.key": issued.key}
        text = re.sub(rf"{TLS}/([\w.]+)", lambda found: str(of_name[found[1]]), text)
    names = set(re.findall(r"\$\{(\w+)\}", text))
    mount(folder / "config", {**files, "bridge.yaml": text})
    mount(folder / "secrets", {name: SECRETS.get(name, ANY_SECRET) for name in names})
    return folder / "config" / "bridge.yaml", folder / "secrets"


def mount(folder: Path, files: dict[str, str]) -> None:
    """Files as kubelet mounts them: links into a folder that is swapped as a whole."""
    (folder / "..2026").mkdir(parents=True)
    (folder / "..data").symlink_to("..2026")
    for name, text in files.items():
        (folder / "..2026" / name).write_text(text)
        (folder / "..2026" / name).chmod(0o555)
        (folder / name).symlink_to(f"..data/{name}")


def strings_of(value: Any) -> list[str]:
    """Every text in an object."""
    if isinstance(value, dict):
        return [text for item in value.values() for text in strings_of(item)]
    if isinstance(value, list):
        return [text for item in value for text in strings_of(item)]
    return [value] if isinstance(value, str) else []
