"""The hard limits on the sizes of modules and functions. There is no list of exceptions."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from devtools.project import ROOT

MODULE_LINES = 400
FUNCTION_LINES = 40
PACKAGES = ("bridge", "devtools", "bench")


def oversized(root: Path) -> Iterator[str]:
    """One line for each module and function beyond its limit."""
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            source = path.read_text(encoding="utf-8")
            for line, what, size, limit in measure(source):
                if size > limit:
                    yield f"{path.relative_to(root)}:{line}: {what} has {size} lines, the limit is {limit}"


def measure(source: str) -> Iterator[tuple[int, str, int, int]]:
    """Line, name, size and limit of the module and of each function in it."""
    yield 1, "the module", len(source.splitlines()), MODULE_LINES
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            size = (node.end_lineno or node.lineno) - node.lineno + 1
            yield node.lineno, f"{node.name}()", size, FUNCTION_LINES


def main() -> int:
    """The exit code: 1 if anything is too large."""
    findings = list(oversized(ROOT))
    for finding in findings:
        print(finding)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
