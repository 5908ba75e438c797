"""Packages, and databases to compare them with."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from bundler.bundle.audit.packages.image_packages import ImagePackages
from bundler.bundle.audit.packages.package import Distribution, Package
from bundler.bundle.audit.platforms import PlatformImage
from bundler.bundle.audit.vulnerabilities.check import check_packages
from bundler.cancel import Cancellation
from bundler.oci import manifest
from bundler.oci.digest import Digest
from bundler.oci.platform import Platform
from tests.fakes import images

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bundler.bundle.audit.packages.claims.claims import Claim
    from bundler.bundle.audit.vulnerabilities.result import VulnerabilityReport

LAYER = Digest("sha256:" + "a" * 64)


def create_package(package_type: str, name: str, version: str, **members: Any) -> Package:
    return Package(
        **{"type": package_type, "name": name, "version": version, "path": "db", "layer": LAYER}
        | members
    )


def create_record(
    identifier: str, ecosystem: str, name: str, *events: tuple[str, str], **members: Any
) -> dict[str, Any]:
    """Create a record with one range of these events, ``("introduced", "0")``."""
    ordered = {"type": "ECOSYSTEM", "events": [{kind: version} for kind, version in events]}
    entry = {"package": {"ecosystem": ecosystem, "name": name}, "ranges": [ordered]}
    entry |= members.pop("entry", {})
    stated = {"id": identifier, "modified": "2026-11-01T00:00:00Z", "affected": [entry]}
    return stated | members


@pytest.fixture
def check(tmp_path: Path) -> Callable[..., VulnerabilityReport]:
    """Compare packages of one image with records."""

    def run(
        packages: list[Package],
        *records: dict[str, Any],
        distribution: Distribution | None = None,
        claims: tuple[Claim, ...] | None = None,
        **options: Any,
    ) -> VulnerabilityReport:
        database = tmp_path / "osv"
        database.mkdir(exist_ok=True)
        for number, record in enumerate(records):
            (database / f"{number}.json").write_text(json.dumps(record))
        image = images.image()
        parsed = manifest.parse(image.root.data, image.root.media_type)
        assert isinstance(parsed, manifest.ImageManifest)
        platform = PlatformImage(Digest(image.root.digest), Platform("linux", "amd64"), parsed)
        found = ImagePackages("app:1", platform, distribution, tuple(packages), (), claims)
        return check_packages([found], database, Cancellation(), **options)

    return run
