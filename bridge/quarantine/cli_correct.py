"""What a person corrects of a message in quarantine, in an editor or by options."""

import os
import shlex
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from bridge.events.cli import body_members
from bridge.terminal.client import segment
from bridge.terminal.output import Failure, content, usage
from bridge.terminal.remote import Remote


def corrected(
    to: Remote,
    ids: list[str] | None,
    body: str | None,
    kind: str | None,
    headers: list[str] | None,
    *,
    edit: bool,
) -> dict[str, Any]:
    """The body of the request that tells it, empty where nothing is corrected; raises SettingsError, and Failure where an
    editor changed nothing.
    """
    found: dict[str, Any] = {"type": kind} if kind is not None else {}
    if headers:
        found["headers"] = dict(map(_header, headers))
    if edit and body is not None:
        raise usage("--edit", "goes not with --body")
    if (found or edit or body is not None) and (ids is None or len(ids) != 1 or ids == ["-"]):
        raise usage("", "one message is corrected at a time: give its id")
    if edit and ids:
        return found | body_members(_edited(to, ids[0]))
    return found | (body_members(content(body)) if body is not None else {})


def _edited(to: Remote, message: str) -> bytes:
    """The body as the person leaves it. The file is readable by nobody else, and gone afterwards."""
    known = to.change("GET", f"/quarantine/{segment(message)}").value
    text = known["body_text"]
    if text is None:
        raise usage("--edit", "the body is no text; give the corrected one with --body FILE")
    before = text.encode()
    after = _without_added_end(
        before, _through_editor(before, ".json" if text.lstrip()[:1] in "{[" else ".txt")
    )
    if after == before:
        raise Failure(["nothing was changed: the message stays in quarantine"])
    return after


def _through_editor(before: bytes, suffix: str) -> bytes:
    editor = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    with tempfile.TemporaryDirectory(prefix="amqp-bridge-") as folder:
        file = Path(folder) / f"body{suffix}"
        file.write_bytes(before)
        try:
            subprocess.run([*editor, str(file)], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise Failure([f"the editor failed, and nothing was changed: {error}"]) from None
        return file.read_bytes()


def _without_added_end(before: bytes, after: bytes) -> bytes:
    """Editors put a line end behind the last line."""
    return after.removesuffix(b"\n") if not before.endswith(b"\n") else after


def _header(text: str) -> tuple[str, str | None]:
    name, sign, told = text.partition("=")
    if not name or not sign:
        raise usage("--header", f"{text!r} is not of the form name=value")
    return name, told or None
