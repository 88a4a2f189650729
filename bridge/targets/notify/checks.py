"""What is wrong with the settings of a notify target, as far as can be seen without any network."""

from collections.abc import Iterator
from functools import partial
from urllib.parse import urlsplit

from bridge.model.target import NotifyTarget as Settings
from bridge.rules.routing.template import compile_template
from bridge.rules.wire.address import AddressGate
from bridge.targets.notify.services import check_endpoints, service
from bridge.targets.web.checks import Check
from bridge.targets.web.pool import literal_refusal


def notify_checks(settings: Settings) -> Iterator[Check]:
    """Titles, bodies, base URLs and each URL by its position; what they say never quotes a URL."""
    yield "target.title", partial(compile_template, settings.title, text=True)
    yield "target.body", partial(compile_template, settings.body, text=True)
    yield "target.endpoints", partial(check_endpoints, settings.endpoints)
    for position, url in enumerate(settings.urls):
        yield f"target.urls[{position}]", partial(service, url.get_secret_value(), position, settings)


def notify_addresses(settings: Settings, gate: AddressGate) -> Iterator[Check]:
    """Whether the addresses that stand in the settings themselves may be dialled."""
    for position, url in enumerate(settings.urls):
        yield (
            f"target.urls[{position}]",
            partial(_check_host, url.get_secret_value(), position, settings, gate),
        )
    for scheme, base in settings.endpoints.items():
        yield "target.endpoints", partial(_refuse, scheme, urlsplit(base).hostname or "", gate)


def _check_host(url: str, position: int, settings: Settings, gate: AddressGate) -> None:
    try:
        plugin = service(url, position, settings).plugin
    except ValueError:
        return  # notify_checks says so
    host = getattr(plugin, "smtp_host", None) or plugin.host
    _refuse(plugin.schema, str(host or "").strip("[]"), gate)


def _refuse(scheme: str, host: str, gate: AddressGate) -> None:
    if reason := literal_refusal(gate, host):
        raise ValueError(f"{scheme}: {reason}")
