"""The options of `./dev release`: without what is imported to run it, for its help."""

import argparse
from pathlib import Path

from devtools.project import ROOT

DESCRIPTION = """\
Make a release of the last commit in dist/:

  *.whl, *.tar.gz     wheel and sdist, built twice and compared: the same commit gives the same bytes
                      (SOURCE_DATE_EPOCH is the commit's time unless it is set)
  *.cdx.json          bill of materials (CycloneDX): every pinned requirement with version, hashes and licence
  *.licences.txt      the licences of all that it runs with; an unknown or a forbidden one ends the release
  SHA256SUMS          for sha256sum --check

and look for known vulnerabilities of the pinned versions. Where the data about them cannot be reached it says so and
goes on. Nothing is published.

Exit codes: 0 made, 1 a licence, a vulnerability or a difference between two builds is in the way, 2 something is missing."""


def parser() -> argparse.ArgumentParser:
    """Reads them."""
    made = argparse.ArgumentParser(
        prog="./dev release", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--into", type=Path, default=ROOT / "dist", metavar="FOLDER", help="default: dist")
    made.add_argument(
        "--no-audit", dest="audit", action="store_false", help="do not look for vulnerabilities"
    )
    return made
