"""What the bridge runs with: every requirement as it is pinned, with the hashes of its files and its licence."""

import re
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

from license_expression import ExpressionError, get_spdx_licensing

# It reads a list of thousands of licences each time.
_licensing = cache(get_spdx_licensing)

_PIN = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;]+)(?:\s*;\s*(?P<marker>.+))?")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")

ALLOWED = frozenset(
    {
        *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0", "MPL-2.0"),
        *("PSF-2.0", "Python-2.0", "Unlicense", "Zlib"),
    }
)
"""Licences that lay no duty on who runs or passes on the bridge but to name them (MPL-2.0: and to share changes of
that package's own files)."""
_ELSEWHERE = {"colorama": "BSD-3-Clause"}
"""Read by people: packages that other systems than the one that releases need."""
_SPELLINGS = {
    "apache 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "bsd license": "BSD-3-Clause",
    "isc license": "ISC",
    "isc license (iscl)": "ISC",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "python software foundation license": "PSF-2.0",
}
"""What people write in place of an SPDX identifier."""


@dataclass(frozen=True)
class Pin:
    """One requirement; `marker` says on which systems it is one, "" on all; `licence` is SPDX's, "" if unknown."""

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]
    licence: str

    @property
    def allowed(self) -> bool:
        """Whether its licence leaves a way that is allowed; an unknown one does not."""
        return bool(self.licence) and is_allowed(self.licence)


def read_pins(file: Path) -> list[Pin]:
    """All pins of a requirements file with hashes, in its order."""
    text = file.read_text(encoding="utf-8").replace("\\\n", " ")
    found = [(_PIN.match(line), line) for line in text.splitlines()]
    return [_pin(match, line) for match, line in found if match]


def _pin(match: re.Match[str], line: str) -> Pin:
    marker, _, _ = (match["marker"] or "").partition("--hash")
    name, version = match["name"], match["version"]
    return Pin(name, version, marker.strip(), tuple(_HASH.findall(line)), licence_of(name))


def licence_of(name: str) -> str:
    """The licence of an installed package as an SPDX expression, "" where none can be made out."""
    try:
        told = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return _ELSEWHERE.get(name, "")
    classifiers = [
        line.rpartition("::")[2] for line in told.get_all("Classifier", []) if line.startswith("License")
    ]
    fields = [told[name] for name in ("License-Expression", "License") if name in told]
    candidates = [*fields, " AND ".join(map(_spdx, classifiers))]
    return next(filter(None, map(_spdx, candidates)), "")


def _spdx(text: str) -> str:
    text = text.strip()
    text = _SPELLINGS.get(text.lower(), text)
    try:
        return str(_licensing().parse(text, validate=True))
    except ExpressionError:
        return ""


def is_allowed(expression: str) -> bool:
    """Whether it can be satisfied with allowed licences alone."""
    return _satisfied(_licensing().parse(expression))


def _satisfied(node: object) -> bool:
    arguments = [_satisfied(each) for each in getattr(node, "args", ())]
    match type(node).__name__:
        case "AND":
            return all(arguments)
        case "OR":
            return any(arguments)
        case _:
            return str(node) in ALLOWED


def licences_text(pins: list[Pin]) -> str:
    """The list for people."""
    width = max(len(f"{pin.name} {pin.version}") for pin in pins)
    lines = [
        f"{f'{pin.name} {pin.version}':<{width}}  {pin.licence}{f'  ({pin.marker})' if pin.marker else ''}"
        for pin in pins
    ]
    return "\n".join(["What amqp-bridge runs with, and under which licences (SPDX).", "", *lines, ""])
