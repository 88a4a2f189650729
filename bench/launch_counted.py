"""The bridge's own command, with a count of the SQL statements it sends: nothing of it is in the product.

    python -m bench.launch_counted COUNT_FILE run -c bridge.yaml

Counted are executions as the database sees them: each row of an executemany, and every BEGIN, COMMIT and
ROLLBACK. The count lies in a file that is mapped into memory, so that it can be read at any time.
"""

import mmap
import struct
import sys
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

_COUNT = struct.Struct("Q")


class Count:
    """A number in a file."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(_COUNT.pack(0))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), _COUNT.size)
        self._value = 0

    def add(self, count: int) -> None:
        self._value += count
        _COUNT.pack_into(self._memory, 0, self._value)


def read_count(path: Path) -> int:
    """The number in the file."""
    value: int = _COUNT.unpack(path.read_bytes())[0]
    return value


def count_statements(count: Count) -> None:
    """Adds to the count whatever any engine of this process sends."""

    def executed(  # noqa: PLR0917 - the shape of SQLAlchemy's event
        connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool
    ) -> None:
        del connection, cursor, context
        # An explicit BEGIN is told by the event `begin`, too.
        if not statement.startswith("BEGIN"):
            count.add(len(parameters) if executemany else 1)

    def turned(_: Any) -> None:
        count.add(1)

    event.listen(Engine, "before_cursor_execute", executed)
    for name in ("begin", "commit", "rollback"):
        event.listen(Engine, name, turned)


def main() -> None:
    """Becomes the bridge's command with the arguments after the first."""
    count_statements(Count(Path(sys.argv[1])))
    from bridge.cli.main import main as bridge

    sys.argv = ["amqp-bridge", *sys.argv[2:]]
    bridge()


if __name__ == "__main__":
    main()
