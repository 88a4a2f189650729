"""Programs on a terminal of their own."""

import asyncio
import fcntl
import os
import pty
import signal
import struct
import termios
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.command import PROGRAM
from tests.support.waiting import until


class Terminal:
    """What a program writes on its terminal, and keys for it."""

    def __init__(self, process: asyncio.subprocess.Process, fd: int) -> None:
        self._process = process
        self._fd = fd
        self.text = ""
        asyncio.get_running_loop().add_reader(fd, self._read)

    def _read(self) -> None:
        try:
            self.text += os.read(self._fd, 65_536).decode(errors="replace")
        except OSError:  # the program has ended, and its terminal with it
            asyncio.get_running_loop().remove_reader(self._fd)

    async def shows(self, text: str) -> None:
        """Returns once this text was written."""
        await until(lambda: text in self.text, what=lambda: self.text)

    def types(self, text: str) -> None:
        """Press keys."""
        os.write(self._fd, text.encode())

    def interrupt(self) -> None:
        """Ctrl-C."""
        self._process.send_signal(signal.SIGINT)

    async def ended(self) -> int:
        """The exit code, once it has ended."""
        return await asyncio.wait_for(self._process.wait(), 20)

    async def close(self) -> None:
        """End it, if it still runs."""
        asyncio.get_running_loop().remove_reader(self._fd)
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        os.close(self._fd)


@asynccontextmanager
async def on_terminal(*arguments: str, env: Mapping[str, str], width: int = 80) -> AsyncIterator[Terminal]:
    """`amqp-bridge` with these arguments on a terminal of this width."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    bare = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME"}}
    root = str(Path(__file__).parents[2])
    whole = {**bare, "PYTHONPATH": root, "TERM": "xterm-256color", "LANG": "C.UTF-8", **env}
    process = await asyncio.create_subprocess_exec(
        *(*PROGRAM, *arguments), stdin=its, stdout=its, stderr=its, env=whole, start_new_session=True
    )
    os.close(its)
    terminal = Terminal(process, ours)
    try:
        yield terminal
    finally:
        await terminal.close()
