"""A made-up past: rows as the bridge writes them, with the corners in which lists could be slow."""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

DAYS = 7
END = 1_780_000_000.0
"""When the past ends, in Unix seconds: the same for everybody, so that figures can be compared."""

TYPES = [f"{module}.{action}" for module in ("customers", "invoices", "tickets", "network", "voice", "inventory",
         "scheduling", "administration", "leads", "finance") for action in ("create", "edit", "delete", "get_list",
         "assign", "close")]  # fmt: skip
FREQUENT = TYPES[0]
RARE = "customers.merge"
"""Twelve events."""
IMPORTED = "inventory.import"
"""Very many events, all of them in one hour, five days ago."""
IGNORED = "network.ping"
"""Many events, that no hook asks for but `filtered`, and that one seldom."""
BUSY = "crm"
DEAD = "dead-endpoint"
"""Fails always, but for three deliveries."""
QUIET = "quiet"
"""Twenty deliveries."""
FILTERED = "filtered"
"""Very many deliveries, and of FREQUENT and IGNORED a few."""
HOOKS = [BUSY, *(f"hook-{number}" for number in range(16))]
SOURCES = ("splynx", "phlix")
SELDOM = "trial"
"""A source with five events."""

_BODY = {"model": "models\\customers\\Customer", "attributes": {"name": "x" * 180, "street": "y" * 60}}


@dataclass
class Batch:
    """Rows in the order of the columns."""

    events: list[tuple[object, ...]] = field(default_factory=list)
    deliveries: list[tuple[object, ...]] = field(default_factory=list)
    attempts: list[tuple[object, ...]] = field(default_factory=list)


def past(deliveries: int, size: int = 20_000, *, end: float = END) -> Iterator[Batch]:
    """Batches with so many deliveries in all, in the order in which things happened, the last at `end`."""
    maker = _Maker(deliveries, end)
    batch = Batch()
    while maker.made < deliveries:
        maker.add_event(batch)
        if len(batch.events) >= size:
            yield batch
            batch = Batch()
    yield batch


class _Maker:
    def __init__(self, deliveries: int, end: float) -> None:
        self._end = end
        self.random = random.Random(5)
        self._durations = random.Random(6)
        self.made = 0
        self._goal = deliveries
        self._dead = self._quiet = 0
        self._body = json.dumps(_BODY).encode()

    def add_event(self, batch: Batch) -> None:
        """One more event with its deliveries; the time goes on with what has been made."""
        share = self.made / self._goal
        at = int((self._end - DAYS * 86_400 * (1 - share)) * 1000) / 1000
        kind, source, hooks = self._choose(share)
        event = self._id(at)
        publisher = f"{self.random.getrandbits(64):016x}" if source == SOURCES[1] else None
        batch.events.append((
            event, source, kind, "json", publisher, f"msg_{event}", None, at, None, "", "hooks2",
            '{"content_type":"application/json"}', None, self._body, None,
        ))  # fmt: skip
        for hook in hooks:
            self._add_delivery(batch, event, kind, hook, at)

    def _choose(self, share: float) -> tuple[str, str, list[str]]:
        chance = self.random.random()
        if self._goal * share % (self._goal / 12) < 1:
            return RARE, SELDOM if 0.2 < share < 0.6 else SOURCES[0], [BUSY]
        if 0.28 < share < 0.286:
            return IMPORTED, SOURCES[0], [FILTERED]
        if chance < 0.04:
            return IGNORED, SOURCES[1], [FILTERED] if chance < 0.000_01 else []
        kind = TYPES[min(int(self.random.expovariate(0.12)), len(TYPES) - 1)]
        return kind, SOURCES[chance < 0.3], self._hooks(kind, chance)

    def _hooks(self, kind: str, chance: float) -> list[str]:
        found = [HOOKS[min(int(self.random.expovariate(0.3)), len(HOOKS) - 1)]]
        if chance > 0.9:
            found.append(DEAD)
        if chance > 0.7 and (kind != FREQUENT or chance > 0.999_99):
            found.append(FILTERED)
        if self.made // (self._goal // 20) >= self._quiet:
            self._quiet += 1
            found.append(QUIET)
        return found

    def _add_delivery(self, batch: Batch, event: str, kind: str, hook: str, at: float) -> None:
        self.made += 1
        delivery = self._id(at)
        status, reason, tries = self._fate(hook)
        batch.deliveries.append((
            delivery, event, hook, "webhook", status, reason, 1, tries, at, at + 0.05,
            at + 60 if status == "RETRYING" else None, kind,
        ))  # fmt: skip
        for number in range(1, tries + 1):
            good = status == "SUCCESS" and number == tries
            batch.attempts.append((
                delivery, 1, number, at, self._duration(good), "delivered" if good else "status", 200 if good else 500,
                "ok" if good else "Internal Server Error", "" if good else "answered 500", None, None,
            ))  # fmt: skip

    def _duration(self, good: bool) -> float:
        return round(self._durations.lognormvariate(2.5 if good else 4.5, 0.8), 3)

    def _fate(self, hook: str) -> tuple[str, str, int]:
        if hook == DEAD:
            self._dead += 1
            return ("SUCCESS", "", 1) if self._dead <= 3 else ("FAILED", "attempts_exhausted", 2)
        chance = self.random.random()
        if chance < 0.000_02:
            return "RETRYING", "status", 1
        if chance < 0.000_03:
            return "PENDING", "hook_paused", 0
        if chance < 0.001:
            return "SKIPPED", "hook_disabled", 0
        if chance < 0.005 and hook != BUSY:
            return "FAILED", "attempts_exhausted", 2
        return "SUCCESS", "", 1

    def _id(self, at: float) -> str:
        milliseconds, bits = int(at * 1000), self.random.getrandbits(74)
        return (
            f"{milliseconds >> 16:08x}-{milliseconds & 0xFFFF:04x}-7{bits & 0xFFF:03x}-"
            f"{0x8000 | bits >> 12 & 0x3FFF:04x}-{bits >> 26:012x}"
        )
