"""Search images by reference, digest, label, package and file, in one or several locations."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from bundler.bundle.audit.image_properties import read_properties
from bundler.bundle.audit.layers.layer_reader import LayerReader
from bundler.bundle.audit.listings.files import ImageFiles
from bundler.bundle.audit.listings.origins import find_paths
from bundler.bundle.audit.packages.image_packages import merge_layers
from bundler.bundle.audit.platforms import list_platforms
from bundler.errors import (
    BundlerError,
    IntegrityError,
    LimitError,
    MalformedError,
    NotFoundError,
    UnsupportedError,
    VolumesOwedError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bundler.bundle.audit.images import ImageAtLocation, OpenImages
    from bundler.bundle.audit.layers.contents_cache import ContentsCache
    from bundler.bundle.audit.listings.files import ListingCache
    from bundler.bundle.audit.packages.package import LayerPackages
    from bundler.bundle.audit.platforms import PlatformImage
    from bundler.cancel import Cancellation
    from bundler.copy.image import ResolvedImage
    from bundler.events import Emit
    from bundler.gocompat.regexp import GoExpression
    from bundler.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class Query:
    """The conditions that an image has to meet, all of them; an empty one is met by every image."""

    references: tuple[GoExpression, ...] = ()
    """One of these expressions matches the reference."""
    digest: str = ""
    """The beginning of the hexadecimal digest of a manifest, config, layer or referrer."""
    labels: tuple[tuple[str, str | None], ...] = ()
    """Labels, with shell patterns for their values; None: any value."""
    package: tuple[str, str] | None = None
    """Shell patterns for the name and the version of a package."""
    file: str = ""
    """A shell pattern for the name of a file, or for its path if it contains a slash."""


@dataclass(frozen=True, slots=True)
class Match:
    """An image that meets the conditions, and one reason."""

    location: str
    image: str
    platform: str | None
    kind: str
    """``reference``, ``digest``, ``label``, ``package`` or ``file``."""
    text: str
    """The digest, the label with its value, the package with its version, or the path."""

    def to_json(self) -> dict[str, Any]:
        """Return the match as JSON."""
        return {
            "location": self.location,
            "image": self.image,
            "platform": self.platform,
            "kind": self.kind,
            "text": self.text,
        }


class Search:
    """A search for one query in several locations, one after the other. For one thread."""

    def __init__(
        self,
        query: Query,
        cache: ListingCache,
        emit: Emit,
        cancellation: Cancellation,
        kept: ContentsCache | None = None,
    ) -> None:
        self._query = query
        self._cache = cache
        self._emit = emit
        self._cancellation = cancellation
        self._kept = kept
        self._reader = LayerReader(cancellation, kept)
        self._layers: dict[Digest, LayerPackages] = {}
        self.failures: list[BundlerError] = []
        """The images that could not be searched, or not completely."""

    def close(self) -> None:
        """End the processes that read layers."""
        self._reader.close()

    def find(self, images: OpenImages) -> Iterator[Match]:
        """Yield the matches in one location.

        Manifests are read if a digest is requested, configs if labels are, and layers if a package
        or a file is. An image whose content is damaged, absent or of an unknown form is added to
        ``failures``, and the others are searched.

        Raises:
            BundlerError: the source cannot be read.
        """
        patterns = self._query.references
        for image in images.images:
            self._cancellation.check()
            if patterns and not any(pattern.search(image.name) for pattern in patterns):
                continue
            try:
                yield from self._find_in_image(images.location, image)
            except (
                IntegrityError,
                LimitError,
                NotFoundError,
                UnsupportedError,
                VolumesOwedError,
            ) as error:
                if len(images.images) == 1:
                    raise
                error.message = error.message_about(image.name)
                self.failures.append(error)

    def _find_in_image(self, location: str, image: ImageAtLocation) -> Iterator[Match]:
        query = self._query
        in_platforms = query.labels or query.package or query.file
        if not (query.digest or in_platforms):
            yield Match(location, image.name, None, "reference", image.name)
            return
        resolved = image.resolve(self._emit, referrers=bool(query.digest))
        digests = list(find_paths(resolved, query.digest)) if query.digest else []
        if query.digest and not digests:
            return
        if in_platforms:
            yield from self._find_in_platforms(location, resolved)
        else:
            for digest in dict.fromkeys(path[-1].node.descriptor.digest for path in digests):
                yield Match(location, image.name, None, "digest", digest.text)

    def _find_in_platforms(self, location: str, image: ResolvedImage) -> Iterator[Match]:
        """Yield the labels, packages and files of each platform that meets all conditions."""
        try:
            platforms = list(list_platforms(image))
        except UnsupportedError:  # an artifact has no labels, packages or files
            return
        name = image.display_name
        for platform in platforms:
            properties = read_properties(name, image.source, platform)
            found = []
            for label, pattern in self._query.labels:
                value = properties.labels.get(label)
                if value is not None and (pattern is None or fnmatchcase(value, pattern)):
                    found.append(("label", f"{label}={value}"))
            if len(found) < len(self._query.labels):
                continue
            if self._query.package is not None:
                packages = [("package", text) for text in self._match_packages(image, platform)]
                if not packages:
                    continue
                found += packages
            if self._query.file:
                files = ImageFiles(
                    image.source, platform.manifest, self._cancellation, self._cache, self._kept
                )
                name_pattern, by_path = self._query.file.lstrip("/"), "/" in self._query.file
                paths = [
                    ("file", file.path)
                    for file in files.read_tree()
                    if fnmatchcase(
                        file.path if by_path else file.path.rpartition("/")[2], name_pattern
                    )
                ]
                if not paths:
                    continue
                found += paths
            for kind, text in found:
                yield Match(location, name, str(properties.platform), kind, text)

    def _match_packages(self, image: ResolvedImage, platform: PlatformImage) -> Iterator[str]:
        """Yield the packages that match; files that cannot be read are failures."""
        listed = platform.manifest.layers
        missing = [(image.source, layer) for layer in listed if layer.digest not in self._layers]
        read = self._reader.read(missing)
        self._layers |= {digest: contents.packages for digest, contents in read.items()}
        layers = [self._layers[layer.digest] for layer in listed]
        found = merge_layers(image.display_name, platform, layers)
        for finding in found.findings:
            problem = f"{found.name}: {finding.path}: {finding.problem} [{finding.code}]"
            self.failures.append(MalformedError(f"{problem}; packages may be missing"))
        name, version = self._query.package or ("", "")
        for package in found.packages:
            if fnmatchcase(package.full_name, name) and fnmatchcase(package.version, version):
                yield f"{package.full_name}@{package.version} ({package.type}, {package.path})"


def parse_labels(texts: Sequence[str]) -> tuple[tuple[str, str | None], ...]:
    """Parse labels of the form ``KEY`` or ``KEY=PATTERN``."""
    split = (text.partition("=") for text in texts)
    return tuple((key, pattern if equals else None) for key, equals, pattern in split)


def parse_package(text: str) -> tuple[str, str]:
    """Parse ``NAME`` or ``NAME@VERSION``; the scope of npm begins with ``@`` too."""
    name, at, version = text.rpartition("@")
    return (name, version) if at and name else (text, "*")
