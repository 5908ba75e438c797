"""Compare two images, each for one platform: config, layers, and the bytes that are new."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bundler.bundle.audit import secret_text
from bundler.bundle.audit.differences.file_trees import compare_files
from bundler.bundle.audit.differences.packages import compare_packages

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bundler.bundle.audit.differences.file_trees import FileChange
    from bundler.bundle.audit.differences.packages import PackageDifference
    from bundler.bundle.audit.image_properties import ImageProperties
    from bundler.bundle.audit.listings.files import ImageFiles
    from bundler.bundle.audit.packages.image_packages import ImagePackages
    from bundler.bundle.audit.platforms import PlatformImage
    from bundler.oci.descriptor import Descriptor

_PROPERTIES = {
    "platform": "platform",
    "created": "created",
    "author": "author",
    "user": "user",
    "entrypoint": "entrypoint",
    "command": "command",
    "workingDirectory": "working_directory",
    "ports": "ports",
    "volumes": "volumes",
}


@dataclass(frozen=True, slots=True)
class Change:
    """A value that one of two images has, or that differs; None: it is absent."""

    kind: str
    """``environment``, ``labels``, ``annotations``, or the name of a property."""
    name: str
    """The name of the variable, label or annotation; empty for a property."""
    old: str | None
    new: str | None

    def to_json(self) -> dict[str, Any]:
        """Return the change as JSON."""
        named = {"name": self.name} if self.name else {}
        return {"kind": self.kind, **named, "old": self.old, "new": self.new}


@dataclass(frozen=True, slots=True)
class ImageDifference:
    """The difference between two images for one platform."""

    old: ImageProperties
    new: ImageProperties
    changes: tuple[Change, ...]
    removed_layers: tuple[Descriptor, ...]
    """The layers that only the old image has."""
    added_layers: tuple[Descriptor, ...]
    """The layers that only the new image has."""
    new_bytes: int
    """The size of the config and the layers that only the new image has."""
    files: tuple[FileChange, ...] | None
    """None: the layers were not read."""
    packages: PackageDifference | None
    """None: the layers were not read."""

    @property
    def is_same(self) -> bool:
        """Whether the images have the same manifest."""
        return self.old.digest == self.new.digest

    def to_json(self) -> dict[str, Any]:
        """Return the difference as JSON; sizes in bytes."""
        value: dict[str, Any] = {
            "old": {"name": self.old.name, "digest": self.old.digest.text},
            "new": {"name": self.new.name, "digest": self.new.digest.text},
            "changes": [change.to_json() for change in self.changes],
            "removedLayers": [_describe_layer(layer) for layer in self.removed_layers],
            "addedLayers": [_describe_layer(layer) for layer in self.added_layers],
            "newBytes": self.new_bytes,
        }
        if self.files is not None:
            value["files"] = [file.to_json() for file in self.files]
        if self.packages is not None:
            value["packages"] = [change.to_json() for change in self.packages.changes]
            value["findings"] = [finding.to_json() for finding in self.packages.findings]
        return value


@dataclass(frozen=True, slots=True)
class ComparedImage:
    """One side of a comparison."""

    properties: ImageProperties
    image: PlatformImage
    files: ImageFiles | None
    """None: the layers are not read."""
    packages: ImagePackages | None
    """None: the layers are not read."""


def compare_images(old: ComparedImage, new: ComparedImage) -> ImageDifference:
    """Compare two images.

    Files are compared by type, mode, owner, size, link target and content, and not by time. Layers
    that both images have are read once.

    Raises:
        BundlerError: a layer cannot be read, see ``ImageFiles.list_layer``.
    """
    old_layers, new_layers = old.image.manifest.layers, new.image.manifest.layers
    known = {layer.digest for layer in (*old_layers, old.image.manifest.config)}
    kept = {layer.digest for layer in new_layers}
    content = {item.digest: item for item in (*new_layers, new.image.manifest.config)}
    files = None
    if old.files is not None and new.files is not None:
        files = () if old_layers == new_layers else compare_files(old.files, new.files)
    packages = None
    if old.packages is not None and new.packages is not None:
        packages = compare_packages(old.packages, new.packages)
    former, latter = old.properties, new.properties
    changes = []
    for kind, attribute in _PROPERTIES.items():
        before, after = (_format(getattr(item, attribute)) for item in (former, latter))
        if before != after:
            visible = (
                _format(getattr(item.hide_secrets(), attribute)) for item in (former, latter)
            )
            changes.append(Change(kind, "", *visible))
    # Values that look like secrets are hidden.
    changes += _compare_maps("environment", dict(former.environment), dict(latter.environment))
    changes += _compare_maps("labels", former.labels, latter.labels)
    changes += _compare_maps("annotations", former.annotations, latter.annotations)
    return ImageDifference(
        old=former,
        new=latter,
        changes=tuple(changes),
        removed_layers=tuple(layer for layer in old_layers if layer.digest not in kept),
        added_layers=tuple(layer for layer in new_layers if layer.digest not in known),
        new_bytes=sum(item.size for item in content.values() if item.digest not in known),
        files=files,
        packages=packages,
    )


def _format(value: object) -> str | None:
    if isinstance(value, tuple):
        return " ".join(map(str, value)) or None
    return None if value is None else str(value)


def _compare_maps(kind: str, old: Mapping[str, str], new: Mapping[str, str]) -> list[Change]:
    def get(values: Mapping[str, str], name: str) -> str | None:
        value = values.get(name)
        if value is None or not secret_text.looks_secret(name, value):
            return value
        return secret_text.hide(value)

    return [
        Change(kind, name, get(old, name), get(new, name))
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]


def _describe_layer(layer: Descriptor) -> dict[str, Any]:
    return {"digest": layer.digest.text, "size": layer.size}
