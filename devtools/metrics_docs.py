"""The table of all metrics, from the catalogue."""

from bridge.telemetry.catalogue import CATALOGUE, Kind, Spec
from bridge.telemetry.metrics import LABELLED_HOOKS

INTRODUCTION = f"""\
# Metrics

Made from the code by `./dev generate`; do not edit.

They stand on `/metrics` in the text format of Prometheus, or as OpenMetrics for whoever accepts that; alerts and dashboards made of
them are described in [monitoring.md](monitoring.md). Label values are bounded: never a URL, the id of an event, or
the text of an error. Beyond {LABELLED_HOOKS} hooks the label `hook` (and `queue` for lanes) folds into `other`, unless
`metrics.every_hook` is on; that of `bridge_attempt_duration_seconds` does in any case. A gauge of which nothing is known yet
has no sample. Beside them stand `process_*` (memory, CPU, files) and `python_*` (version, garbage collection) of
prometheus-client.

| metric | type | labels | meaning |
|---|---|---|---|
"""
BUCKETS = """
## Buckets of the histograms

| metric | upper bounds |
|---|---|
"""


def metrics_text() -> str:
    """The page about metrics."""
    histograms = [spec for spec in CATALOGUE if spec.kind is Kind.HISTOGRAM]
    return INTRODUCTION + "".join(map(_row, CATALOGUE)) + BUCKETS + "".join(map(_buckets, histograms))


def _row(spec: Spec) -> str:
    labels = ", ".join(f"`{label}`" for label in spec.labels)
    return f"| `{spec.name}` | {spec.kind} | {labels} | {spec.help} |\n"


def _buckets(spec: Spec) -> str:
    return f"| `{spec.name}` | {', '.join(f'{bound:g}' for bound in spec.buckets)} |\n"
