"""The parts that the dashboards for Grafana are made of: panels, and the frame around them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grafana_foundation_sdk.builders import (
    common,
    dashboard,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import prometheus as prometheus_models

SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
UI = "${bridge}/ui/"
OF_JOB = 'job=~"$job"'
"""The matcher of the chosen bridges, in every expression."""
Panel = timeseries.Panel | stat.Panel | statetimeline.Panel | table.Panel


@dataclass(frozen=True)
class Query:
    """An expression, and how its series are named; `exemplars` are drawn as points that lead to a delivery."""

    expr: str
    legend: str = ""
    exemplars: bool = False
    instant: bool = False

    def build(self, place: int) -> prometheus.Dataquery:
        """The query as the place-th of its panel."""
        query = prometheus.Dataquery().datasource(SOURCE).ref_id(chr(ord("A") + place)).expr(self.expr)
        query = query.legend_format(self.legend or "__auto")
        return query.instant() if self.instant else query.exemplar(self.exemplars).range()


def lines(
    title: str, unit: str, *queries: Query, about: str = "", wide: int = 8, stacked: bool = False
) -> Panel:
    """A panel of lines over time; `wide` is in 24ths of the screen."""
    panel = timeseries.Panel().title(title).unit(unit).description(about).datasource(SOURCE)
    panel = (
        panel.span(wide)
        .height(8)
        .min(0)
        .fill_opacity(25 if stacked else 8)
        .show_points(common_models.VisibilityMode.NEVER)
    )
    panel = panel.legend(
        common.VizLegendOptions()
        .display_mode(common_models.LegendDisplayMode.LIST)
        .placement(common_models.LegendPlacement.BOTTOM)
        .show_legend(True)
    )
    if stacked:
        panel = panel.stacking(common.StackingConfig().mode(common_models.StackingMode.NORMAL))
    link = dashboard.DashboardLink("Open the hook").url(UI + "hooks/${__field.labels.hook}")
    if any("{{hook}}" in query.legend for query in queries):
        panel = panel.data_links([link])
    for place, query in enumerate(queries):
        panel = panel.with_target(query.build(place))
    return panel


def number(title: str, unit: str, query: Query, *, about: str = "", bad_from: float | None = None) -> Panel:
    """The last value, large; red from `bad_from` on."""
    steps = [models.Threshold(value=None, color="green")]
    if bad_from is not None:
        steps.append(models.Threshold(value=bad_from, color="red"))
    panel = stat.Panel().title(title).unit(unit).description(about).datasource(SOURCE).span(4).height(4)
    limits = dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps)
    return panel.thresholds(limits).with_target(query.build(0))


def states(
    title: str, words: Mapping[int, tuple[str, str]], *queries: Query, about: str = "", wide: int = 12
) -> Panel:
    """Bars over time; `words` has a text and a colour for each value."""
    options = {
        f"{value:g}": models.ValueMappingResult(text=text, color=color, index=place)
        for place, (value, (text, color)) in enumerate(words.items())
    }
    panel = statetimeline.Panel().title(title).description(about).datasource(SOURCE).span(wide).height(8)
    panel = panel.mappings([models.ValueMap(options=options)]).merge_values(True)
    for place, query in enumerate(queries):
        panel = panel.with_target(query.build(place))
    return panel


def rows(title: str, query: Query, *, about: str = "", wide: int = 24) -> Panel:
    """A table of the present series, with their labels."""
    target = query.build(0).format(prometheus_models.PromQueryFormat.TABLE)
    return (
        table.Panel()
        .title(title)
        .description(about)
        .datasource(SOURCE)
        .span(wide)
        .height(7)
        .with_target(target)
    )


def text_of(
    uid: str,
    title: str,
    about: str,
    sections: Iterable[tuple[str, Sequence[Panel]]],
    more: Sequence[dashboard.QueryVariable] = (),
) -> str:
    """A whole dashboard as JSON. `sections` are rows with their panels, `more` are further variables."""
    made = dashboard.Dashboard(title).uid(uid).description(about).tags(["amqp-bridge"]).readonly()
    made = (
        made.time("now-1h", "now")
        .refresh("30s")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .timezone("browser")
    )
    made = made.link(_link("Bridge", UI)).link(
        dashboard.DashboardLink("Dashboards")
        .type(models.DashboardLinkType.DASHBOARDS)
        .tags(["amqp-bridge"])
        .as_dropdown(True)
        .include_vars(True)
        .keep_time(True)
    )
    for variable in (*_variables(), *more):
        made = made.with_variable(variable)
    for annotation in _ANNOTATIONS:
        made = made.annotation(annotation.build())
    for name, panels in sections:
        made = made.with_row(dashboard.Row(name))
        for panel in panels:
            made = made.with_panel(panel)
    payload = json.loads(JSONEncoder(sort_keys=True).encode(made.build()))
    for annotation, said in zip(payload["annotations"]["list"], _ANNOTATIONS, strict=True):
        annotation |= {"titleFormat": said.name, "textFormat": said.text}
    for place, panel in enumerate(payload["panels"], 1):
        panel["id"] = place
    return json.dumps(payload, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def variable(name: str, label: str, query: str, *, whole: str | None = None) -> dashboard.QueryVariable:
    """A variable whose values are those of a label; with `whole`, all of them may be chosen, which is that pattern."""
    made = dashboard.QueryVariable(name).label(label).datasource(SOURCE).query(query)
    made = made.refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(
        models.VariableSort.ALPHABETICAL_ASC
    )
    if whole is None:
        return made
    everything = models.VariableOption(text="All", value="$__all", selected=True)
    return made.multi(True).include_all(True).all_value(whole).current(everything)


def _variables() -> tuple[Any, ...]:
    return (
        dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"),
        variable("job", "Job", "label_values(bridge_build_info, job)", whole=".+"),
        dashboard.TextBoxVariable("bridge")
        .label("Address of the bridge")
        .default_value("http://127.0.0.1:8080"),
    )


def _link(title: str, url: str) -> dashboard.DashboardLink:
    return (
        dashboard.DashboardLink(title)
        .type(models.DashboardLinkType.LINK)
        .url(url)
        .icon("external link")
        .target_blank(True)
    )


@dataclass(frozen=True)
class Annotation:
    """What is marked in all panels at its time."""

    name: str
    expr: str
    text: str
    color: str

    def build(self) -> dashboard.AnnotationQuery:
        """As Grafana has it."""
        made = dashboard.AnnotationQuery().name(self.name).datasource(SOURCE).enable(True)
        return made.icon_color(self.color).expr(self.expr)


_ANNOTATIONS = (
    Annotation(
        "Starts and deployments",
        f"(time() - process_start_time_seconds{{{OF_JOB}}} < 60 + $__interval_ms / 1000) "
        f"* on (job, instance) group_left (version) bridge_build_info{{{OF_JOB}}}",
        "{{instance}} started, version {{version}}",
        "blue",
    ),
    Annotation(
        "Pauses", f"max by (hook) (bridge_hook_paused{{{OF_JOB}}}) == 1", "{{hook}} is paused", "orange"
    ),
)
