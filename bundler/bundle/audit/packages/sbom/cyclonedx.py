"""SBOMs in CycloneDX 1.6.

https://cyclonedx.org/docs/1.6/json/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bundler.bundle.audit.packages.sbom.document import (
    SPDX_LICENSES,
    TOOL,
    VERSION,
    clean,
    create_identity,
)

if TYPE_CHECKING:
    from datetime import datetime

    from bundler.bundle.audit.packages.image_packages import ImagePackages
    from bundler.bundle.audit.packages.package import Package


def create_cyclonedx(image: ImagePackages, created: datetime) -> dict[str, Any]:
    """Return the document for the packages of an image."""
    identity = create_identity(image, created)
    components = [_create_component(*item) for item in enumerate(image.packages, 1)]
    distribution = image.distribution
    if distribution is not None:
        system = {
            "type": "operating-system",
            "bom-ref": "distribution",
            "name": clean(distribution.id),
            "description": clean(distribution.name),
        }
        components.append(
            system | ({"version": clean(distribution.version)} if distribution.version else {})
        )
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{identity.uuid}",
        "version": 1,
        "metadata": {
            "timestamp": identity.created,
            "tools": {"components": [{"type": "application", "name": TOOL, "version": VERSION}]},
            "component": {
                "type": "container",
                "bom-ref": "image",
                "name": clean(image.name),
                "version": image.image.digest.text,
                "properties": [
                    {"name": f"{TOOL}:platform", "value": str(image.image.platform)},
                ],
            },
        },
        "components": components,
        "compositions": [
            {
                "aggregate": "incomplete" if image.findings else "unknown",
                "assemblies": ["image"],
            }
        ],
    }


def _create_component(number: int, package: Package) -> dict[str, Any]:
    value: dict[str, Any] = {
        "type": "library",
        "bom-ref": f"package-{number}",
        "name": clean(package.name),
        "purl": package.purl,
        "properties": [
            {"name": f"{TOOL}:path", "value": clean(package.path)},
            {"name": f"{TOOL}:layer", "value": package.layer.text},
        ],
    }
    if package.namespace:
        value["group"] = clean(package.namespace)
    if package.version:
        value["version"] = clean(package.version)
    if package.licenses:
        value["licenses"] = [
            {"license": {"id": text} if text in SPDX_LICENSES else {"name": clean(text)}}
            for text in package.licenses
        ]
    if package.source_name:
        source = f"{package.source_name} {package.source_version}".strip()
        value["properties"].append({"name": f"{TOOL}:source", "value": clean(source)})
    return value
