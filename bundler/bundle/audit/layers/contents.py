"""The contents of a layer: what its files state about packages, and the files that rules note."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.bundle.audit.layers.noted_files import LayerFiles
    from bundler.bundle.audit.layers.scan import Member
    from bundler.bundle.audit.packages.package import LayerPackages
    from bundler.cancel import Cancellation
    from bundler.oci.descriptor import Descriptor
    from bundler.ports import Source


@dataclass(frozen=True, slots=True)
class LayerContents:
    """The statements and the noted files of one layer."""

    packages: LayerPackages
    files: LayerFiles


def read_layer(source: Source, layer: Descriptor, cancellation: Cancellation) -> LayerContents:
    """Read a layer to its end, verify it, and return its contents.

    Files that should state packages and cannot be read are findings.

    Raises:
        BundlerError: the layer is missing, damaged or beyond a limit, see ``scan_layer``.
    """
    from bundler.bundle.audit.layers.noted_files import FileCollector  # noqa: PLC0415 - not if kept
    from bundler.bundle.audit.layers.scan import scan_layer  # noqa: PLC0415 - as above
    from bundler.bundle.audit.packages.layer_packages import PackageCollector  # noqa: PLC0415 - as above

    packages, files = PackageCollector(layer.digest), FileCollector(layer.digest)

    def visit(member: Member, content: Iterator[memoryview]) -> None:
        packages.visit(member, files.visit(member, content))

    diff_id = scan_layer(source, layer, visit, cancellation)
    found = packages.finish(source, layer, diff_id, cancellation)
    return LayerContents(found, files.finish())
