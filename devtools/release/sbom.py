"""The bill of materials: what the bridge runs with, as CycloneDX 1.6 in JSON."""

from datetime import UTC, datetime
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import LicenseExpression
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL

from devtools.release.origin import Origin
from devtools.release.pins import Pin
from devtools.release.vendored import htmx_component

NAME = "amqp-bridge"


def sbom_text(pins: list[Pin], version: str, origin: Origin) -> str:
    """The document; the same for the same commit, its serial number and its time among it."""
    product = Component(
        name=NAME,
        version=version,
        type=ComponentType.APPLICATION,
        bom_ref=NAME,
        purl=PackageURL("pypi", name=NAME, version=version),
        licenses=[LicenseExpression("MIT")],
    )
    components = [*(component(pin) for pin in pins), htmx_component()]
    bom = Bom(
        components=components,
        metadata=BomMetaData(component=product, timestamp=datetime.fromtimestamp(origin.epoch, UTC)),
        serial_number=uuid5(NAMESPACE_URL, f"{NAME}/{version}/{origin.commit}/{origin.epoch}"),
    )
    bom.register_dependency(product, components)
    made = make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6)
    return made.output_as_string(indent=2) + "\n"


def component(pin: Pin) -> Component:
    """One requirement; its hashes are those of every file in which this version may be installed."""
    return Component(
        name=pin.name,
        version=pin.version,
        type=ComponentType.LIBRARY,
        bom_ref=f"{pin.name}=={pin.version}",
        purl=PackageURL("pypi", name=pin.name, version=pin.version),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest) for digest in pin.hashes],
        licenses=[LicenseExpression(pin.licence)] if pin.licence else [],
        properties=[Property(name="python:marker", value=pin.marker)] if pin.marker else [],
    )
