"""A Kubernetes API server with its etcd, without nodes: what is written is checked and kept, and no pod starts."""

import secrets
import signal
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from devtools.cluster import program
from devtools.nodes import processes
from devtools.nodes.ports import free_ports
from devtools.nodes.scratch import Scratch
from devtools.project import SetupError

BOOT_SECONDS = 120
CERTIFICATE = "apiserver.crt"
FORCED = {"fieldManager": "proof", "force": "true", "fieldValidation": "Strict"}


@dataclass(frozen=True)
class Answer:
    """What the server answered to one request: its status, the object or the reason, and warnings."""

    status: int
    body: Mapping[str, Any]
    warnings: tuple[str, ...]

    @property
    def refusal(self) -> str:
        """Why it was refused; empty: it was not."""
        return "" if self.status < 400 else str(self.body.get("message", self.status))


class Cluster:
    """A running API server. Its user may do everything."""

    def __init__(self, url: str, token: str, certificate: Path) -> None:
        self._url, self._token, self._certificate = url, token, certificate
        trusted = ssl.create_default_context(cafile=str(certificate))
        headers = {"Authorization": f"Bearer {token}"}
        self._client = httpx.Client(
            base_url=url, headers=headers, verify=trusted, timeout=30, trust_env=False
        )
        self._plurals: dict[tuple[str, str], tuple[str, bool]] = {}

    def close(self) -> None:
        """Ends its connections."""
        self._client.close()

    def kubeconfig(self, namespace: str) -> str:
        """What leads Helm here, as the text of a file."""
        return yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "proof",
                "contexts": [
                    {
                        "name": "proof",
                        "context": {"cluster": "proof", "user": "proof", "namespace": namespace},
                    }
                ],
                "clusters": [
                    {
                        "name": "proof",
                        "cluster": {"server": self._url, "certificate-authority": str(self._certificate)},
                    }
                ],
                "users": [{"name": "proof", "user": {"token": self._token}}],
            }
        )

    def is_ready(self) -> bool:
        """Whether it serves."""
        try:
            return self._client.get("/readyz").status_code == 200
        except httpx.HTTPError:
            return False

    def apply(self, document: Mapping[str, Any], namespace: str = "", *, dry_run: bool = False) -> Answer:
        """Applies an object on the server's side, with strict validation of its fields."""
        path = self._path(document, namespace)
        query = FORCED | ({"dryRun": "All"} if dry_run else {})
        body = yaml.safe_dump(dict(document))
        headers = {"Content-Type": "application/apply-patch+yaml"}
        return _answer(self._client.patch(path, params=query, content=body, headers=headers))

    def get(self, document: Mapping[str, Any], namespace: str) -> Answer:
        """The object as the server has it."""
        return _answer(self._client.get(self._path(document, namespace)))

    def serves(self, version: str, kind: str) -> bool:
        """Whether it knows objects of this apiVersion and kind; a definition is known some time after it was written."""
        if (version, kind) not in self._plurals:
            self._discover(version)
        return (version, kind) in self._plurals

    def _path(self, document: Mapping[str, Any], namespace: str) -> str:
        version, kind = document["apiVersion"], document["kind"]
        if not self.serves(version, kind):
            raise SetupError(f"the server does not know {kind} of {version}")
        plural, is_namespaced = self._plurals[version, kind]
        of_namespace = f"/namespaces/{namespace}" if is_namespaced else ""
        return f"{_root(version)}{of_namespace}/{plural}/{document['metadata']['name']}"

    def _discover(self, version: str) -> None:
        found = self._client.get(_root(version))
        for each in found.json()["resources"] if found.status_code == 200 else ():
            if "/" not in each["name"]:
                self._plurals[version, each["kind"]] = each["name"], each["namespaced"]


def _root(version: str) -> str:
    return f"/apis/{version}" if "/" in version else f"/api/{version}"


def _answer(response: httpx.Response) -> Answer:
    # 299 - "the text", with quotes in it escaped
    texts = tuple(text.partition('"')[2].rstrip('"') for text in response.headers.get_list("warning"))
    return Answer(response.status_code, response.json(), texts)


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A server that is ready; it and its data are gone afterwards. Raises SetupError."""
    programs = program.apiserver(), program.etcd()
    scratch = Scratch.create("cluster")
    try:
        yield from _running(scratch, *programs)
    finally:
        scratch.remove()


def _running(scratch: Scratch, apiserver: Path, etcd: Path) -> Iterator[Cluster]:
    folder, token = scratch.path, secrets.token_hex(16)
    store, peers, port = free_ports(3)
    # The names decide the order in which they are ended: the server before its store.
    _start(scratch, "b-etcd", _etcd_argv(etcd, folder, store, peers))
    _write_keys(folder, token)
    _start(scratch, "a-apiserver", _apiserver_argv(apiserver, folder, store, port))
    if not processes.poll((folder / CERTIFICATE).exists, BOOT_SECONDS):
        raise SetupError(f"kube-apiserver did not start: {_last_words(folder)}")
    made = Cluster(f"https://127.0.0.1:{port}", token, folder / CERTIFICATE)
    try:
        if not processes.poll(made.is_ready, BOOT_SECONDS):
            raise SetupError(f"kube-apiserver did not become ready: {_last_words(folder)}")
        yield made
    finally:
        made.close()


def _start(scratch: Scratch, name: str, argv: list[str]) -> None:
    environment = {"HOME": str(scratch.path), "PATH": ""}
    log = scratch.path / f"{name}.log"
    server = processes.spawn(argv, env=environment, log=log, folder=scratch.path)
    scratch.record(name, server.pid, signal.SIGTERM)


def _etcd_argv(etcd: Path, folder: Path, port: int, peers: int) -> list[str]:
    client, peer = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peers}"
    return [
        str(etcd),
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",
    ]


def _apiserver_argv(apiserver: Path, folder: Path, store: int, port: int) -> list[str]:
    return [
        str(apiserver),
        f"--etcd-servers=http://127.0.0.1:{store}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        f"--secure-port={port}",
        f"--cert-dir={folder}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-signing-key-file={folder / 'accounts.key'}",
        f"--service-account-key-file={folder / 'accounts.key'}",
        f"--token-auth-file={folder / 'tokens.csv'}",
        "--authorization-mode=RBAC",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--disable-admission-plugins=ServiceAccount",  # no controller makes the accounts of namespaces
        "--endpoint-reconciler-type=none",
    ]


def _write_keys(folder: Path, token: str) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "accounts.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, *form))
    (folder / "tokens.csv").write_text(f'{token},proof,proof,"system:masters"\n')


def _last_words(folder: Path) -> str:
    texts = [path.read_text(errors="replace").splitlines()[-3:] for path in sorted(folder.glob("*-*.log"))]
    return " | ".join(line for lines in texts for line in lines)
