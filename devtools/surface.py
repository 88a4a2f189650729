"""What users build on beside the API, settings and metrics: help texts, log events, broker objects and tables.

Each is a file under `schemas/`, so that a change of any of them is seen in review.
"""

import ast
import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import typer
from sqlalchemy import create_mock_engine
from sqlalchemy.schema import CreateIndex, CreateTable
from typer.testing import CliRunner

from bridge.amqp.topology import Names, planned
from bridge.cli.main import app
from bridge.db import admin_tables, tables
from bridge.terminal.groups import all_commands
from devtools.project import ROOT

WIDTH = "100"
_DEFINED_IN = (tables, admin_tables, admin_tables)
"""The modules that put their tables into the one metadata."""
_LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}


def help_text() -> str:
    """The help of every command, at a width of 100, with exit codes where the help states them."""
    os.environ["COLUMNS"] = WIDTH
    paths = sorted(path for path, _ in all_commands(typer.main.get_command(app)))
    return "\n".join(map(_help, paths))


def _help(path: tuple[str, ...]) -> str:
    shown = CliRunner().invoke(app, [*path, "--help"], prog_name="amqp-bridge", env={"COLUMNS": WIDTH})
    lines = (line.rstrip() for line in shown.stdout.strip().splitlines())
    return "\n".join((f"$ amqp-bridge {' '.join([*path, '--help'])}", *lines, ""))


def log_events_text() -> str:
    """The name of every event that the code logs, one per line."""
    names = {name for path in sorted((ROOT / "bridge").rglob("*.py")) for name in _logged(path)}
    return "".join(f"{name}\n" for name in sorted(names))


def _logged(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if node.func.attr not in _LEVELS or not node.args:
            continue
        match node.args[0]:
            case ast.Constant(value=str(name)) if "." in name and " " not in name:
                yield name


def broker_text() -> str:
    """Exchanges and queues that the bridge declares with the default prefix, for a hook named `hook`, as JSON."""
    kinds = {
        kind: list(map(asdict, planned(Names("bridge"), kind, ["hook"]))) for kind in ("quorum", "classic")
    }
    return json.dumps(kinds, indent=2) + "\n"


def tables_text() -> str:
    """Tables and indexes of the history, in SQLite's and in PostgreSQL's words."""
    return "\n\n".join(_statements(dialect) for dialect in ("sqlite", "postgresql+psycopg")) + "\n"


def _statements(dialect: str) -> str:
    engine = create_mock_engine(f"{dialect}://", executor=lambda *_: None)
    made = []
    for table in _DEFINED_IN[0].metadata.sorted_tables:
        made.append(str(CreateTable(table).compile(dialect=engine.dialect)))
        indexes = sorted(table.indexes, key=lambda index: str(index.name))
        made += [str(CreateIndex(index).compile(dialect=engine.dialect)) for index in indexes]
    body = "\n".join(f"{_trimmed(statement)};" for statement in made)
    return f"-- {dialect.partition('+')[0]}\n{body}"


def _trimmed(statement: str) -> str:
    return "\n".join(line.rstrip() for line in statement.strip().splitlines())
