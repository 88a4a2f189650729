"""Where a hook delivers, in one line and without what is secret."""

from typing import assert_never
from urllib.parse import urlsplit

from bridge.admin.look_secrets import HIDDEN, shown, without_password
from bridge.model.documents import AddressDocument
from bridge.model.target import NotifyTarget, QueueTarget, ScriptTarget, WebhookTarget
from bridge.pipeline.table import HookTable


class Addresses:
    """Of the hooks in force."""

    def __init__(self, table: HookTable) -> None:
        self._table = table

    def hook_id(self, which: str | None) -> str | None:
        """The id of the hook that an id or a name means; what is given where there is no such hook any more."""
        return None if which is None else self._table.id_of(which)

    def of(self, hook: str) -> AddressDocument | None:
        """Where this hook delivers today; None where there is no such hook."""
        runner = self._table.get(hook)
        if runner is None:
            return None
        target = runner.hook.target
        return AddressDocument.model_construct(type=target.type, to=address_of(target))


def address_of(target: WebhookTarget | ScriptTarget | QueueTarget | NotifyTarget) -> str:
    """URL, command, queue, or services."""
    match target:
        case WebhookTarget():
            return without_password(target.url)
        case ScriptTarget():
            return " ".join(shown(target)["command"])
        case QueueTarget():
            return _queue(target)
        case NotifyTarget():
            return ", ".join(_service(each.get_secret_value()) for each in target.urls)
        case _:
            assert_never(target)


def _queue(target: QueueTarget) -> str:
    if target.queue is not None:
        where = target.queue
    else:
        where = f"exchange {target.exchange or '(default)'}, routing key {target.routing_key or '(none)'}"
    return f"{where} at {target.broker}" if target.broker else where


def _service(url: str) -> str:
    """Its scheme alone: where a service takes its token in the address differs from one to the other."""
    try:
        scheme = urlsplit(url).scheme
    except ValueError:
        scheme = ""
    return f"{scheme or HIDDEN}://{HIDDEN}"
