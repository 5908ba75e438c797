"""The packages of images: what their layers state, without the files that upper layers hide."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bundler.bundle.audit.packages.package import Distribution, DocumentedLicenses, Package
from bundler.errors import FindingsError, count

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from bundler.bundle.audit.layers.layer_reader import LayerReader
    from bundler.bundle.audit.packages.claims.claims import Claim
    from bundler.bundle.audit.packages.package import LayerPackages, PackageFinding, Statement
    from bundler.bundle.audit.platforms import PlatformImage
    from bundler.ports import Source

DISTRIBUTION_TYPES = ("apk", "deb", "rpm")
_OS_RELEASE = ("etc/os-release", "usr/lib/os-release")


@dataclass(frozen=True, slots=True)
class ImagePackages:
    """The packages of one image, for one platform."""

    name: str
    image: PlatformImage
    distribution: Distribution | None
    """The distribution that the image states; None: it states none."""
    packages: tuple[Package, ...]
    """The packages, by type, name, version and path."""
    findings: tuple[PackageFinding, ...]
    """Files that cannot be read, so that packages may be missing."""
    claims: tuple[Claim, ...] | None = None
    """SBOMs and attestations that came with the image; None: they were not read."""

    def count_licenses(self) -> list[tuple[str, int]]:
        """Return the licences with their numbers of packages, the most frequent first.

        The licence of packages that state none is the empty text.
        """
        counted = Counter(text for package in self.packages for text in package.licenses or ("",))
        return sorted(counted.items(), key=lambda item: (-item[1], item[0]))

    def to_json(self) -> dict[str, Any]:
        """Return the packages as JSON."""
        value: dict[str, Any] = {"name": self.name, "digest": self.image.digest.text}
        if self.image.platform is not None:
            value["platform"] = str(self.image.platform)
        if self.distribution is not None:
            value["distribution"] = {
                "id": self.distribution.id,
                "version": self.distribution.version,
                "name": self.distribution.name,
            }
        value["packages"] = [package.to_json() for package in self.packages]
        value["licenses"] = [
            {"license": text, "packages": number} if text else {"packages": number}
            for text, number in self.count_licenses()
        ]
        value["complete"] = not self.findings
        value["findings"] = [finding.to_json() for finding in self.findings]
        if self.claims is not None:
            value["claims"] = [claim.to_json() for claim in self.claims]
        return value


def read_packages(
    images: Sequence[tuple[str, Source, PlatformImage]], reader: LayerReader
) -> list[ImagePackages]:
    """Read the layers of images, each layer once; return the packages of each image.

    Raises:
        BundlerError: a layer is missing, damaged or beyond a limit, see ``scan_layer``.
    """
    read = reader.read(
        (source, layer) for _, source, image in images for layer in image.manifest.layers
    )
    return [
        merge_layers(name, image, [read[layer.digest].packages for layer in image.manifest.layers])
        for name, _, image in images
    ]


def merge_layers(name: str, image: PlatformImage, layers: Sequence[LayerPackages]) -> ImagePackages:
    """Return the packages of an image whose ``layers`` are in their order, the lowest first."""
    stated = dict(_list_visible(layers))
    distribution = next(
        (
            item
            for path in _OS_RELEASE
            for item in stated.get(path, ())
            if isinstance(item, Distribution)
        ),
        None,
    )
    statements = [item for items in stated.values() for item in items]
    licenses = {
        item.name: item.licenses for item in statements if isinstance(item, DocumentedLicenses)
    }
    packages = []
    for package in statements:
        if isinstance(package, Package):
            changes: dict[str, Any] = {}
            if package.type in DISTRIBUTION_TYPES and distribution is not None:
                changes["namespace"] = distribution.id
            if package.type == "deb" and not package.licenses and package.name in licenses:
                changes["licenses"] = licenses[package.name]
            packages.append(replace(package, **changes) if changes else package)
    packages.sort(key=lambda item: (item.type, item.namespace, item.name, item.version, item.path))
    findings = [
        finding
        for number, layer in enumerate(layers, 1)
        for finding in layer.findings
        if not _is_hidden(finding.path, layers[number:])
    ]
    return ImagePackages(
        name,
        image,
        distribution,
        tuple(packages),
        tuple(findings),
    )


def check_findings(images: Sequence[ImagePackages]) -> None:
    """Report the files that could not be read.

    Raises:
        FindingsError: there is one.
    """
    findings = [
        f"{image.name}: {finding.path}: {finding.problem} [{finding.code}]"
        for image in images
        for finding in image.findings
    ]
    if findings:
        raise FindingsError(
            f"packages may be missing: {count(len(findings), 'file')} cannot be read", findings
        )


def _list_visible(layers: Sequence[LayerPackages]) -> Iterator[tuple[str, Sequence[Statement]]]:
    """Yield the files of the image that state something, each with its path."""
    for number, layer in enumerate(layers, 1):
        for evidence in layer.evidence:
            path = next(
                (path for path in evidence.paths if not _is_hidden(path, layers[number:])), None
            )
            if path == evidence.paths[0]:
                yield path, evidence.statements
            elif path is not None:
                yield (
                    path,
                    [
                        replace(item, path=path + item.path.removeprefix(evidence.paths[0]))
                        if isinstance(item, Package)
                        else item
                        for item in evidence.statements
                    ],
                )


def _is_hidden(path: str, upper_layers: Iterable[LayerPackages]) -> bool:
    return any(layer.changes.hides(path) for layer in upper_layers)
