"""Who may do what, in a running bridge: tokens and the audit log, on the history's database."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

from bridge.admin.actors import Actors
from bridge.admin.audit import AuditLog
from bridge.admin.tokens import TokenDesk
from bridge.model.errors import HistoryUnavailable
from bridge.ports.access import Audit, Tokens
from bridge.ports.control import Control

_USES_EVERY = 5.0
_FORGET_EVERY = 600.0
_AT_ONCE = 500


class Access:
    """What the API needs of tokens and the audit log."""

    def __init__(
        self,
        tokens: Tokens,
        audit: Audit,
        *,
        admin_token: str | None,
        new_id: Callable[[], str],
    ) -> None:
        """`admin_token` None: there is none."""
        self.actors = Actors(tokens, admin_token)
        self.desk = TokenDesk(tokens, new_id, self._changed)
        self.audit = audit
        self.log = AuditLog(audit, new_id)
        self._control: Control | None = None

    def join(self, control: Control) -> None:
        """Tell other replicas of changes, and hear of theirs."""
        self._control = control
        control.listen("tokens", lambda _about: self.actors.forget())

    async def _changed(self) -> None:
        self.actors.forget()
        if self._control is not None:
            await self._control.tell("tokens")

    async def run(self, keep: float, *, every: float = _USES_EVERY) -> None:
        """Write down when tokens were used, and forget of the audit log what is older than `keep` seconds."""
        forget_at = 0.0
        while True:
            await asyncio.sleep(every)
            await self.actors.write_uses()
            if time.monotonic() >= forget_at:
                forget_at = time.monotonic() + _FORGET_EVERY
                await self._forget(time.time() - keep)

    async def _forget(self, before: float) -> None:
        """Replicas may do so at the same time: what one has deleted the other does not find."""
        forgotten = _AT_ONCE
        # Whoever writes history tells that the database is away; there is time.
        with suppress(HistoryUnavailable):
            while forgotten == _AT_ONCE:
                forgotten = await self.audit.forget_deeds(before, _AT_ONCE)
                await asyncio.sleep(0.05)  # let group commits through in between
