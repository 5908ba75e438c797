"""Compare the images of an inventory with the files: content, signatures, and ``index.json``."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from bundler.bundle.format.files import bundle_paths
from bundler.bundle.format.writing import store
from bundler.errors import IntegrityError, LimitError, MediumError, NotFoundError
from bundler.oci import image_layout

if TYPE_CHECKING:
    from collections.abc import Mapping, Set as AbstractSet

    from bundler.bundle.format.files.bundle_files import DirectoryScan
    from bundler.bundle.format.inventory.inventory import Inventory
    from bundler.bundle.format.inventory.omissions import Omissions
    from bundler.bundle.format.inventory.presupposed import HeldBlob
    from bundler.bundle.format.reading.files import BundleFiles
    from bundler.bundle.verifying.findings import Findings
    from bundler.bundle.verifying.stored_graphs import StoredGraphs
    from bundler.oci.digest import Digest


def check_images(
    graphs: StoredGraphs,
    found: DirectoryScan,
    listed: AbstractSet[str],
    findings: Findings,
    *,
    presupposed: Mapping[Digest, HeldBlob],
) -> Omissions:
    """Check that each file that an image needs exists, with the size in its manifest.

    Returns the content that is neither in the bundle nor ``listed`` as one of its files.
    """
    parts = bundle_paths.group_blob_parts(found.entries.keys() | listed)
    for image, of_image in graphs.images:
        for node in chain.from_iterable(of_image):
            for path in (node.path, *parts.get(node.path, ())):
                findings.add_user(path, str(image.reference))
            entry = found.find(node.path)
            size = node.descriptor.size
            held = presupposed.get(node.descriptor.digest)
            if held is not None and node.kind == "layer":
                if held.size != size:
                    text = f"states {held.size:,} bytes for {held.digest} (expected {size:,})"
                    findings.add("malformed", bundle_paths.PRESUPPOSED, text)
                continue
            if entry is None and node.required:
                findings.add("missing", node.path, "missing")
            elif entry is not None and entry.kind == "file" and entry.size != size:
                expected, got = f"{size:,} bytes", f"{entry.size:,} bytes"
                text = f"wrong size (expected {expected}, got {got})"
                findings.add("size", node.path, text, expected=expected, got=got)
    for path, error in graphs.problems.items():
        if path in found.entries and found.entries[path].kind == "file":
            findings.add_error(path, error)
    return graphs.find_omissions(found.paths | listed)


def check_signatures(
    found: DirectoryScan, known: Inventory, listed: AbstractSet[str], findings: Findings
) -> dict[str, Digest]:
    """Check that the signature files of the images exist, with their sizes, and are listed.

    Returns their digests, by path.
    """
    digests: dict[str, Digest] = {}
    for image in known.images:
        for item in image.signatures:
            path = item.find_path(known.format, image.digest)
            findings.add_user(path, str(image.reference))
            digests.setdefault(path, item.digest)
            entry = found.entries.get(path)
            if entry is None:
                findings.add("missing", path, "missing")
            elif path not in listed:
                findings.add("surplus", path, f"not listed in {bundle_paths.CHECKSUM_FILE}")
            elif digests[path] != item.digest:
                findings.add("malformed", path, f"has two digests in {bundle_paths.INVENTORY}")
            elif entry.kind == "file" and entry.size != item.size:
                expected, got = f"{item.size:,} bytes", f"{entry.size:,} bytes"
                text = f"wrong size (expected {expected}, got {got})"
                findings.add("size", path, text, expected=expected, got=got)
    return digests


def compare_index(bundle: BundleFiles, known: Inventory, findings: Findings) -> None:
    """Compare ``index.json``, which other tools use, with the images of the inventory."""
    path = bundle_paths.INDEX
    roots = {store.format_name(image, "oci"): image.root for image in known.images}
    referrers = {
        store.format_name(image, "oci", item): item.root
        for image in known.images
        for item in image.referrers
    }
    listed = referrers | roots
    allowed = {root.digest for root in listed.values()}
    try:
        raw = bundle.read(path, image_layout.MAX_INDEX)
        entries = image_layout.LayoutIndex.parse(raw, path).entries
    except NotFoundError:
        findings.add("missing", path, "missing")
        return
    except (IntegrityError, LimitError, MediumError) as error:
        findings.add_error(path, error)
        return
    for entry in entries:
        name, digest = image_layout.get_name(entry), entry.digest
        label = name or "an entry without a name"
        root = listed.get(name) if name else entry
        if root is None:
            findings.add("index", path, f"{label} is not in {bundle_paths.INVENTORY}")
        elif digest != root.digest or digest not in allowed:
            text = f"{label} points to {digest}, which is not in {bundle_paths.INVENTORY}"
            findings.add("index", path, text)
        elif entry.size != root.size:
            expected, got = f"{root.size:,} bytes", f"{entry.size:,} bytes"
            text = f"{label} has a wrong size (expected {expected}, got {got})"
            findings.add("index", path, text, expected=expected, got=got)
    names = {image_layout.get_name(entry) for entry in entries}
    for name in (name for name in roots if name not in names):
        findings.add("index", path, f"{name} is missing")
