"""Lists of packages as objects of the evidence: those of one image, and those of one claim.

Packages are listed by the file that states them, so that its path and its layer are stored once:

    {"files": [{"path": …, "layer": …, "packages": [{"type": …, "name": …, "version": …}]}], …}
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bundler.bundle.audit.packages.claims.documents import Identity
    from bundler.bundle.audit.packages.image_packages import ImagePackages

_OF_FILE = ("path", "layer", "purl")


def describe_packages(found: ImagePackages) -> dict[str, Any]:
    """Return the packages of an image, without its name: equal images have equal lists."""
    value = found.to_json()
    order = sorted(found.packages, key=lambda item: (item.layer, item.path))
    files = []
    for (layer, path), packages in groupby(order, key=lambda item: (item.layer, item.path)):
        members = [
            {key: text for key, text in item.to_json().items() if key not in _OF_FILE}
            for item in packages
        ]
        files.append({"layer": layer.text, "path": path, "packages": members})
    described: dict[str, Any] = {"files": files, "findings": value["findings"]}
    if "distribution" in value:
        described["distribution"] = value["distribution"]
    return described


def describe_claimed(packages: Mapping[Identity, str]) -> dict[str, Any]:
    """Return the packages that an SBOM claims, by what identifies them."""
    members = []
    for package_type, name, version in sorted(packages):
        namespace, _, own = name.rpartition("/")
        values = {"type": package_type, "namespace": namespace, "name": own, "version": version}
        members.append({key: text for key, text in values.items() if text})
    return {"files": [{"packages": members}]}
