"""Find the files in the directory of a bundle that no image of its inventory needs."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from bundler.bundle.format.files import bundle_paths
from bundler.bundle.format.writing import store
from bundler.bundle.verifying.stored_graphs import read_graphs
from bundler.oci import image_layout

if TYPE_CHECKING:
    from bundler.bundle.format.inventory.inventory import Inventory
    from bundler.bundle.format.reading.files import BundleFiles

_OWN = {bundle_paths.INVENTORY, bundle_paths.CHECKSUM_FILE, bundle_paths.INSTRUCTIONS}
_LAYOUT = {bundle_paths.MARKER, bundle_paths.INDEX}


def find_unlisted(bundle: BundleFiles, inventory: Inventory) -> tuple[str, ...]:
    """Return the paths of files that the inventory does not need, and names in ``index.json``.

    Files that operating systems create on a medium are left out. The content of the files is not
    verified here; only manifests are read.

    Raises:
        NotFoundError, MediumError: the directory cannot be read.
        LimitError: the directory or a manifest exceeds a limit.
        MalformedError: ``index.json`` or a manifest is malformed.
    """
    found = bundle.scan()
    graphs = read_graphs(bundle, inventory.format, inventory.images)
    for problem in graphs.problems.values():
        raise problem  # the files that its manifest needs are unknown
    needed = _OWN | (_LAYOUT if inventory.format == "oci" else set())
    for image, of_image in graphs.images:
        needed |= {node.path for node in chain.from_iterable(of_image)}
        needed |= {
            part.path
            for node in chain.from_iterable(of_image)
            for part in found.joined.get(node.path, ())
        }
        needed |= {item.find_path(inventory.format, image.digest) for item in image.signatures}
        for root in (image.digest, *(referrer.digest for referrer in image.referrers)):
            needed.add(bundle_paths.find_version_path(root))
    unlisted = [
        path for path in found.entries if path not in needed and bundle_paths.is_listed(path)
    ]
    unlisted += found.foreign
    if inventory.format == "oci":
        roots = {
            store.format_name(image, "oci", item): item.digest if item else image.digest
            for image in inventory.images
            for item in (None, *image.referrers)
        }
        raw = bundle.read(bundle_paths.INDEX, image_layout.MAX_INDEX)
        for entry in image_layout.LayoutIndex.parse(raw, bundle_paths.INDEX).entries:
            name = image_layout.get_name(entry)
            if entry.digest not in (roots.values() if name is None else (roots.get(name),)):
                label = (name or "an entry without a name")[:200]
                unlisted.append(f"{bundle_paths.INDEX}: {label}: {entry.digest}")
    return tuple(sorted(unlisted))
