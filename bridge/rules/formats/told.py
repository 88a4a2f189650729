"""What a source's own expressions say of its events: their type, and the publisher's id."""

from dataclasses import replace

from cel_expr_python import cel  # type: ignore[import-untyped]  # has stubs, but no py.typed (0.1.3)

from bridge.model.event import Event
from bridge.model.source import Source
from bridge.rules.formats.identity import fitting_id, webhook_id
from bridge.rules.formats.text import event_type, text_of
from bridge.rules.routing.activation import view_for
from bridge.rules.routing.expression import compile_expression

_TEXT = (cel.Type.DYN, cel.Type.STRING, cel.Type.INT, cel.Type.UINT)


def compile_told(text: str) -> cel.Expression:
    """The expression; raises ValueError, which says where and what, for one that cannot give text or a whole number."""
    expression = compile_expression(text)
    kind = expression.return_type()
    if kind not in _TEXT:
        raise ValueError(f"the expression gives a {kind.name()}, it must give text or a whole number")
    return expression


def told_by(source: Source) -> "Told | None":
    """The expressions of the source, None where it has none. Raises ValueError as `compile_told` does."""
    return Told(source) if source.type or source.id else None


class Told:
    """Of one source, compiled; they see the event as its format has it, and what they do not tell stays so."""

    def __init__(self, source: Source) -> None:
        """Raises ValueError as `compile_told` does."""
        self._source = source.name
        self._type = _Asked(source.type) if source.type else None
        self._id = _Asked(source.id) if source.id else None

    def of(self, event: Event) -> Event:
        """The event with the type and publisher's id that are told; never raises."""
        kind = self._type and event_type(self._type.of(event) or "")
        own_id = self._id and self._id.of(event)
        if own_id:
            own_id = fitting_id(own_id)
            to_receivers = webhook_id(self._source, own_id, event.message.body)
            event = replace(event, publisher_id=own_id, webhook_id=to_receivers)
        return replace(event, type=kind) if kind else event


class _Asked:
    def __init__(self, text: str) -> None:
        self._expression = compile_told(text)
        self._view = view_for(text)

    def of(self, event: Event) -> str | None:
        """None for what is missing, empty, or neither text nor a whole number."""
        try:
            value = self._expression.eval(self._view.of(event))
            return None if value.type() == cel.Type.ERROR else text_of(value.value())
        except (RuntimeError, ValueError):  # such as the iteration budget (10,000) being spent
            return None
