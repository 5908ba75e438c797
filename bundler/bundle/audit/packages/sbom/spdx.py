"""SBOMs in SPDX 2.3.

https://spdx.github.io/spdx-spec/v2.3/
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

_NOTHING = "NOASSERTION"


def create_spdx(image: ImagePackages, created: datetime) -> dict[str, Any]:
    """Return the document for the packages of an image."""
    identity = create_identity(image, created)
    texts = sorted({text for package in image.packages for text in package.licenses})
    others = [text for text in texts if text not in SPDX_LICENSES]
    names = {text: text for text in texts if text in SPDX_LICENSES}
    names |= {text: f"LicenseRef-{number}" for number, text in enumerate(others, 1)}
    described: dict[str, Any] = {
        "SPDXID": "SPDXRef-Image",
        "name": clean(image.name),
        "versionInfo": image.image.digest.text,
        "primaryPackagePurpose": "CONTAINER",
        "downloadLocation": _NOTHING,
        "filesAnalyzed": False,
    }
    if image.findings:
        number = len(image.findings)
        described["comment"] = f"Packages may be missing: {number} files could not be read."
    packages = [_create_package(*item, names) for item in enumerate(image.packages, 1)]
    relationships = [("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-Image")]
    relationships += [("SPDXRef-Image", "CONTAINS", package["SPDXID"]) for package in packages]
    document = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": clean(image.name),
        "documentNamespace": f"urn:uuid:{identity.uuid}",
        "creationInfo": {
            "created": identity.created,
            "creators": [f"Tool: {TOOL}-{VERSION}"],
        },
        "packages": [described, *packages],
        "relationships": [
            {"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other}
            for one, kind, other in relationships
        ],
    }
    if others:
        document["hasExtractedLicensingInfos"] = [
            {"licenseId": names[text], "name": clean(text), "extractedText": clean(text)}
            for text in others
        ]
    return document


def _create_package(number: int, package: Package, license_names: dict[str, str]) -> dict[str, Any]:
    declared = [license_names[text] for text in package.licenses]
    value: dict[str, Any] = {
        "SPDXID": f"SPDXRef-Package-{number}",
        "name": clean(package.full_name),
        "downloadLocation": _NOTHING,
        "filesAnalyzed": False,
        "licenseDeclared": " AND ".join(declared) if declared else _NOTHING,
        "sourceInfo": f"found in {clean(package.path)} of layer {package.layer}",
        "externalRefs": [
            {
                "referenceCategory": "PACKAGE-MANAGER",
                "referenceType": "purl",
                "referenceLocator": package.purl,
            }
        ],
    }
    if package.version:
        value["versionInfo"] = clean(package.version)
    return value
