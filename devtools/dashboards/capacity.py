"""The dashboard for sizing: what the bridge uses of what it may use."""

from devtools.dashboards.panels import OF_JOB, Panel, Query, lines, text_of

_DELIVERED = f"sum by (instance) (rate(bridge_deliveries_total{{{OF_JOB}}}[$__rate_interval]))"
_CPU = f"rate(process_cpu_seconds_total{{{OF_JOB}}}[$__rate_interval])"
_PROCESS: list[Panel] = [
    lines("Processor", "percentunit", Query(_CPU, "{{instance}}"), about="1 is one whole core."),
    lines(
        "Processor time for each delivery",
        "s",
        Query(f"sum by (instance) ({_CPU}) / ({_DELIVERED} > 0)", "{{instance}}"),
    ),
    lines(
        "Attempts under way",
        "none",
        Query(f"topk(15, sum by (hook) (bridge_in_flight{{{OF_JOB}}}))", "{{hook}}"),
        about="At a hook's concurrency, its endpoint is what limits.",
        stacked=True,
    ),
    lines("Resident memory", "bytes", Query(f"process_resident_memory_bytes{{{OF_JOB}}}", "{{instance}}")),
    lines(
        "Bodies held, by holder",
        "bytes",
        Query(f"sum by (holder) (bridge_memory_held_bytes{{{OF_JOB}}})", "{{holder}}"),
        stacked=True,
    ),
    lines(
        "Budget of bodies in use",
        "percentunit",
        Query(
            f"sum by (instance) (bridge_memory_held_bytes{{{OF_JOB}}}) / on (instance) "
            f"sum by (instance) (bridge_memory_budget_bytes{{{OF_JOB}}})",
            "{{instance}}",
        ),
        about="From 50 % on nothing is read from the broker.",
    ),
    lines(
        "Open files",
        "percentunit",
        Query(f"process_open_fds{{{OF_JOB}}} / process_max_fds{{{OF_JOB}}}", "{{instance}}"),
    ),
    lines(
        "Garbage collections",
        "cps",
        Query(
            f"sum by (generation) (rate(python_gc_collections_total{{{OF_JOB}}}[$__rate_interval]))",
            "{{generation}}",
        ),
    ),
    lines("Running for", "s", Query(f"time() - process_start_time_seconds{{{OF_JOB}}}", "{{instance}}")),
]


_COMMIT = f"sum by (le) (rate(bridge_history_commit_seconds_bucket{{{OF_JOB}}}[$__rate_interval]))"
_COMMITS = f"sum(rate(bridge_history_commit_seconds_count{{{OF_JOB}}}[$__rate_interval]))"
_DATABASE: list[Panel] = [
    lines(
        "Commits",
        "s",
        *(
            Query(f"histogram_quantile({share}, {_COMMIT})", f"p{share * 100:g}")
            for share in (0.5, 0.95, 0.99)
        ),
    ),
    lines(
        "Rows in a commit",
        "none",
        Query(
            f"sum(rate(bridge_history_batch_size_sum{{{OF_JOB}}}[$__rate_interval])) / ({_COMMITS} > 0)",
            "on average",
        ),
    ),
    lines("Size of the history", "bytes", Query(f"max(bridge_history_bytes{{{OF_JOB}}})", "history")),
    lines(
        "Database answers",
        "none",
        Query(f"min by (instance) (bridge_database_up{{{OF_JOB}}})", "{{instance}}"),
    ),
]


_REUSED = f"sum by (reused) (rate(bridge_http_connections_total{{{OF_JOB}}}[$__rate_interval]))"
_HTTP: list[Panel] = [
    lines("Webhook connections, by reused", "reqps", Query(_REUSED, "{{reused}}"), stacked=True),
    lines(
        "Requests to inlets, by answer",
        "reqps",
        Query(
            f"sum by (inlet, answer) (rate(bridge_inlet_requests_total{{{OF_JOB}}}[$__rate_interval]))",
            "{{inlet}} {{answer}}",
        ),
    ),
]


_ENDS: list[Panel] = [
    lines(
        "Client certificates: time left",
        "s",
        Query(
            f"min by (use) (bridge_certificate_expiry_timestamp_seconds{{{OF_JOB}}}) - time()",
            "{{use}}",
        ),
    ),
    lines(
        "Tokens of the API: time left",
        "s",
        Query(f"min(bridge_token_expiry_timestamp_seconds{{{OF_JOB}}}) - time()", "the next one"),
    ),
]


def capacity_text() -> str:
    """The JSON of the dashboard *Capacity*."""
    return text_of(
        "amqp-bridge-capacity",
        "amqp-bridge / Capacity",
        "What the bridge uses of processor, memory, database and connections.",
        [("Process", _PROCESS), ("Database", _DATABASE), ("HTTP", _HTTP), ("What ends", _ENDS)],
    )
