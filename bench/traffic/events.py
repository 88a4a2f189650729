"""The events that are measured with: 342 bytes as Splynx publishes them, each with a number and a time."""

SIZE = 342

_TEMPLATE = (
    b'{"type":"","call":"","data":{"source":"admin","model":"models\\\\admin\\\\customers\\\\Customer",'
    b'"action":"add","date":"2025-03-14","time":"09:26:53","administrator_id":"1","customer_id":"7",'
    b'"result":"success","attributes":{"id":"7"},"attributes_additional":[],'
    b'"changed_attributes":null,"errors":null,"ip":"","extra":"%07d %019d"}}'
)

# Fixed places, counted from the end, so that the endpoint need not parse any JSON.
_NUMBER = slice(-30, -23)
_TIME = slice(-22, -3)


def event_body(number: int, time_ns: int) -> bytes:
    """The body of one event; `time_ns` is when it is published, in nanoseconds since 1970."""
    return _TEMPLATE % (number, time_ns)


def number_of(body: bytes | memoryview) -> int:
    """The event's number, counted from 0."""
    return int(bytes(body[_NUMBER]))


def time_of(body: bytes | memoryview) -> int:
    """When it was published, in nanoseconds since 1970."""
    return int(bytes(body[_TIME]))
