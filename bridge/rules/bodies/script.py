"""What a script reads from its standard input."""

from collections.abc import Callable

from bridge.model.delivery import Answer
from bridge.model.event import Event
from bridge.rules.bodies.body import event_json, has_data, sent_body, why_no_data
from bridge.rules.bodies.spelling import php_json, to_json, unbuildable


def script_input(kind: str) -> Callable[[Event], bytes | Answer]:
    """The function that makes what a script reads whose setting `stdin` is `kind`.

    `body` is the message's own bytes, `event` one line with the object of `event_json`, `data` one line with
    the event's data. Of a Splynx event that is its inner `data` in the spelling of PHP, which is what Splynx
    hands to its own scripts. What cannot be made is a lasting Answer. Raises ValueError for another kind.
    """
    match kind:
        case "body":
            return sent_body
        case "event":
            return lambda event: _line(event_json(event))
        case "data":
            return lambda event: _line(_data(event))
    raise ValueError(f"{kind!r} is no kind of input")


def _data(event: Event) -> bytes | Answer:
    if not has_data(event):
        return unbuildable(f"{why_no_data(event)}, so there is no data to hand over; choose `stdin: body`")
    return php_json(event.data) if event.format == "splynx" else to_json(event.data)


def _line(text: bytes | Answer) -> bytes | Answer:
    return text if isinstance(text, Answer) else text + b"\n"
