"""The page about event types, from the catalogues."""

from bridge.formats.event_types import CATALOGUES, Catalogue, KnownEventType

INTRODUCTION = """\
# Event types

Made from the code by `./dev generate`; do not edit.

What the patterns of hooks (`events: ["customers.*"]`) are compared with, as far as the systems that the bridge knows
tell. An event whose type stands in none of these tables is an event all the same. Where a word of a type is a name
that people choose, `*` stands in its place, as it does in a pattern. The shell completes these types once
`amqp-bridge --install-completion` was run: `amqp-bridge publish --type` and the tab key.
"""


def events_text() -> str:
    """The page about event types."""
    return INTRODUCTION + "".join(map(_section, CATALOGUES))


def _section(catalogue: Catalogue) -> str:
    head = f"\n## {catalogue.title}\n\n{catalogue.note}\n\n| type | meaning |\n|---|---|\n"
    return head + "".join(map(_row, catalogue.events))


def _row(known: KnownEventType) -> str:
    return f"| `{known.type}` | {known.meaning} |\n"
