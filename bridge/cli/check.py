"""`amqp-bridge check`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Option

from bridge.core.errors import Problem, SettingsError
from bridge.terminal.output import USAGE, print_json

EXAMPLES = """\b
Examples:
  amqp-bridge check -c bridge.yaml
  amqp-bridge check -c bridge.yaml --json | jq .problems"""


def check(
    config: Annotated[
        Path | None, Option("--config", "-c", metavar="FILE", help="Default: bridge.yaml in this folder.")
    ] = None,
    *,
    as_json: Annotated[bool, Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Tell everything that is wrong with a configuration.

    Nothing is contacted: no broker, no database, no receiver. Exit code 2 if there is a problem; warnings leave
    it at 0.
    """
    from bridge.terminal.configuration import find

    try:
        configuration = find(config)
        settings, warnings = configuration.checked()
    except SettingsError as error:
        if not as_json:
            raise
        print_json(
            {"ok": False, "problems": [_as_json(problem) for problem in error.problems], "warnings": []}
        )
        raise typer.Exit(USAGE) from None
    if as_json:
        totals = {
            "sources": len(settings.sources),
            "hooks": len(settings.hooks),
            "inlets": len(settings.inlets),
        }
        told = [_as_json(warning) for warning in warnings]
        print_json({"ok": True, "problems": [], "warnings": told, **totals})
        return
    for warning in warnings:
        typer.echo(f"warning: {warning}", err=True)
    counts = [_count(settings.sources, "source"), _count(settings.hooks, "hook")]
    counts += [_count(settings.inlets, "inlet")] if settings.inlets else []
    typer.echo(f"{configuration.file or 'the environment'}: OK ({', '.join(counts)})")


def _count(things: list[Any], word: str) -> str:
    return f"{len(things)} {word}{'' if len(things) == 1 else 's'}"


def _as_json(problem: Problem) -> Mapping[str, Any]:
    file, _, line = problem.where.rpartition(":")
    if line.isdecimal():
        return {"where": file, "line": int(line), "path": problem.path, "message": problem.message}
    return {"where": problem.where, "line": None, "path": problem.path, "message": problem.message}
