"""The dashboard of the broker: sources, lanes, the ladder, connections."""

from devtools.dashboards.panels import OF_JOB, Panel, Query, lines, states, text_of

DEPTH = f"bridge_queue_depth{{{OF_JOB}"
_REFUSED = (
    'max by (queue) (rabbitmq_detailed_queue_messages{queue=~".+\\\\.delay\\\\.\\\\d+"}'
    " - rabbitmq_detailed_queue_messages_ready) or vector(0)"
)


_QUEUES: list[Panel] = [
    lines(
        "Sources: messages that wait",
        "none",
        Query(
            f"max by (source) ({DEPTH}}} * on (job, instance, queue) group_left (source) "
            f"bridge_source_info{{{OF_JOB}}})",
            "{{source}}",
        ),
    ),
    lines(
        "Lanes: deliveries that wait",
        "none",
        Query(
            "topk(15, label_replace(max by (queue) ("
            f'{DEPTH}, queue=~".+\\\\.lane\\\\..+|other"}}), "hook", "$1", "queue", ".+\\\\.lane\\\\.(.+)"))',
            "{{hook}}",
        ),
        about="The fifteen deepest.",
    ),
    lines(
        "Ladder: retries that wait",
        "none",
        Query(
            "label_replace(max by (queue) ("
            f'{DEPTH}, queue=~".+\\\\.delay\\\\.\\\\d+"}}), "step", "$1 s", "queue", ".+\\\\.(\\\\d+)")',
            "{{step}}",
        ),
        stacked=True,
    ),
    lines(
        "Orphans and dead letters",
        "none",
        Query(f'max by (queue) ({DEPTH}, queue=~".+\\\\.(orphans|dead)"}})', "{{queue}}"),
    ),
    lines(
        "Retries that are overdue or gone",
        "none",
        Query(f"max by (step) (bridge_ladder_overdue{{{OF_JOB}}})", "overdue {{step}} s"),
        Query(f"max by (step) (bridge_ladder_gone{{{OF_JOB}}})", "gone {{step}} s"),
        Query(_REFUSED, "refused {{queue}}"),
        about="Refused: by a full lane, which RabbitMQ's own metrics tell.",
    ),
    lines(
        "Stale copies",
        "reqps",
        Query(f"sum(rate(bridge_stale_copies_total{{{OF_JOB}}}[$__rate_interval]))", "dropped"),
        about="Copies that were overtaken, for instance by a retry by hand.",
    ),
]


_UP = {0: ("no", "red"), 1: ("yes", "green")}
_CONSUMERS: list[Panel] = [
    states("Consumed", _UP, Query(f"max by (queue) (bridge_consumer_up{{{OF_JOB}}})", "{{queue}}")),
    states(
        "Connected",
        _UP,
        Query(f"min by (instance, role) (bridge_connection_up{{{OF_JOB}}})", "{{instance}} {{role}}"),
    ),
    lines(
        "Since the last message",
        "s",
        Query(
            f"time() - max by (source) (bridge_last_message_timestamp_seconds{{{OF_JOB}}} * on (job, instance, queue) "
            f"group_left (source) bridge_source_info{{{OF_JOB}}})",
            "{{source}}",
        ),
    ),
    lines(
        "Consumers and connections lost",
        "none",
        Query(
            f"sum by (reason) (increase(bridge_consumers_lost_total{{{OF_JOB}}}[$__range]))",
            "consumer: {{reason}}",
        ),
        Query(
            f"sum by (role) (increase(bridge_reconnects_total{{{OF_JOB}}}[$__range]))",
            "connection: {{role}}",
        ),
    ),
    states(
        "Sources as their publishers declare them",
        {-1: ("unknown", "blue"), 0: ("yes", "green"), 1: ("no", "red")},
        Query(f"max by (source) (bridge_source_contract_mismatch{{{OF_JOB}}})", "{{source}}"),
        wide=8,
    ),
    lines(
        "Handed out again by the broker",
        "reqps",
        Query(
            f"sum by (source) (rate(bridge_redelivered_total{{{OF_JOB}}}[$__rate_interval]))",
            "{{source}}",
        ),
    ),
    lines(
        "Settled, by how",
        "reqps",
        Query(
            f"sum by (result) (rate(bridge_events_settled_total{{{OF_JOB}}}[$__rate_interval]))",
            "{{result}}",
        ),
    ),
    lines(
        "Streams: offset that is done",
        "none",
        Query(f"max by (source) (bridge_stream_offset{{{OF_JOB}}})", "{{source}}"),
    ),
]


_CONFIRM = f"sum by (le) (rate(bridge_publish_confirm_seconds_bucket{{{OF_JOB}}}[$__rate_interval]))"
_PUBLISHING: list[Panel] = [
    lines(
        "Publishes, by answer",
        "reqps",
        Query(f"sum by (outcome) (rate(bridge_publish_total{{{OF_JOB}}}[$__rate_interval]))", "{{outcome}}"),
    ),
    lines(
        "Confirms",
        "s",
        *(
            Query(f"histogram_quantile({share}, {_CONFIRM})", f"p{share * 100:g}")
            for share in (0.5, 0.95, 0.99)
        ),
    ),
    states(
        "Blocked, or login refused",
        {0: ("no", "green"), 1: ("yes", "red")},
        Query(f"max by (role) (bridge_connection_blocked{{{OF_JOB}}})", "blocked: {{role}}"),
        Query(f"max by (role) (bridge_login_refused{{{OF_JOB}}}) or vector(0)", "refused: {{role}}"),
        wide=8,
    ),
]


def broker_text() -> str:
    """The JSON of the dashboard *Broker and lanes*."""
    return text_of(
        "amqp-bridge-broker",
        "amqp-bridge / Broker and lanes",
        "What waits on the broker, and how the bridge is connected to it.",
        [("Queues", _QUEUES), ("Consumers", _CONSUMERS), ("Publishing", _PUBLISHING)],
    )
