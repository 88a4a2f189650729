"""`amqp-bridge doctor`."""

from pathlib import Path
from typing import Annotated

import typer
from typer import Option

EXAMPLES = """\b
Examples:
  amqp-bridge doctor -c bridge.yaml
  amqp-bridge doctor -c bridge.yaml --json | jq '.findings[] | select(.level != "ok")'
  amqp-bridge doctor -c bridge.yaml --management-url http://monitor:secret@rabbitmq:15672

\b
It makes one exchange and one queue of its own on the broker, tries them and takes them away again; everything
else is only looked at. The management API is optional; without it, policies are not to be seen.
BRIDGE_MANAGEMENT_URL stands for --management-url, which shows in process lists.
Exit codes: 0 no problem, 1 a problem, 2 wrong usage or a file that cannot be read."""


def doctor(
    config: Annotated[
        Path | None, Option("--config", "-c", metavar="FILE", help="Default: bridge.yaml in this folder.")
    ] = None,
    *,
    management_url: Annotated[
        str | None,
        Option(
            "--management-url",
            metavar="URL",
            help="Of the broker's management API. Default: beside the broker.",
        ),
    ] = None,
    quiet: Annotated[bool, Option("--quiet", "-q", help="Leave out what is in order.")] = False,
    as_json: Annotated[bool, Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Look at the real broker and database: what is granted, what is there, and what is wrong.

    Each finding is ok, a warning or a problem, says what it means and what to do. Nothing that stays is changed.
    """
    from bridge.cli.diagnosis import diagnosed, print_findings
    from bridge.cli.failures import FAILED

    findings = diagnosed(config, management_url)
    print_findings(findings, quiet=quiet, as_json=as_json)
    if any(finding.level == "problem" for finding in findings):
        raise typer.Exit(FAILED)
