"""Parameters that many operations have, as the description of the API tells them.

What stands here is what `Parameters` (api_parameters.py) takes, said as a type.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema

from bridge.http.api_parameters import DEFAULT_LIMIT, MOST
from bridge.http.operation import Parameter
from bridge.model.delivery import Status
from bridge.rules.formats.identity import MAX_ID

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,67}$")]
# By bytes it is at most 255 of them: of the longest characters a quarter.
EventType = Annotated[
    str, WithJsonSchema({"type": "string", "pattern": r"^([!-~]([ -~]{0,253}[!-~])?|[¡-퟿]{1,63})$"})
]
Text = Annotated[str, Field(min_length=1, max_length=MAX_ID)]
Uuid = Annotated[str, WithJsonSchema({"type": "string", "format": "uuid"})]
When = Annotated[
    str,
    WithJsonSchema(
        {"type": "string", "maxLength": 64, "examples": ["-7d", "2025-05-05", "2025-05-05T07:08:09Z"]}
    ),
]

LIMIT = Parameter(
    "limit",
    Annotated[
        int,
        WithJsonSchema({"type": "integer", "minimum": 1, "maximum": MOST, "default": DEFAULT_LIMIT}),
    ],
    "How many items the page may have.",
)
CURSOR = Parameter("cursor", Text, "Where the page begins: `next` of the page before, with the same filters.")
PAGE = (LIMIT, CURSOR)
"""The parameters of every list."""

HOW = "RFC 3339, a date, now, today, yesterday, or so long ago, such as 7d, -7d or 24h; all in UTC"
FROM = Parameter("from", When, f"From this moment on: {HOW}.")
TO = Parameter("to", When, f"Before this moment: {HOW}; of a date its end.")
SPAN = (FROM, TO)
COUNT = Parameter("count", bool, "true: `more` tells how many entries come behind this page, up to 1,000.")

EVENT_TYPE = Parameter("type", EventType, "The event type, whole.")
HOOK = Parameter("hook", Name, "Id or name of a hook.")
SOURCE = Parameter("source", Name, "Name of a source.")
STATUSES = Parameter(
    "status", list[Status], "One status or several: the parameter repeated, or with commas between them."
)


def text(name: str, description: str) -> Parameter:
    """Any text of up to 512 characters."""
    return Parameter(name, Text, description)


def uuid(name: str, description: str) -> Parameter:
    """An id of ours."""
    return Parameter(name, Uuid, description)


def flag(name: str, description: str) -> Parameter:
    """`true` or `false`; false where it is absent."""
    return Parameter(name, bool, description)


def one_of(name: str, words: tuple[str, ...], description: str) -> Parameter:
    """One of these words."""
    kind: Any = Literal[words]
    return Parameter(name, kind, description)
