"""The notify target: delivery by chat, push and mail services, through Apprise."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from urllib.parse import urlsplit

from apprise import NotifyType

from bridge.bodies.exact import unbuildable
from bridge.core.budget import Budget
from bridge.core.delivery import Answer, Delivery, Evidence, Fault
from bridge.core.event import Event
from bridge.core.ports import Preview
from bridge.core.target import NotifyTarget as Settings
from bridge.expressions.engine import EvaluationError
from bridge.expressions.template import compile_template
from bridge.targets.evidence import EvidenceRecorder, Rendering
from bridge.targets.notify.cutting import clean, one_line
from bridge.targets.notify.guard import Crew, PluginCall, TooManyHang
from bridge.targets.notify.outcome import Result, merged, result_of
from bridge.targets.notify.services import NotifyService, check_endpoints, service
from bridge.targets.notify.wording import Wording
from bridge.targets.webhook.address import Check
from bridge.targets.webhook.pool import literal_refusal
from bridge.wire.address_gate import AddressGate

MOST_THREADS = 16
"""Maximum threads of one hook: calls that may block at the same time."""

_NO_HTTP = frozenset({"mailto", "mailtos", "mqtt", "mqtts"})


@dataclass(frozen=True, slots=True)
class _Part:
    """One URL of the target; `token` stands for it in `Delivery.done`."""

    token: str
    service: NotifyService
    wording: Wording


@dataclass(frozen=True, slots=True)
class _Ended:
    """The result of a URL, and the pieces of its message that were delivered so far."""

    part: _Part
    result: Result
    had: frozenset[str]


class NotifySender:
    """The target that notifies each URL of a hook once of each event.

    The URLs of an attempt are notified concurrently, each in its own thread. The next attempt skips URLs that have the
    event, and delivered pieces of a long message. Raises ValueError for invalid settings; `notify_checks` names them.
    """

    def __init__(
        self,
        settings: Settings,
        gate: AddressGate,
        concurrency: int,
        name: str,
        rendering: Rendering | None = None,
    ) -> None:
        """Prepare the target; `name` is the hook's, for the names of its threads."""
        self._rendering = rendering or Rendering(Budget())
        self._timeout = settings.timeout
        self._gate = gate
        self._level = NotifyType(settings.level)
        self._title = compile_template(settings.title, text=True)
        self._body = compile_template(settings.body, text=True)
        self._parts = list(_parts(settings))
        self._told = EvidenceRecorder(settings)
        self._crew = Crew(min(MOST_THREADS, concurrency * len(self._parts)), f"notify-{name}")

    async def attempt(self, delivery: Delivery) -> Answer:
        """Notify the URLs that do not have the event yet; every fault is an Answer."""
        due = [part for part in self._parts if part.token not in delivery.done]
        wordings = [self._parts[0].wording, *(part.wording for part in due)]
        (plain, *worded), _held = await self._rendering.make(
            delivery.event, partial(self._all_words, wordings)
        )
        if unbuilt := next((words for words in worded if isinstance(words, Answer)), None):
            return unbuilt
        deadline = time.monotonic() + self._timeout
        ended = await asyncio.gather(
            *(
                self._tell(part, words, frozenset(delivery.done), deadline)
                for part, words in zip(due, worded, strict=True)
                if not isinstance(words, Answer)
            )
        )
        answer = merged(
            [one.result for one in ended],
            _done(delivery.done, ended),
            others_have_it=len(due) < len(self._parts),
        )
        return answer if isinstance(plain, Answer) else replace(answer, evidence=self._evidence(*plain))

    def preview(self, delivery: Delivery) -> Preview | Answer:
        """Returns title and text as the first service would get them now."""
        words = self._words(self._parts[0].wording, delivery.event)
        if isinstance(words, Answer):
            return words
        return Preview(self._evidence(*words), words[1].encode(errors="backslashreplace"), "text/plain")

    def _evidence(self, title: str, body: str) -> Evidence:
        return self._told.sent([("title", title)], body.encode(errors="backslashreplace"))

    async def close(self) -> None:
        """Close MQTT connections without waiting."""
        for part in self._parts:
            if part.service.close is not None:
                threading.Thread(target=part.service.close, name="notify-close", daemon=True).start()

    def _all_words(self, wordings: Sequence[Wording], event: Event) -> list[tuple[str, str] | Answer]:
        return [self._words(wording, event) for wording in wordings]

    def _words(self, wording: Wording, event: Event) -> tuple[str, str] | Answer:
        """Returns title and body for a service, with the values of placeholders escaped."""
        title = self._title.render(event, str)
        if isinstance(title, EvaluationError):
            return unbuildable(f"title: {title.detail}")
        body = self._body.render(event, wording.escape)
        if isinstance(body, EvaluationError):
            return unbuildable(f"body: {body.detail}")
        words = one_line(clean(title)), clean(body)
        return words if any(map(str.strip, words)) else unbuildable("title and body are both empty")

    async def _tell(
        self, part: _Part, words: tuple[str, str], done: frozenset[str], deadline: float
    ) -> _Ended:
        where = part.service.where
        call = PluginCall(self._gate, deadline, done, part.service.asks_for)
        try:
            async with asyncio.timeout(deadline - time.monotonic()):
                sent = await self._crew.run(partial(self._send, part, words, call))
            speaks_http = part.service.scheme not in _NO_HTTP
            result = result_of(where, call, sent=sent, speaks_http=speaks_http, now=time.time())
        except TimeoutError:
            result = Result(where, Fault.TIMEOUT, text="no answer within the time limit")
        except TooManyHang as error:
            result = Result(where, Fault.TIMEOUT, text=str(error))
        except Exception as error:  # noqa: BLE001 - plugins raise arbitrary errors; the text may contain the URL
            result = Result(where, Fault.BUG, text=f"Apprise's plugin raised {type(error).__name__}")
        finally:
            call.cut()
        return _Ended(part, result, frozenset(call.had) - done)

    def _send(self, part: _Part, words: tuple[str, str], call: PluginCall) -> bool:
        """Send the undelivered pieces in order, up to the first failure; runs in a thread."""
        with call.running():
            for number, piece in enumerate(part.wording.pieces(*words)):
                token = f"{part.token}.{number}.{_digest(piece.title + piece.body)}"
                if token in call.had:
                    continue
                call.left()
                if not part.service.plugin.notify(
                    body=piece.body,
                    title=piece.title,
                    notify_type=self._level,
                    body_format=piece.format,
                    body_passthrough=False,
                ):
                    return False
                call.had.add(token)
        return True


def _parts(settings: Settings) -> Iterator[_Part]:
    seen: Counter[str] = Counter()
    for position, secret in enumerate(settings.urls):
        url = secret.get_secret_value()
        digest = _digest(url)
        seen[digest] += 1
        one = service(url, position, settings)
        wording = Wording(one.scheme, one.plugin, settings.format, one.overflow)
        yield _Part(f"{digest}.{seen[digest]}", one, wording)


def _done(before: Sequence[str], ended: Sequence[_Ended]) -> tuple[str, ...]:
    """Returns the token of each URL with the whole message, and those of delivered pieces of the others."""
    whole = [one.part.token for one in ended if one.result.fault is None]
    kept = [token for token in before if not token.startswith(tuple(f"{token}." for token in whole))]
    pieces = [token for one in ended if one.result.fault is not None for token in sorted(one.had)]
    return (*kept, *pieces, *whole)


def _digest(text: str) -> str:
    """Returns eight characters: enough to tell URLs apart, too few to reconstruct one."""
    return sha256(text.encode()).hexdigest()[:8]


# Validation of notify settings, without network access.


def notify_checks(settings: Settings) -> Iterator[Check]:
    """Yield the checks of titles, bodies, base URLs and each URL by its position; errors never quote a URL."""
    yield "target.title", partial(compile_template, settings.title, text=True)
    yield "target.body", partial(compile_template, settings.body, text=True)
    yield "target.endpoints", partial(check_endpoints, settings.endpoints)
    for position, url in enumerate(settings.urls):
        yield f"target.urls[{position}]", partial(service, url.get_secret_value(), position, settings)


def notify_addresses(settings: Settings, gate: AddressGate) -> Iterator[Check]:
    """Yield the SSRF checks of addresses in the settings themselves."""
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
        return  # reported by notify_checks
    host = getattr(plugin, "smtp_host", None) or plugin.host
    _refuse(plugin.schema, str(host or "").strip("[]"), gate)


def _refuse(scheme: str, host: str, gate: AddressGate) -> None:
    if reason := literal_refusal(gate, host):
        raise ValueError(f"{scheme}: {reason}")
