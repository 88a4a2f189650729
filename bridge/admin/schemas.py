"""The schemas that sources name: known envelopes, and files."""

from pathlib import Path

import orjson

from bridge.model.envelopes import ENVELOPES, envelope_schema
from bridge.model.source import Source
from bridge.rules.formats.conformity import compile_schema
from bridge.rules.formats.decoder import Misfit
from bridge.settings.shape import nearest

LARGEST = 4_194_304
"""Bytes of a schema file."""
_ANY_BODY = "tiki"


def misfit_of(source: Source, base: Path) -> Misfit | None:
    """What tells whether a body fits the source's `schema`; None where every body does.

    A relative path starts at `base`. Raises ValueError, with the file and the path within it, for a file that
    cannot be read or is no JSON Schema.
    """
    given = source.schema_
    if given is None or given == _ANY_BODY:
        return None
    if given in ENVELOPES:
        return compile_schema(envelope_schema(given))
    file = base / given
    try:
        return compile_schema(orjson.loads(_read(file, given)))
    except orjson.JSONDecodeError as error:
        raise ValueError(f"{file}: no JSON: {error}") from None
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None


def _read(file: Path, given: str) -> bytes:
    try:
        with file.open("rb") as stream:
            content = stream.read(LARGEST + 1)
    except FileNotFoundError:
        hint = "" if "/" in given or "." in given else nearest(given, list(ENVELOPES))
        raise ValueError(f"no such file{hint}") from None
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None
    if len(content) > LARGEST:
        raise ValueError(f"over {LARGEST} bytes")
    return content
