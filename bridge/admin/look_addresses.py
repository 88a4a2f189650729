"""Where a hook delivers, in one line and without what is secret."""

from bridge.model.documents import AddressDocument
from bridge.pipeline.table import HookTable
from bridge.settings.shown import address_of


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
