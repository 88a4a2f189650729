"""A document's commands, run in one shell in their order, as a reader would."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"Write `([^`]+)`:\s*\Z")
SECONDS = 60
STAND_INS = {
    "sqlite3": """
import sqlite3
for row in sqlite3.connect(sys.argv[1]).execute(sys.argv[2]):
    print(*("" if value is None else value for value in row), sep="|")
""",
    "openssl": """
import base64, secrets
form, count = sys.argv[2:]
value = secrets.token_bytes(int(count))
print(value.hex() if form == "-hex" else base64.b64encode(value).decode())
""",
    "curl": """
import urllib.request
sys.stdout.write(urllib.request.urlopen(sys.argv[2]).read().decode())
""",
}
"""Programs that documents call and that a bare machine may not have."""


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and the name of the file that the line before it asks for."""

    language: str
    text: str
    file: str = ""


def blocks(document: str) -> list[Block]:
    """The fenced blocks of a Markdown document."""
    found = []
    for match in BLOCK.finditer(document):
        file = FILE.search(document, 0, match.start())
        found.append(Block(match[1], match[2], file[1] if file else ""))
    return found


def section(document: str, heading: str) -> str:
    """What stands under the heading, up to the next one of its rank."""
    rank = heading.partition(" ")[0]
    _, _, rest = document.partition(f"\n{heading}\n")
    assert rest, f"there is no heading {heading!r}"
    return re.split(rf"^{rank} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


class Shell:
    """A shell that is given one block after the other; every command must succeed."""

    def __init__(self, folder: Path, environment: Mapping[str, str], log: Path) -> None:
        self._folder = folder
        self._log = log
        self._ended = 0
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                ["/bin/sh", "-e"],
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        """All that was printed so far, by what runs in the background too."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def follow(self, found: Block) -> str:
        """Do what the block says: run it, or write the file; gives what was printed meanwhile."""
        if found.file:
            (self._folder / found.file).write_text(found.text, encoding="utf-8")
            return ""
        assert found.language == "sh"
        return self.run(found.text)

    def run(self, commands: str) -> str:
        """Run commands to their end; gives what was printed meanwhile."""
        assert self._process.stdin is not None
        before = len(self.said)
        self._ended += 1
        mark = f"block {self._ended} has ended"
        self._process.stdin.write(f"{commands}\necho {mark}\n".encode())
        self._process.stdin.flush()
        self.await_text(mark, before, commands)
        return self.said[before:]

    def await_text(self, text: str, start: int = 0, why: str = "") -> None:
        """Return once this was printed; AssertionError when it is not, in time."""
        deadline = time.monotonic() + SECONDS
        while text not in self.said[start:]:
            assert self._process.poll() is None, f"a command failed:\n{why}\n{self.said}"
            assert time.monotonic() < deadline, f"{text!r} was not printed:\n{why}\n{self.said}"
            time.sleep(0.05)

    def close(self) -> None:
        """End everything that was started here."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)


@contextmanager
def shell(folder: Path, environment: Mapping[str, str], log: Path) -> Iterator[Shell]:
    """A shell that is ended at last, with all that it started."""
    opened = Shell(folder, environment, log)
    try:
        yield opened
    finally:
        opened.close()


def stand_ins(folder: Path) -> Path:
    """A folder with programs that do as much of their namesakes' work as documents ask for; put it last on PATH."""
    programs = folder / "bin"
    programs.mkdir()
    for name, code in STAND_INS.items():
        (programs / name).write_text(f"#!{sys.executable}\nimport sys\n{code}")
        (programs / name).chmod(0o755)
    return programs
