"""`./dev release`: everything that a release consists of, in dist/."""

from collections.abc import Sequence
from pathlib import Path

from bridge import __version__
from devtools.project import say, tell_environment
from devtools.release.audit import Verdict, audit
from devtools.release.options import parser
from devtools.release.origin import Origin, open_origin
from devtools.release.packages import build, checksums, differences
from devtools.release.pins import Pin, licences_text, read_pins
from devtools.release.sbom import sbom_text
from devtools.release.vendored import compare


def main(arguments: Sequence[str]) -> int:
    """The exit code."""
    options = parser().parse_args(arguments)
    tell_environment()
    with open_origin() as origin:
        complaints = release(origin, options.into)
        pinned = origin.folder / "requirements" / "runtime.txt"
        if options.audit:
            complaints += told(audit(pinned))
            complaints += compared(compare())
    for complaint in complaints:
        say("FAILED", complaint)
    if not complaints:
        say("OK", f"{__version__} of {origin.commit[:12] or 'this folder'} in {options.into}")
    return 1 if complaints else 0


def release(origin: Origin, folder: Path) -> list[str]:
    """Fill the folder, in place of an earlier release; returns what is in the way of publishing it."""
    folder.mkdir(parents=True, exist_ok=True)
    for stale in (*folder.glob("amqp[_-]bridge-*"), *folder.glob("SHA256SUMS")):
        stale.unlink()
    packages = build(origin, folder)
    for package in packages:
        say("built", package.name)
    pins = read_pins(origin.folder / "requirements" / "runtime.txt")
    written = [*packages, *documents(pins, origin, folder)]
    (folder / "SHA256SUMS").write_text(checksums(written), encoding="utf-8")
    say("wrote", "SHA256SUMS")
    differing = [f"{name} differs when it is built again" for name in differences(packages, origin)]
    if not differing:
        say("reproduced", "built again, every byte is the same")
    return differing + forbidden(pins)


def documents(pins: list[Pin], origin: Origin, folder: Path) -> list[Path]:
    """Writes the bill of materials and the list of licences."""
    texts = {
        f"amqp-bridge-{__version__}.cdx.json": sbom_text(pins, __version__, origin),
        f"amqp-bridge-{__version__}.licences.txt": licences_text(pins),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
        say("wrote", f"{name}, {len(pins)} requirements")
    return [folder / name for name in texts]


def forbidden(pins: list[Pin]) -> list[str]:
    """A line for each package whose licence is unknown or not allowed."""
    return [
        f"{pin.name} {pin.version}: its licence, {pin.licence or 'unknown'}, is not among the allowed ones"
        for pin in pins
        if not pin.allowed
    ]


def compared(verdict: Verdict) -> list[str]:
    """Says what the comparison of files of others came to; returns the differences."""
    if not verdict.reached:
        say("vendored", f"NOT COMPARED: the npm registry is not reachable from here ({verdict.why})")
    elif not verdict.found:
        say("vendored", "htmx is the file of its npm package")
    return list(verdict.found)


def told(verdict: Verdict) -> list[str]:
    """Says what the audit came to; returns the vulnerabilities."""
    if not verdict.reached:
        say("audit", f"NOT DONE: data about vulnerabilities is not reachable from here ({verdict.why})")
    elif not verdict.found:
        say("audit", "no known vulnerability")
    return list(verdict.found)
