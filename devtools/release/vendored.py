"""What stands in the repository as others made it: compared with its package, where the registry can be reached."""

import subprocess
import tarfile
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import LicenseExpression
from packageurl import PackageURL

from bridge.ui.assets import HTMX_SHA256, packaged
from devtools.release.audit import Verdict

HTMX_VERSION = "4.0.1"
_PACKAGE = f"htmx.org@{HTMX_VERSION}"
_FILE = "package/dist/htmx.min.js"
_LONGEST = 60.0


def htmx_component() -> Component:
    """Returns htmx for the bill of materials."""
    return Component(
        name="htmx.org",
        version=HTMX_VERSION,
        type=ComponentType.LIBRARY,
        bom_ref=_PACKAGE,
        purl=PackageURL("npm", name="htmx.org", version=HTMX_VERSION),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=HTMX_SHA256)],
        licenses=[LicenseExpression("0BSD")],
    )


def compare() -> Verdict:
    """Returns whether htmx is the file of its npm package; never an error, for a release must not wait for the network."""
    ours = sha256(packaged("htmx.min.js")).hexdigest()
    found = [] if ours == HTMX_SHA256 else ["htmx.min.js is not the file whose digest is recorded"]
    with TemporaryDirectory() as folder:
        try:
            theirs = _packed(Path(folder))
        except (OSError, subprocess.SubprocessError, tarfile.TarError, KeyError) as error:
            return Verdict(reached=bool(found), found=tuple(found), why=type(error).__name__)
    if theirs != ours:
        found.append(f"htmx.min.js differs from the one in {_PACKAGE}")
    return Verdict(reached=True, found=tuple(found))


def _packed(folder: Path) -> str:
    """Returns the digest of the file in the package."""
    command = ["npm", "pack", "--silent", "--pack-destination", str(folder), _PACKAGE]
    subprocess.run(command, check=True, capture_output=True, timeout=_LONGEST, cwd=folder)
    [package] = folder.glob("*.tgz")
    with tarfile.open(package) as archive:
        member = archive.extractfile(_FILE)
        assert member is not None
        return sha256(member.read()).hexdigest()
