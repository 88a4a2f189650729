"""Known vulnerabilities of what the bridge runs with, where the data about them can be reached."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_LONGEST = 120.0
_PER_ANSWER = "10"


@dataclass(frozen=True)
class Verdict:
    """`reached` is False where nobody could be asked; else `found` has one line for each vulnerability."""

    reached: bool
    found: tuple[str, ...] = ()
    why: str = ""


def audit(requirements: Path) -> Verdict:
    """What is known of the pinned versions now; never an error, for a release must not wait for the network."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(requirements), "--disable-pip"]
    command += ["--require-hashes", "--format", "json", "--progress-spinner", "off", "--timeout", _PER_ANSWER]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_LONGEST)
    except subprocess.TimeoutExpired:
        return Verdict(reached=False, why=f"no answer within {_LONGEST:g} s")
    return read(done.stdout, done.stderr)


def read(out: str, err: str) -> Verdict:
    """What the auditor's report says; it is none where the data could not be had."""
    try:
        packages = json.loads(out)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return Verdict(reached=False, why=_cause(err))
    found = [
        f"{package['name']} {package['version']}: {known['id']}, mended in "
        f"{', '.join(known['fix_versions']) or 'no version yet'}"
        for package in packages
        for known in package.get("vulns", ())
    ]
    return Verdict(reached=True, found=tuple(found))


def _cause(err: str) -> str:
    """The kind of the error alone: its text may name hosts, and run over many lines."""
    lines = [line for line in err.splitlines() if "Error" in line or "Exception" in line]
    return lines[-1].partition(":")[0].strip()[:100] if lines else "the data cannot be reached"
