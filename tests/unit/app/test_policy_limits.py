"""Limits by policy: what was known of them stays known while the management API tells nothing."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

from bridge.amqp.topology import Names
from bridge.app.consumption import Consumption
from bridge.app.monitors import PolicyLimits
from bridge.core.survey import FoundPolicies, FoundPolicy, FoundQueue
from bridge.pipeline.hook_table import HookTable

LIMITED = FoundPolicies(
    policies=(FoundPolicy("few", "^orders$", "queues", 0, {"delivery-limit": 3}, operator=False),),
    queues=(FoundQueue("orders", "quorum", {}),),
)


class Heard:
    """Who counts returns."""

    def __init__(self) -> None:
        self.queues: Any = SimpleNamespace(release=(3, 10))
        self.limits: list[Mapping[str, int]] = []

    def limited(self, limits: Mapping[str, int]) -> None:
        self.limits.append(limits)


async def test_a_management_api_that_is_away_for_a_time_lifts_no_limit():
    answers = iter([LIMITED, FoundPolicies(failure="connection refused"), FoundPolicies()])
    heard = Heard()
    limits = PolicyLimits(lambda: next(answers), cast("Consumption", heard), Names(), cast("HookTable", []))
    for _ in range(3):
        await limits.request()
        await limits.known(0.0)
    assert heard.limits == [{"orders": 3}, {}]
