"""The options of `./dev deploy-proof`: without what is imported to run it, for its help."""

import argparse

DESCRIPTION = """\
Prove the Helm chart and the Kustomize base with a real Kubernetes API server, on etcd, with the definitions of KEDA and of the
Prometheus operator:

  * each example in deploy/helm/amqp-bridge/ci is installed, upgraded, rolled back and uninstalled by Helm, and each of its objects
    applied as a dry run of the server, with strict validation; no warning (PodSecurity `restricted` among them) may be given
  * the objects of the base are applied in the same way
  * a field that does not exist must be refused, and a pod that wants rights must be warned about

No pod is started: there is no node. The first run builds kube-apiserver with Go, which takes 10 to 20 minutes of processor time; the
program stays in the cache folder (~/.cache/amqp-bridge).

Exit codes: 0 proved, 1 something was refused, 2 something is missing."""


def parser() -> argparse.ArgumentParser:
    """Reads them."""
    made = argparse.ArgumentParser(
        prog="./dev deploy-proof",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument(
        "--shape", action="append", default=[], metavar="NAME", help="only this example (repeatable)"
    )
    return made
