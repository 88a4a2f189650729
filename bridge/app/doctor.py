"""Looks at the real broker and database and says what was found; changes nothing that stays."""

from collections.abc import Callable, Sequence
from pathlib import Path

from bridge.admin.check import check, warnings
from bridge.admin.doctor import Diagnosis, of_configuration, of_database, of_http, of_secrets
from bridge.admin.doctor_broker import of_broker, of_sources, of_timeouts
from bridge.admin.doctor_policies import of_policies
from bridge.app.connections import broker_address
from bridge.broker.survey import Survey, reached
from bridge.broker.topology import Names
from bridge.model.errors import BrokerUnavailable
from bridge.ports.survey import FoundBridge, FoundBroker, FoundPolicies
from bridge.settings.loading import Loaded
from bridge.settings.tree import Settings
from bridge.storage.survey import survey_database

_MOST_LANES = 500
"""Lanes looked at: those of the first hooks of the file."""


async def diagnose(
    loaded: Loaded,
    base: Path,
    bridges: Sequence[FoundBridge],
    policies: FoundPolicies,
    step: Callable[[str], None],
) -> list[Diagnosis]:
    """All findings about this configuration, as far as it is valid.

    `bridges` answer at its addresses, `policies` come from the management API; `step` hears what is looked at next.
    """
    settings = loaded.settings
    problems = [*loaded.problems, *loaded.located(check(settings, base))]
    findings = list(of_configuration(problems, loaded.located(warnings(settings)), settings))
    step("database")
    url = settings.storage.url
    findings += of_database(await survey_database(url.get_secret_value(), str(url), settings.storage.tls))
    findings += of_secrets(settings)
    step("broker")
    broker = await _broker(settings)
    findings += of_broker(broker, settings)
    running = [bridge.replicas for bridge in bridges if bridge.running]
    findings += of_sources(broker.sources, settings, max(running, default=None))
    findings += of_timeouts(settings)
    if broker.objects:
        findings += of_policies(policies, _queues(broker, settings), settings)
    findings += of_http(bridges, settings)
    return findings


def _queues(broker: FoundBroker, settings: Settings) -> list[str]:
    """Names of our queues, lanes that are not there yet included."""
    names = Names(settings.broker.prefix)
    shared = [found.name for found in broker.objects if found.kind == "queue"]
    return [*shared, *(names.lane(hook.id) for hook in settings.hooks[:_MOST_LANES])]


async def _broker(settings: Settings) -> FoundBroker:
    broker = settings.broker
    async with reached(broker_address(broker, broker)) as (endpoints, link):
        if link is None:
            return FoundBroker(endpoints)
        survey = Survey(link, Names(broker.prefix), broker.queue_type)
        try:
            return FoundBroker(
                endpoints,
                await survey.rights(),
                tuple([await survey.source(source.queue) for source in settings.sources]),
                await survey.objects([hook.id for hook in settings.hooks[:_MOST_LANES]]),
            )
        except BrokerUnavailable as error:
            raise BrokerUnavailable(f"the connection was lost while looking: {error}") from error
