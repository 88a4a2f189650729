"""Why a file cannot be run as a program, in words that say what to do about it.

The kernel answers a script whose interpreter is missing with "No such file", and says of a line end from Windows
nothing at all: whoever wrote the script sees that the file is there and is none the wiser.
"""

import os
import shutil
import stat
from pathlib import Path

_LOOK = 256
"""Bytes of a first line that Linux reads (BINPRM_BUF_SIZE)."""
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def check_file(path: Path, search: str) -> None:
    """Raise a ValueError that says why this file could not be run now, and what to do about it.

    `search` is the PATH in which `#!/usr/bin/env` will look.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    if stat.S_ISDIR(mode):
        raise ValueError(f"{path} is a folder; name the program in it")
    if not stat.S_ISREG(mode):
        raise ValueError(f"{path} is not a file")
    if not os.access(path, os.X_OK):
        raise ValueError(f"{path} is not executable; run: chmod 755 {path}")
    _check_beginning(path, search)


def _check_beginning(path: Path, search: str) -> None:
    try:
        with path.open("rb") as file:
            beginning = file.read(_LOOK)
    except OSError:
        return  # A program may be run without being read.
    if beginning.startswith(b"#!"):
        _check_first_line(path, beginning[2:].partition(b"\n")[0], search)
    elif beginning.startswith(_BYTE_ORDER_MARK):
        raise ValueError(
            f"{path} begins with a byte order mark that hides its first line; save it without one"
        )
    elif b"\0" not in beginning:
        raise ValueError(
            f"{path} does not say what runs it; its first line must name the interpreter, such as #!/usr/bin/php"
        )


def _check_first_line(path: Path, line: bytes, search: str) -> None:
    if line.endswith(b"\r"):
        raise ValueError(
            f"{path} has line ends of Windows (CR LF), so that its interpreter is not found; "
            rf"run: sed -i 's/\r$//' {path}"
        )
    words = os.fsdecode(line).split()
    if not words:
        raise ValueError(f"{path} names no interpreter in its first line, such as #!/usr/bin/php")
    if not Path(words[0]).exists():
        raise ValueError(
            f"{path} is to be run by {words[0]}, which is not there; install it, or correct the first line"
        )
    if Path(words[0]).name == "env" and len(words) == 2 and not shutil.which(words[1], path=search):
        raise ValueError(
            f"{path} is to be run by {words[1]}, which is not in PATH ({search}); install it, or correct the first line"
        )
