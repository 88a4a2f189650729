"""Why events go where they go, by today's table: a stored event, or a message that was never published."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bridge.admin.findings import as_object, decision
from bridge.admin.inspection import inspect, source_of
from bridge.admin.look_hooks import breaker_word
from bridge.admin.wrapped import described
from bridge.model.errors import Problem, SettingsError
from bridge.model.event import Event, Message
from bridge.model.source import Source
from bridge.model.value import value
from bridge.pipeline.hook import HookRunner
from bridge.pipeline.table import HookTable
from bridge.rules.duplicates.keys import keyed_by
from bridge.rules.formats.decoder import Decoder
from bridge.rules.routing.table import Decision, Explanation
from bridge.settings.shape import nearest


@value(frozen=True, slots=True)
class Asked:
    """A message that is asked about; `source` is what was given for its source, None: nothing."""

    message: Message
    source: Any
    notes: list[str]


def asked(text: bytes) -> Asked:
    """What is asked with a message written as `inspect --message` takes it, and `source` beside it.

    Raises SettingsError, with the path, for what describes no message.
    """
    notes: list[str] = []
    message, further = described(text, "", notes.append, ("source",))
    return Asked(message, further.get("source"), notes)


class Explain:
    """Asks every hook in force; delivers nothing and counts nothing."""

    def __init__(
        self,
        table: HookTable,
        sources: Sequence[Source],
        decoders: Mapping[str, Decoder],
        new_id: Callable[[], str],
    ) -> None:
        """`decoders` holds one for each source, by its name."""
        self._table = table
        self._sources = sources
        self._decoders = decoders
        self._new_id = new_id
        self._keys = {source.name: keyed_by(source) for source in sources}

    def event(self, event: Event) -> list[dict[str, Any]]:
        """What comes of each hook for the event, as DecisionDocuments in the order of the table."""
        return [self._decided(each) for each in self._table.routing.explain(event)]

    def message(self, asked: Asked) -> dict[str, Any]:
        """What would come of a message.

        Gives `source`, `events` (for each event in it what `inspect --json` prints) and `notes` on names that were
        passed over. Raises SettingsError where it cannot be told which source it comes from.
        """
        source = self._source(asked.message, asked.source)
        findings = inspect(
            asked.message,
            self._decoders[source.name],
            self._table.routing,
            new_id=self._new_id,
            received_at=time.time(),
            keys=self._keys[source.name],
        )
        events = []
        for finding in findings:
            seen = as_object(finding, configured=True)
            if isinstance(finding.found, Event):
                seen["hooks"] = [self._decided(each) for each in finding.hooks]
            events.append(seen)
        return {"source": source.name, "events": events, "notes": asked.notes}

    def _source(self, message: Message, name: Any) -> Source:
        known = {source.name: source for source in self._sources}
        if isinstance(name, str) and name in known:
            return known[name]
        if name is not None:
            hint = nearest(name, list(known)) if isinstance(name, str) else "; it must be a name"
            raise _problem(f"no such source{hint}")
        if (source := source_of(self._sources, message)) is None:
            raise _problem(f"say which source the message would come from: {', '.join(known)}")
        return source

    def _decided(self, explanation: Explanation) -> dict[str, Any]:
        decided = decision(explanation) | {"hook_name": explanation.hook.name}
        runner = self._table.get(explanation.hook.id)
        if explanation.decision is Decision.MATCH and runner is not None:
            decided["reason"] += _now(runner)
        return decided


def _now(runner: HookRunner) -> str:
    """What hinders a delivery to the hook for the time being, beside its configuration."""
    if runner.target is None:
        return "; this process does not serve its target: the delivery waits in its lane"
    if runner.hook.paused:
        return ""  # the decision tells it
    if runner.pause_reason:
        return f"; the hook is paused ({runner.pause_reason}): the delivery waits in its lane"
    if breaker_word(runner) != "closed":
        return "; its breaker is open: the delivery waits in its lane"
    return ""


def _problem(message: str) -> SettingsError:
    return SettingsError([Problem("source", message)])
