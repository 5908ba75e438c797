"""Collect the content of a report from what an audit read. Shared content is kept once."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from bundler.bundle.audit.differences.image_lists import (
    ImageEntry,
    compare_lists,
    list_inventory,
)
from bundler.bundle.audit.report.record import (
    Gap,
    PackageSet,
    Report,
    ReportedBundle,
    ReportedImage,
    ReportedLayer,
    ReportedPackage,
    ReportedPlatform,
    Since,
)
from bundler.bundle.format.files import bundle_paths
from bundler.bundle.format.inventory.sizes import compute_sizes
from bundler.bundle.format.signatures import bundle_signatures
from bundler.copy.image import find_unique_blobs
from bundler.errors import count
from bundler.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.bundle.audit.differences.image_lists import ImageList
    from bundler.bundle.audit.images import OpenImages
    from bundler.bundle.audit.packages.package import Package
    from bundler.bundle.audit.rules.audited import AuditedImage, AuditedLocation
    from bundler.bundle.audit.rules.evaluate import Verdict
    from bundler.bundle.audit.rules.former import FormerBundle
    from bundler.bundle.format.inventory.sizes import Sizes


def collect_report(
    images: OpenImages,
    audited: AuditedLocation,
    verdict: Verdict | None,
    former: FormerBundle | None,
) -> Report:
    """Collect a report about ``audited``, which was read from ``images`` with its layers.

    Raises:
        BundlerError: the signatures of the bundle cannot be read.
    """
    blobs = [_list_blobs(image) for image in audited.images]
    sizes, total = compute_sizes(
        [{digest: max(size, 0) for digest, (size, _) in found.items()} for found in blobs]
    )
    layers = _collect_layers(audited, blobs)
    packages = _PackageTable({layer.digest: number for number, layer in enumerate(layers)})
    reported = [
        packages.add_image(image, own) for image, own in zip(audited.images, sizes, strict=True)
    ]
    found_packages, sets = packages.finish()
    return Report(
        location=audited.location,
        created=audited.now,
        bundle=_describe_bundle(images),
        verdict=verdict,
        images=tuple(reported),
        layers=layers,
        packages=found_packages,
        package_sets=sets,
        gaps=(*_find_gaps(reported), *_find_unchecked(audited)),
        total_size=total.size,
        since=None if former is None else _compare(former, audited),
        vulnerabilities=audited.vulnerabilities,
    )


def _list_blobs(image: AuditedImage) -> dict[Digest, tuple[int, str]]:
    """Return the size and the media type of the content of an image and its referrers."""
    if image.resolved is None:
        return {}
    return {
        digest: (-1 if node.size is None else node.size, node.media_type or "")
        for digest, node in find_unique_blobs([image.resolved]).items()
    }


def _collect_layers(
    audited: AuditedLocation, blobs: list[dict[Digest, tuple[int, str]]]
) -> tuple[ReportedLayer, ...]:
    """Return the distinct content of all images, the largest first."""
    users: dict[Digest, list[int]] = defaultdict(list)
    described: dict[Digest, tuple[int, str]] = {}
    for number, found in enumerate(blobs):
        for digest, description in found.items():
            users[digest].append(number)
            described.setdefault(digest, description)
    of_platforms = {
        layer.digest
        for image in audited.images
        for platform in image.platforms
        for layer in platform.image.manifest.layers
    }
    found_layers = (
        ReportedLayer(digest.text, size, kind, tuple(users[digest]), digest in of_platforms)
        for digest, (size, kind) in described.items()
    )
    return tuple(sorted(found_layers, key=lambda layer: (-layer.size, layer.digest)))


class _PackageTable:
    """The distinct packages of all images, and the sets of them that images share."""

    def __init__(self, layers: dict[str, int]) -> None:
        self._sets: list[PackageSet] = []
        self._layers = layers
        self._packages: dict[Package, int] = {}
        self._users: Counter[int] = Counter()
        self._set_numbers: dict[PackageSet, int] = {}

    def add_image(self, image: AuditedImage, sizes: Sizes) -> ReportedImage:
        """Add the packages of an image; return the image with their positions."""
        platforms, distinct = [], set[int]()
        for platform in image.platforms:
            by_layer: dict[str, set[int]] = defaultdict(set)
            if platform.contents is not None:
                for package in platform.contents.packages.packages:
                    # The layer is that of the set, so that a package of two layers is one package.
                    number = self._packages.setdefault(
                        replace(package, layer=_ANY), len(self._packages)
                    )
                    by_layer[package.layer.text].add(number)
            sets = []
            for digest, found in by_layer.items():
                one = PackageSet(self._layers[digest], tuple(sorted(found)))
                if one not in self._set_numbers:
                    self._set_numbers[one] = len(self._sets)
                    self._sets.append(one)
                sets.append(self._set_numbers[one])
                distinct |= found
            layers = [self._layers[layer.digest.text] for layer in platform.image.manifest.layers]
            platforms.append(ReportedPlatform(platform, tuple(layers), tuple(sorted(sets))))
        self._users.update(distinct)
        return ReportedImage(image, sizes, tuple(platforms), len(distinct))

    def finish(self) -> tuple[tuple[ReportedPackage, ...], tuple[PackageSet, ...]]:
        """Return the packages by name and version, and the sets of their positions."""
        found = list(self._packages)
        order = sorted(
            range(len(found)),
            key=lambda number: (found[number].full_name, found[number].version, number),
        )
        places = {number: place for place, number in enumerate(order)}
        packages = tuple(ReportedPackage(found[number], self._users[number]) for number in order)
        sets = tuple(
            PackageSet(one.layer, tuple(sorted(places[number] for number in one.packages)))
            for one in self._sets
        )
        return packages, sets


_ANY = Digest.of(b"")


def _describe_bundle(images: OpenImages) -> ReportedBundle | None:
    if images.inventory is None or images.raw is None or images.files is None:
        return None
    signers: tuple[tuple[str, str], ...] = ()
    if images.bundle is not None:
        names = images.bundle.trust.names
        signers = tuple((key.id, names.get(key.id, "")) for key in images.bundle.accepted)
    stated = bundle_signatures.read_signatures(images.files)
    return ReportedBundle(
        images.inventory,
        Digest.of(images.raw),
        len(images.raw),
        signers,
        tuple(sorted(filter(None, map(bundle_paths.parse_signature_name, stated)))),
    )


def _find_gaps(images: list[ReportedImage]) -> Iterator[Gap]:
    for image in images:
        name = image.audited.name
        if image.audited.unreadable is not None:
            yield Gap(name, "", "", image.audited.unreadable)
        for platform in image.platforms:
            if platform.gap is not None:
                yield Gap(name, platform.audited.name, "", platform.gap)
            elif platform.audited.contents is not None:
                for finding in platform.audited.contents.packages.findings:
                    yield Gap(name, platform.audited.name, finding.path, finding.problem)


def _find_unchecked(audited: AuditedLocation) -> Iterator[Gap]:
    """Yield the records that cannot be read, and the packages that were not compared."""
    if audited.vulnerabilities is None:
        return
    database = audited.vulnerabilities.database
    for problem in database.problems:
        yield Gap("", "", "", f"record of the database of vulnerabilities: {problem}")
    if database.unreadable > len(database.problems):
        more = database.unreadable - len(database.problems)
        yield Gap("", "", "", f"{count(more, 'more record')} of {database.path}")
    for image in audited.vulnerabilities.images:
        name, platform = image.packages.name, str(image.packages.image.platform or "")
        for item in image.coverage:
            if item.unchecked:
                text = f"{count(item.unchecked, 'package')} of {item.ecosystem} not checked"
                yield Gap(name, platform, "", f"{text} for vulnerabilities: {item.reason}")
        for record in image.unchecked:
            text = f"{record.package.full_name} not compared with {record.id}: {record.reason}"
            yield Gap(name, platform, record.package.path, text)


def _compare(former: FormerBundle, audited: AuditedLocation) -> Since:
    if audited.inventory is not None:
        now: ImageList = list_inventory(audited.inventory)
    else:
        now = {
            image.name: ImageEntry(image.name, image.digest)
            for image in audited.images
            if image.digest is not None
        }
    return Since(former.path, former.digest, compare_lists(former.images, now))
