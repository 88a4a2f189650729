"""kube-apiserver, built with Go from its module: no registry of packages has the program."""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from devtools.choice import unpacked
from devtools.project import SetupError, say

VERSION = "1.37.2"
STAGED = f"v0.{VERSION.removeprefix('1.')}"
"""The version under which Kubernetes publishes the modules that it is made of."""
MAIN = "k8s.io/kubernetes/cmd/kube-apiserver"
_OF_VERSION = "k8s.io/component-base/version"
# kubectl and Helm want to read the server's version; a plain build has none.
_FLAGS = (
    f"-s -w -X {_OF_VERSION}.gitVersion=v{VERSION}"
    f" -X {_OF_VERSION}.gitMajor=1 -X {_OF_VERSION}.gitMinor={VERSION.split('.')[1]}"
)
ETCD = unpacked.Program("etcd", "etcd-server", "usr/bin/etcd")


def apiserver() -> Path:
    """The program; it is built if it was not before. Raises SetupError."""
    program = unpacked.cache().parent / "kubernetes" / f"kube-apiserver-{VERSION}"
    if not os.access(program, os.X_OK):
        say("cluster", f"building kube-apiserver {VERSION}, which takes long, once, into {program.parent}")
        _build(program)
    return program


def etcd() -> Path:
    """The program; it is unpacked if it was not before. Raises SetupError."""
    unpacked.obtain((ETCD,))
    found = ETCD.found() or shutil.which("etcd")
    if found is None:
        raise SetupError("there is no etcd: install etcd-server, then run this again")
    return Path(found)


def _build(program: Path) -> None:
    """Builds beside its place and moves it there, so that an interrupted build leaves nothing half done."""
    program.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=program.parent) as made:
        folder = Path(made)
        (folder / "go.mod").write_text(_module(_required(folder)))
        _go(folder, "build", "-trimpath", "-ldflags", _FLAGS, "-o", "kube-apiserver", MAIN)
        (folder / "kube-apiserver").replace(program)


def _required(folder: Path) -> str:
    """The go.mod of Kubernetes itself."""
    (folder / "go.mod").write_text("module download\n")
    told = _go(folder, "mod", "download", "-json", f"k8s.io/kubernetes@v{VERSION}")
    return Path(re.findall(r'"GoMod": "(.+)"', told)[0]).read_text(encoding="utf-8")


def _module(of_kubernetes: str) -> str:
    """A module that requires Kubernetes: it names its own parts as v0.0.0, and where they are has to be said by who uses it."""
    parts = sorted(set(re.findall(r"(k8s\.io/[\w.-]+) v0\.0\.0$", of_kubernetes, re.MULTILINE)))
    go = re.findall(r"^go .+$", of_kubernetes, re.MULTILINE)[0]
    replaced = "\n".join(f"replace {part} => {part} {STAGED}" for part in parts)
    return f"module apiserver\n\n{go}\n\nrequire k8s.io/kubernetes v{VERSION}\n\n{replaced}\n"


def _go(folder: Path, *arguments: str) -> str:
    """What Go printed; raises SetupError with what it complained about."""
    go = shutil.which("go")
    if go is None:
        raise SetupError(
            "kube-apiserver is built with Go, which is not here: install it, then run this again"
        )
    environment = {**os.environ, "GOFLAGS": "-mod=mod", "GOWORK": "off", "CGO_ENABLED": "0"}
    done = subprocess.run(
        [go, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SetupError(f"go {arguments[0]}: {done.stderr.strip()[-2000:]}")
    return done.stdout
