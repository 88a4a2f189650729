"""Files that are made from code: `./dev generate` writes them, with --check it compares.

A generator is a function that returns the whole text. Register it here with the file's path:

    Generated("schemas/hook.schema.json", "devtools.settings_docs:hook_schema_text"),
"""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from devtools.chart import base, copies
from devtools.project import ROOT


@dataclass(frozen=True)
class Generated:
    """A file and the function ("module:function") whose text it must hold."""

    path: str
    source: str
    of_path: bool = False
    """Whether the function makes several files, and is given the path of the one that is wanted."""

    def text(self) -> str:
        """What the file should hold. Imported only now, so one broken generator does not stop the rest."""
        module, function = self.source.split(":")
        arguments = (self.path,) if self.of_path else ()
        return str(getattr(import_module(module), function)(*arguments))


FILES: tuple[Generated, ...] = (
    Generated("schemas/config.schema.json", "devtools.settings_docs:config_schema_text"),
    Generated("schemas/hook.schema.json", "devtools.settings_docs:hook_schema_text"),
    Generated("schemas/event.schema.json", "devtools.documents:event_schema_text"),
    Generated("schemas/delivery.schema.json", "devtools.documents:delivery_schema_text"),
    Generated("schemas/splynx.schema.json", "devtools.documents:splynx_schema_text"),
    Generated("schemas/phlix.schema.json", "devtools.documents:phlix_schema_text"),
    Generated("schemas/plinqx.schema.json", "devtools.documents:plinqx_schema_text"),
    Generated("schemas/cockpit.schema.json", "devtools.documents:cockpit_schema_text"),
    Generated("schemas/tiki.schema.json", "devtools.documents:tiki_schema_text"),
    Generated("schemas/cloudevents.schema.json", "devtools.documents:cloudevents_schema_text"),
    Generated("schemas/openapi.json", "devtools.openapi_docs:openapi_text"),
    Generated("bridge/http/openapi.json", "devtools.openapi_docs:served_text"),
    Generated("bridge/http/docs.html", "devtools.openapi_docs:page_text"),
    Generated("schemas/cli-help.txt", "devtools.surface:help_text"),
    Generated("schemas/log-events.txt", "devtools.surface:log_events_text"),
    Generated("schemas/broker.json", "devtools.surface:broker_text"),
    Generated("schemas/history.sql", "devtools.surface:tables_text"),
    Generated("docs/settings.md", "devtools.settings_docs:settings_text"),
    Generated("docs/events.md", "devtools.events_docs:events_text"),
    Generated("docs/metrics.md", "devtools.metrics_docs:metrics_text"),
    Generated("deploy/grafana/dashboards/overview.json", "devtools.dashboards.overview:overview_text"),
    Generated("deploy/grafana/dashboards/hook.json", "devtools.dashboards.hook:hook_text"),
    Generated("deploy/grafana/dashboards/broker.json", "devtools.dashboards.broker:broker_text"),
    Generated("deploy/grafana/dashboards/capacity.json", "devtools.dashboards.capacity:capacity_text"),
    # From here on copies of files above, and what is rendered from them: the order counts.
    *(Generated(path, "devtools.chart.copies:text_of", of_path=True) for path in copies.copied()),
    Generated("deploy/helm/amqp-bridge/values.schema.json", "devtools.chart.schema:values_schema_text"),
    Generated("deploy/helm/amqp-bridge/README.md", "devtools.chart.values:readme_text"),
    *(Generated(path, "devtools.chart.base:text_of", of_path=True) for path in base.files()),
)


def stale(files: Iterable[Generated], root: Path) -> Iterator[Generated]:
    """Those whose file is missing or says something else, each found when it is asked for: some are made from others."""
    return (file for file in files if current_text(root / file.path) != file.text())


def current_text(path: Path) -> str | None:
    """What the file holds, or None without one."""
    return path.read_text(encoding="utf-8") if path.exists() else None


def write(file: Generated, root: Path) -> None:
    """Brings the file up to date."""
    path = root / file.path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(file.text(), encoding="utf-8")
    print(f"wrote {file.path}")


def main(arguments: list[str]) -> int:
    """The exit code: with --check, 1 if a file is stale."""
    if arguments == ["--check"]:
        outdated = [file.path for file in stale(FILES, ROOT)]
        for path in outdated:
            print(f"{path} is stale: run `./dev generate` and commit it")
        return 1 if outdated else 0
    for file in stale(FILES, ROOT):
        write(file, ROOT)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
