"""Looks at the real broker and database and says what was found; changes nothing that stays."""

from collections.abc import Callable, Sequence
from pathlib import Path

from bridge.admin.check import check, warnings
from bridge.admin.doctor import Diagnosis, of_configuration, of_database, of_http, of_owner, of_secrets
from bridge.admin.doctor_broker import longest_attempt, of_broker, of_timeouts
from bridge.admin.doctor_policies import of_policies
from bridge.admin.doctor_sources import of_sources
from bridge.app.connections import broker_address
from bridge.broker.survey import Survey, reached
from bridge.broker.topology import Names
from bridge.model.errors import BrokerUnavailable
from bridge.ports.survey import FoundBridge, FoundBroker, FoundPolicies
from bridge.settings.loading import Loaded
from bridge.settings.tree import Settings
from bridge.storage.survey import survey_database

_MOST_LANES = 500
"""Lanes looked at: those of the first hooks, of the file and then of the API."""


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
    database = await survey_database(url.get_secret_value(), str(url), settings.storage.tls)
    findings += of_database(database)
    findings += of_secrets(settings)
    step("broker")
    broker = await _broker(settings, database.hooks)
    findings += of_owner(database, broker, settings)
    findings += of_broker(broker, policies.granted, settings)
    running = [bridge.replicas for bridge in bridges if bridge.running]
    findings += of_sources(broker, policies.queues, settings, max(running, default=None))
    timeouts = {hook: seconds for bridge in bridges for hook, seconds in bridge.timeouts.items()}
    findings += of_timeouts(settings, timeouts)
    if broker.objects:
        version = next(each.version for each in broker.endpoints if not each.failure)
        queues = [found.name for found in broker.objects if found.kind == "queue"]
        longest = longest_attempt(settings, timeouts)[1]
        findings += of_policies(policies, queues, settings, version=version, longest=longest)
    findings += of_http(bridges, settings)
    return findings


async def _broker(settings: Settings, others: Sequence[str]) -> FoundBroker:
    """`others`: ids of hooks that are not in the file."""
    broker = settings.broker
    hooks = [*(hook.id for hook in settings.hooks), *others][:_MOST_LANES]
    async with reached(broker_address(broker, broker)) as (endpoints, link):
        if link is None:
            return FoundBroker(endpoints)
        survey = Survey(link, Names(broker.prefix), broker.queue_type)
        try:
            return FoundBroker(
                endpoints,
                await survey.rights(),
                tuple([await survey.source(source.queue) for source in settings.sources]),
                await survey.objects(hooks),
            )
        except BrokerUnavailable as error:
            raise BrokerUnavailable(f"the connection was lost while looking: {error}") from error
