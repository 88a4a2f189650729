"""Messages without an id, as many publishers send them."""


class _NoId(str):
    """The client library makes up an id where there is none; this one is there, and empty, so that none is sent."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return True


NO_ID = _NoId()
"""For the property `message_id`."""
