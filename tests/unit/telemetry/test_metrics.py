"""What /metrics says."""

import re
from collections import Counter
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from bridge.core.delivery import Delivery, Status, TraceContext
from bridge.telemetry.catalogue import CATALOGUE, LATE_AFTER, Kind
from bridge.telemetry.instruments import MOST_VALUES
from bridge.telemetry.metrics import LABELLED_HOOKS, Metrics
from tests.support.events import delivery

WRITTEN_IN_THE_DESIGN = """
bridge_events_received_total{source} bridge_events_settled_total{source,result}
bridge_events_unmatched_total{source} bridge_events_quarantined_total{source,reason}
bridge_deliveries_total{hook,target,status} bridge_attempts_total{hook,target,outcome}
bridge_attempt_duration_seconds{hook,target,outcome} bridge_event_age_seconds bridge_oldest_waiting_seconds{hook}
bridge_retries_scheduled_total{hook} bridge_parked_total{hook,reason} bridge_stale_copies_total
bridge_in_flight{hook} bridge_breaker_state{hook} bridge_hook_paused{hook} bridge_consumer_up{queue}
bridge_last_message_timestamp_seconds{queue} bridge_connection_up{role} bridge_connection_blocked{role}
bridge_reconnects_total{role} bridge_publish_total{outcome} bridge_publish_confirm_seconds
bridge_source_contract_mismatch{source} bridge_history_commit_seconds bridge_history_batch_size
bridge_http_connections_total{reused} bridge_script_exit_total{hook,code} bridge_queue_depth{queue}
bridge_ladder_overdue{step} bridge_ladder_gone{step} bridge_build_info{version,python} bridge_hook_broken{hook} bridge_history_bytes
bridge_quarantine_size
"""


class Scraped:
    def __init__(self, *, every_hook: bool = False) -> None:
        self.registry = CollectorRegistry()
        self.metrics = Metrics(self.registry, every_hook=every_hook)

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)

    def text(self) -> str:
        return generate_latest(self.registry).decode()

    def open_text(self) -> str:
        return str(openmetrics.generate_latest(self.registry), "utf-8")


def named(name: str, trace: TraceContext | None = None) -> Delivery:
    return replace(delivery(), id=name, trace=trace)


@pytest.fixture
def scraped() -> Scraped:
    return Scraped()


def test_the_catalogue_has_every_metric_that_dashboards_are_built_on():
    written = {
        name: tuple(filter(None, (labels or "").strip("{}").split(",")))
        for name, labels in re.findall(r"(bridge_\w+)(\{[^}]*\})?", WRITTEN_IN_THE_DESIGN)
    }
    catalogue = {spec.name: spec.labels for spec in CATALOGUE}
    assert catalogue.items() >= written.items()


def test_every_metric_is_exported_with_its_type_from_the_start(scraped: Scraped):
    text = scraped.text()
    for spec in CATALOGUE:
        assert f"# TYPE {spec.name} {spec.kind}\n" in text


def test_histograms_have_rising_bounds():
    for spec in CATALOGUE:
        assert (spec.kind is Kind.HISTOGRAM) == bool(spec.buckets)
        assert list(spec.buckets) == sorted(set(spec.buckets))


def test_a_delivery_is_counted_by_attempt_age_and_status(scraped: Scraped):
    hook = scraped.metrics.hook("crm", "webhook")
    hook.attempted("timeout", 15.0, named("d1"))
    hook.attempted("delivered", 0.02, named("d1"))
    hook.delivered(20.0, named("d1"))
    assert scraped.value("bridge_attempts_total", hook="crm", target="webhook", outcome="timeout") == 1
    assert (
        scraped.value("bridge_attempt_duration_seconds_sum", hook="crm", target="webhook", outcome="timeout")
        == 15
    )
    bucket = {"hook": "crm", "target": "webhook", "outcome": "delivered"}
    assert scraped.value("bridge_attempt_duration_seconds_bucket", **bucket, le="0.005") == 0
    assert scraped.value("bridge_attempt_duration_seconds_bucket", **bucket, le="0.025") == 1
    assert scraped.value("bridge_attempt_duration_seconds_bucket", **bucket, le="+Inf") == 1
    assert scraped.value("bridge_event_age_seconds_count") == 1
    assert scraped.value("bridge_deliveries_total", hook="crm", target="webhook", status="SUCCESS") == 1
    assert scraped.value("bridge_deliveries_total", hook="crm", target="webhook", status="FAILED") == 0


def test_a_value_on_a_bound_belongs_to_its_bucket(scraped: Scraped):
    scraped.metrics.rare.history_batch.observe(10)
    assert scraped.value("bridge_history_batch_size_bucket", le="5.0") == 0
    assert scraped.value("bridge_history_batch_size_bucket", le="10.0") == 1


def test_asking_again_gives_the_same_instruments(scraped: Scraped):
    metrics = scraped.metrics
    assert metrics.hook("a", "webhook") is metrics.hook("a", "webhook")
    assert metrics.source("s") is metrics.source("s")
    assert metrics.queue("q") is metrics.queue("q")


def test_what_is_not_known_has_no_sample(scraped: Scraped):
    queue = scraped.metrics.queue("hooks2")
    assert scraped.value("bridge_queue_depth", queue="hooks2") is None
    assert scraped.value("bridge_consumer_up", queue="hooks2") is None
    queue.depth.value = 7
    assert scraped.value("bridge_queue_depth", queue="hooks2") == 7


def test_hooks_beyond_the_limit_share_a_label(scraped: Scraped):
    hooks = [scraped.metrics.hook(f"h{n}", "webhook") for n in range(LABELLED_HOOKS + 3)]
    for hook in hooks:
        hook.in_flight.value += 2
        hook.ended(Status.FAILED)
    hooks[-1].breaker_state.value = 2
    assert scraped.value("bridge_in_flight", hook="h0") == 2
    assert scraped.value("bridge_in_flight", hook="other") == 6
    assert scraped.value("bridge_in_flight", hook=f"h{LABELLED_HOOKS}") is None
    assert scraped.value("bridge_deliveries_total", hook="other", target="webhook", status="FAILED") == 3
    assert scraped.value("bridge_breaker_state", hook="other") == 2
    lane = scraped.metrics.queue("bridge.lane.h201", lane_of="h201")
    lane.depth.value = 5
    assert scraped.value("bridge_queue_depth", queue="other") == 5


def test_a_thousand_hooks_make_no_thousand_series(scraped: Scraped):
    for n in range(1000):
        hook = scraped.metrics.hook(f"h{n}", "webhook")
        hook.attempted("timeout", 1.0, named("d1"))
        hook.delivered(1.0, named("d1"))
        hook.ended(Status.FAILED)
        hook.parked["paused"].value += 1
        hook.retries.value += 1
        hook.script_exits["7"].value += 1
        scraped.metrics.queue(f"bridge.lane.h{n}", lane_of=f"h{n}").depth.value = 1
    series = Counter(re.findall(r"^(bridge_\w+)\{", scraped.text(), re.MULTILINE))
    assert series["bridge_attempts_total"] == LABELLED_HOOKS + 1
    assert series["bridge_queue_depth"] == LABELLED_HOOKS + 1
    plain = {name: count for name, count in series.items() if not name.endswith("_bucket")}
    assert max(plain.values()) == series["bridge_deliveries_total"] == 3 * (LABELLED_HOOKS + 1)
    assert series["bridge_attempt_duration_seconds_count"] == LABELLED_HOOKS + 1
    assert scraped.value("bridge_attempts_total", hook="other", target="webhook", outcome="timeout") == (
        1000 - LABELLED_HOOKS
    )


def test_every_hook_may_have_its_own_label():
    scraped = Scraped(every_hook=True)
    for n in range(LABELLED_HOOKS + 1):
        scraped.metrics.hook(f"h{n}", "webhook")
    assert scraped.value("bridge_in_flight", hook=f"h{LABELLED_HOOKS}") == 0
    assert scraped.value("bridge_in_flight", hook="other") is None


def test_durations_of_hooks_beyond_the_limit_share_a_label_even_where_every_hook_has_its_own():
    scraped = Scraped(every_hook=True)
    for n in range(LABELLED_HOOKS + 2):
        scraped.metrics.hook(f"h{n}", "webhook").attempted("delivered", 0.1, named("d1"))
    labels = {"target": "webhook", "outcome": "delivered"}
    assert scraped.value("bridge_attempt_duration_seconds_count", hook="h0", **labels) == 1
    assert scraped.value("bridge_attempt_duration_seconds_count", hook="other", **labels) == 2
    scraped.metrics.drop_hook("h0")
    assert scraped.value("bridge_attempt_duration_seconds_count", hook="h0", **labels) is None
    scraped.metrics.hook("new", "webhook").attempted("delivered", 0.1, named("d1"))
    assert scraped.value("bridge_attempt_duration_seconds_count", hook="new", **labels) == 1
    assert scraped.value("bridge_attempt_duration_seconds_count", hook="other", **labels) == 2


def test_a_dropped_hook_leaves_no_sample_and_frees_its_label(scraped: Scraped):
    for n in range(LABELLED_HOOKS):
        scraped.metrics.hook(f"h{n}", "webhook").parked["paused"].value += 1
    scraped.metrics.drop_hook("h0")
    assert 'hook="h0"' not in scraped.text()
    scraped.metrics.hook("new", "webhook")
    assert scraped.value("bridge_in_flight", hook="new") == 0


def test_the_total_of_other_never_falls_when_a_hook_goes(scraped: Scraped):
    hooks = [scraped.metrics.hook(f"h{n}", "webhook") for n in range(LABELLED_HOOKS + 2)]
    for hook in hooks:
        hook.retries.value += 1
        hook.attempted("delivered", 0.1, named("d1"))
    scraped.metrics.drop_hook(f"h{LABELLED_HOOKS + 1}")
    assert scraped.value("bridge_retries_scheduled_total", hook="other") == 2
    labels = {"hook": "other", "target": "webhook", "outcome": "delivered"}
    assert scraped.value("bridge_attempts_total", **labels) == 2


def test_a_dropped_queue_leaves_no_sample(scraped: Scraped):
    scraped.metrics.queue("gone").depth.value = 1
    scraped.metrics.drop_queue("gone")
    assert 'queue="gone"' not in scraped.text()


def test_the_values_of_a_label_are_bounded(scraped: Scraped):
    for n in range(MOST_VALUES + 50):
        scraped.metrics.published[f"o{n}"].value += 1
    assert scraped.value("bridge_publish_total", outcome="other") == 50


def test_label_values_are_escaped(scraped: Scraped):
    scraped.metrics.queue('my "queue"\n').depth.value = 1
    assert 'queue="my \\"queue\\"\\n"' in scraped.text()


def test_the_name_of_a_hook_is_told_and_follows_it_until_it_is_gone():
    registry = CollectorRegistry()
    metrics = Metrics(registry)

    def names() -> list[dict[str, str]]:
        found = [each for each in registry.collect() if each.name == "bridge_hook_info"]
        return [sample.labels for each in found for sample in each.samples]

    metrics.name_hook("hk_1", "crm")
    metrics.name_hook("hk_1", "crm")
    assert names() == [{"hook": "hk_1", "name": "crm"}]
    metrics.name_hook("hk_1", "crm-new")
    assert names() == [{"hook": "hk_1", "name": "crm-new"}]
    metrics.drop_hook("hk_1")
    assert names() == []


def test_a_delivery_that_took_longer_than_a_minute_is_late(scraped: Scraped):
    hook = scraped.metrics.hook("crm", "webhook")
    labels = {"hook": "crm", "target": "webhook"}
    hook.delivered(LATE_AFTER, named("d1"))
    assert scraped.value("bridge_deliveries_late_total", **labels) == 0
    hook.delivered(LATE_AFTER + 0.1, named("d2"))
    assert scraped.value("bridge_deliveries_late_total", **labels) == 1
    assert scraped.value("bridge_event_age_seconds_bucket", le=f"{LATE_AFTER:.1f}") == 1
    scraped.metrics.drop_hook("crm")
    assert scraped.value("bridge_deliveries_late_total", **labels) is None


def test_certificates_that_end_first_are_told_and_others_are_forgotten(scraped: Scraped):
    metrics = scraped.metrics
    metrics.certificates_end({f"hook:{n}": 1000.0 + n for n in range(LABELLED_HOOKS + 5)})
    assert scraped.value("bridge_certificate_expiry_timestamp_seconds", use="hook:0") == 1000
    assert scraped.value("bridge_certificate_expiry_timestamp_seconds", use=f"hook:{LABELLED_HOOKS}") is None
    metrics.certificates_end({"broker": 5.0})
    assert scraped.value("bridge_certificate_expiry_timestamp_seconds", use="broker") == 5
    assert scraped.value("bridge_certificate_expiry_timestamp_seconds", use="hook:0") is None


def exemplars(text: str) -> list[str]:
    return re.findall(r'^\w+\{[^}]*le="([^"]+)"[^}]*\} \S+ # \{delivery_id="\w+"\}', text, re.MULTILINE)


def test_each_bucket_has_one_exemplar_from_the_first_scrape_on_that_asks(scraped: Scraped):
    hook = scraped.metrics.hook("crm", "webhook")
    hook.attempted("delivered", 0.02, named("before"))
    assert exemplars(scraped.open_text()) == []
    scraped.metrics.want_examples()
    for name in ("first", "second"):
        hook.attempted("delivered", 0.02, named(name))
    hook.attempted("delivered", 3.0, named("third"))
    text = scraped.open_text()
    assert exemplars(text) == ["0.025", "5.0"]
    assert '# {delivery_id="first"} 0.02 ' in text
    assert '# {delivery_id="third"} 3.0 ' in text
    hook.attempted("delivered", 0.02, named("fourth"))
    assert 'delivery_id="fourth"' not in scraped.open_text()
    scraped.metrics.want_examples()
    hook.attempted("delivered", 0.02, named("fifth"))
    assert 'delivery_id="fifth"' in scraped.open_text()
    assert "delivery_id" not in scraped.text(), "the older format knows no exemplars"


@pytest.mark.parametrize(("flags", "told"), [("01", True), ("03", True), ("00", False)])
def test_an_exemplar_names_the_trace_of_its_delivery_if_that_is_recorded(
    scraped: Scraped, flags: str, told: bool
):
    hook = scraped.metrics.hook("crm", "webhook")
    hook.attempted("delivered", 0.02, named("before"))
    scraped.metrics.want_examples()
    hook.attempted("delivered", 0.02, named("d1", TraceContext(f"00-{'a' * 32}-{'b' * 16}-{flags}")))
    assert (f'# {{delivery_id="d1",trace_id="{"a" * 32}"}} 0.02 ' in scraped.open_text()) is told
    assert 'delivery_id="d1"' in scraped.open_text()


def test_the_open_format_is_well_formed(scraped: Scraped):
    scraped.metrics.want_examples()
    hook = scraped.metrics.hook("crm", "webhook")
    hook.attempted("delivered", 0.02, named("d1"))
    hook.delivered(0.02, named("d1"))
    names = {family.name for family in text_string_to_metric_families(scraped.open_text())}
    assert {"bridge_deliveries", "bridge_attempt_duration_seconds", "bridge_build_info"} <= names
