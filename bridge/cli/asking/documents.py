"""What the API answered, for programs."""

import json
import sys

from bridge.cli.asking.client import Answer
from bridge.rules.bodies.exact import json_text


def print_answer(answer: Answer, *, lines: bool = False) -> None:
    """The answer's own text, laid out for people on a terminal; one line with `lines`."""
    sys.stdout.write(_laid_out(answer, lines=lines) + "\n")


def _laid_out(answer: Answer, *, lines: bool) -> str:
    text = answer.content.decode(errors="replace").strip()
    if not text:
        return "null"
    if lines:
        return text if "\n" not in text else json_text(answer.value)
    if not sys.stdout.isatty() or answer.value is None:
        return text
    return json.dumps(answer.value, indent=2)
