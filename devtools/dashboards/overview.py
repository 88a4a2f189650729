"""The dashboard to look at first: is all well, and if not, where?"""

from devtools.dashboards.panels import OF_JOB, Panel, Query, lines, number, rows, states, text_of

ENDED = f'bridge_deliveries_total{{{OF_JOB}, status=~"SUCCESS|FAILED"}}'
FAILED = f'bridge_deliveries_total{{{OF_JOB}, status="FAILED"}}'
LATE = f"bridge_deliveries_late_total{{{OF_JOB}}}"
LANES = f'bridge_queue_depth{{{OF_JOB}, queue=~".+\\\\.lane\\\\..+|other"}}'


_IN_TIME = (
    f"1 - (sum(increase({LATE}[$__range])) + sum(increase({FAILED}[$__range]))) / "
    f"sum(increase({ENDED}[$__range]))"
)
_NOW: list[Panel] = [
    number("Bridges", "none", Query(f"count(bridge_build_info{{{OF_JOB}}})"), about="That answer."),
    number(
        "Delivered within 60 s",
        "percentunit",
        Query(_IN_TIME),
        about="Of those that ended in the chosen time.",
    ),
    number("Failed for good", "none", Query(f"sum(increase({FAILED}[$__range]))"), bad_from=1),
    number("Waiting in lanes", "none", Query(f"sum(max by (queue) ({LANES}))")),
    number("Oldest waiting", "s", Query(f"max(bridge_oldest_waiting_seconds{{{OF_JOB}}})"), bad_from=600),
    number("In quarantine", "none", Query(f"max(bridge_quarantine_size{{{OF_JOB}}})"), bad_from=1),
    rows(
        "Alerts that fire",
        Query(f'ALERTS{{{OF_JOB}, alertname=~"Bridge.+", alertstate="firing"}}', instant=True),
        about="Each has a runbook: docs/runbooks.",
    ),
]


_AGE = f"sum by (le) (rate(bridge_event_age_seconds_bucket{{{OF_JOB}}}[$__rate_interval]))"
_FLOW: list[Panel] = [
    lines(
        "Messages received, by source",
        "reqps",
        Query(
            f"sum by (source) (rate(bridge_events_received_total{{{OF_JOB}}}[$__rate_interval]))",
            "{{source}}",
        ),
        stacked=True,
    ),
    lines(
        "Deliveries that ended, by status",
        "reqps",
        Query(f"sum by (status) (rate(bridge_deliveries_total{{{OF_JOB}}}[$__rate_interval]))", "{{status}}"),
        stacked=True,
    ),
    lines(
        "From arrival to success",
        "s",
        *(
            Query(f"histogram_quantile({share}, {_AGE})", f"p{share * 100:g}", exemplars=share == 0.99)
            for share in (0.5, 0.95, 0.99)
        ),
        about="Points are deliveries: their link opens them.",
    ),
    lines(
        "Attempts, by outcome",
        "reqps",
        Query(f"sum by (outcome) (rate(bridge_attempts_total{{{OF_JOB}}}[$__rate_interval]))", "{{outcome}}"),
    ),
    lines(
        "Late or failed, by hook",
        "percentunit",
        Query(
            f"topk(10, (sum by (hook) (rate({LATE}[$__rate_interval])) + "
            f"sum by (hook) (rate({FAILED}[$__rate_interval]))) / "
            f"(sum by (hook) (rate({ENDED}[$__rate_interval])) > 0))",
            "{{hook}}",
        ),
        about="Share of the deliveries that ended; the ten worst.",
    ),
    lines(
        "Events that no hook asked for",
        "reqps",
        Query(
            f"sum by (source) (rate(bridge_events_unmatched_total{{{OF_JOB}}}[$__rate_interval]))",
            "{{source}}",
        ),
    ),
]


_WORST_FIRST = (
    f"4 * max by (hook) (bridge_hook_broken{{{OF_JOB}}})",
    f"3 * max by (hook) (bridge_hook_paused{{{OF_JOB}}})",
    f"2 * max by (hook) (bridge_breaker_state{{{OF_JOB}}} > bool 0)",
    f"max by (hook) (bridge_hook_failing{{{OF_JOB}}})",
)
_TROUBLE: list[Panel] = [
    states(
        "Hooks with trouble",
        {
            1: ("failing", "orange"),
            2: ("breaker open", "red"),
            3: ("paused", "purple"),
            4: ("broken", "dark-red"),
        },
        Query(" or ".join(f"{state} > 0" for state in _WORST_FIRST), "{{hook}}"),
        wide=24,
    ),
    lines(
        "Retries scheduled, by hook",
        "reqps",
        Query(
            f"topk(10, sum by (hook) (rate(bridge_retries_scheduled_total{{{OF_JOB}}}[$__rate_interval])))",
            "{{hook}}",
        ),
    ),
    lines(
        "Parked in lanes, by reason",
        "reqps",
        Query(f"sum by (reason) (rate(bridge_parked_total{{{OF_JOB}}}[$__rate_interval]))", "{{reason}}"),
    ),
    lines(
        "Put into quarantine, by reason",
        "reqps",
        Query(
            f"sum by (source, reason) (rate(bridge_events_quarantined_total{{{OF_JOB}}}[$__rate_interval]))",
            "{{source}} {{reason}}",
        ),
    ),
    lines(
        "Events that came before",
        "reqps",
        Query(f"sum by (kind) (rate(bridge_duplicates_total{{{OF_JOB}}}[$__rate_interval]))", "{{kind}}"),
        about="Not delivered again: handed out once more by the broker, or published twice.",
    ),
    lines(
        "Filters without an answer",
        "reqps",
        Query(
            f"topk(10, sum by (hook) (rate(bridge_filter_errors_total{{{OF_JOB}}}[$__rate_interval])))",
            "{{hook}}",
        ),
    ),
    lines(
        "Oldest waiting, by hook",
        "s",
        Query(f"topk(10, max by (hook) (bridge_oldest_waiting_seconds{{{OF_JOB}}}))", "{{hook}}"),
    ),
]


def overview_text() -> str:
    """The JSON of the dashboard *Overview*."""
    return text_of(
        "amqp-bridge-overview",
        "amqp-bridge / Overview",
        "Is all well, and if not, where?",
        [("Now", _NOW), ("Flow", _FLOW), ("Trouble", _TROUBLE)],
    )
