"""Everything of the API that is about statistics, over the sums in the database."""

from collections.abc import Sequence

from bridge.admin.hooks import InForce
from bridge.admin.look_hooks import seen_hook, seen_hooks
from bridge.admin.measures import Measures
from bridge.admin.statistics import HookStatistics
from bridge.http.api import Part
from bridge.http.api_names import AskedNames
from bridge.http.api_statistics import StatisticsRoutes
from bridge.http.phlix_statistics import PhlixStatisticsRoutes
from bridge.model.source import Source
from bridge.ports.statistics import Statistics


def statistics_routes(
    statistics: Statistics, sources: Sequence[Source], in_force: InForce, names: AskedNames
) -> list[Part]:
    """Those of hooks in force, of what sources measure, and of Phlix."""
    measures = Measures(statistics, sources)

    def hook_id(which: str) -> str | None:
        found = seen_hook(in_force, which)
        return found.hook.id if found else None

    def there() -> list[str]:
        return [seen.hook.id for seen in seen_hooks(in_force)]

    return [
        StatisticsRoutes(HookStatistics(statistics, there, names.of_hook), measures, hook_id, names),
        PhlixStatisticsRoutes(measures),
    ]
