"""The dashboard of one hook."""

from devtools.dashboards.panels import OF_JOB, Panel, Query, lines, number, states, text_of, variable

OF_HOOK = f'{OF_JOB}, hook="$hook"'
LANE = f'{OF_JOB}, queue=~".+\\\\.lane\\\\.$hook"'


def _rate(name: str, by: str) -> str:
    return f"sum by ({by}) (rate(bridge_{name}_total{{{OF_HOOK}}}[$__rate_interval]))"


_ENDED = f'sum(increase(bridge_deliveries_total{{{OF_HOOK}, status=~"SUCCESS|FAILED"}}[$__range]))'
_MISSED = (
    f"(sum(increase(bridge_deliveries_late_total{{{OF_HOOK}}}[$__range])) + "
    f'sum(increase(bridge_deliveries_total{{{OF_HOOK}, status="FAILED"}}[$__range])))'
)
_NOW: list[Panel] = [
    number("Delivered within 60 s", "percentunit", Query(f"1 - {_MISSED} / ({_ENDED} > 0)")),
    number("Ended", "none", Query(_ENDED)),
    number("In flight", "none", Query(f"sum(bridge_in_flight{{{OF_HOOK}}})")),
    number("Waiting in its lane", "none", Query(f"max(bridge_queue_depth{{{LANE}}}) or vector(0)")),
    number("Oldest waiting", "s", Query(f"max(bridge_oldest_waiting_seconds{{{OF_HOOK}}})"), bad_from=600),
    number(
        "Retries scheduled",
        "none",
        Query(f"sum(increase(bridge_retries_scheduled_total{{{OF_HOOK}}}[$__range]))"),
    ),
    states(
        "State",
        {0: ("well", "green"), 1: ("yes", "orange"), 2: ("open", "red")},
        Query(f"max(bridge_breaker_state{{{OF_HOOK}}})", "breaker"),
        Query(f"max(bridge_hook_paused{{{OF_HOOK}}})", "paused"),
        Query(f"max(bridge_hook_failing{{{OF_HOOK}}})", "failing"),
        Query(f"max(bridge_hook_broken{{{OF_HOOK}}})", "broken"),
        wide=24,
    ),
]


_TOOK = f"sum by (le) (rate(bridge_attempt_duration_seconds_bucket{{{OF_HOOK}}}[$__rate_interval]))"
_ATTEMPTS: list[Panel] = [
    lines("Attempts, by outcome", "reqps", Query(_rate("attempts", "outcome"), "{{outcome}}"), stacked=True),
    lines(
        "Duration of attempts",
        "s",
        *(
            Query(f"histogram_quantile({share}, {_TOOK})", f"p{share * 100:g}", exemplars=share == 0.99)
            for share in (0.5, 0.95, 0.99)
        ),
        about="Points are deliveries: their link opens them.",
    ),
    lines("Deliveries that ended", "reqps", Query(_rate("deliveries", "status"), "{{status}}"), stacked=True),
    lines("Late deliveries", "reqps", Query(_rate("deliveries_late", "hook"), "later than 60 s")),
    lines(
        "Exit codes of the script",
        "reqps",
        Query(
            f"{_rate('script_exit', 'code')} or sum by (hook) (0 * bridge_hook_paused{{{OF_HOOK}}})",
            "{{code}}",
        ),
        about="Of hooks with a script as target.",
    ),
    lines("Filters without an answer", "reqps", Query(_rate("filter_errors", "hook"), "no match")),
]


_WAITING: list[Panel] = [
    lines(
        "Lane",
        "none",
        Query(f"max by (queue) (bridge_queue_depth{{{LANE}}}) or vector(0)", "waiting"),
        wide=8,
    ),
    lines(
        "Parked, by reason",
        "reqps",
        Query(
            f"{_rate('parked', 'reason')} or sum by (hook) (0 * bridge_hook_paused{{{OF_HOOK}}})",
            "{{reason}}",
        ),
    ),
    lines("Retries scheduled", "reqps", Query(_rate("retries_scheduled", "hook"), "retries")),
]


def hook_text() -> str:
    """The JSON of the dashboard *Hook*."""
    return text_of(
        "amqp-bridge-hook",
        "amqp-bridge / Hook",
        "How one hook fares. Hooks beyond 200 share the name other.",
        [("Now", _NOW), ("Attempts", _ATTEMPTS), ("What waits", _WAITING)],
        [variable("hook", "Hook", f"label_values(bridge_hook_paused{{{OF_JOB}}}, hook)")],
    )
