"""Inventories for tests: one with every member, and one with as few as possible."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from bundler.bundle.format.inventory.inventory import (
    BundledImage,
    BundledReferrer,
    ChecksumFile,
    Inventory,
    Producer,
)
from bundler.oci import media_types
from bundler.oci.digest import Digest
from bundler.oci.reference import ImageReference

CREATED = datetime(2026, 11, 23, 7, tzinfo=UTC)
A, B, C = (Digest.of(text) for text in (b"a", b"b", b"c"))
FULL = Inventory(
    format="oci",
    stream="plant-7",
    serial=1795417200,
    created=CREATED,
    expires=CREATED + timedelta(days=90),
    complete=True,
    tool=Producer("airbundle", "1.0"),
    checksum_file=ChecksumFile(A, 1234, 17),
    images=(
        BundledImage(
            reference=ImageReference.parse("docker.io/library/nginx:1.27"),
            digest=A,
            media_type=media_types.OCI_INDEX,
            size=777,
            platforms=("linux/amd64", "linux/arm64/v8"),
            index="strip",
            replaces=B,
            rename="mirror/nginx:1.27",
            origin="plant-7.yaml:12",
            source="mirror.corp/nginx:1.27",
            referrers=(
                BundledReferrer(C, media_types.OCI_MANIFEST, 99, A, "text/spdx", "sha256-x.sig"),
            ),
        ),
        BundledImage(
            ImageReference("ghcr.io", "org/app", "v2"), B, media_types.DOCKER_MANIFEST, 500
        ),
    ),
)
PLAIN = replace(FULL, expires=None, images=())
