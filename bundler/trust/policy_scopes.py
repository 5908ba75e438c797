"""Policy scopes of an image, narrowest first.

See "Supported transports and their scopes" in containers-policy.json(5). The scope ``""``, which
covers all images of a transport, is not included.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bundler.ports import RepositoryReference

if TYPE_CHECKING:
    from bundler.oci.reference import ImageReference
    from bundler.ports import Reference


def list_scopes(reference: Reference) -> list[str]:
    """Return the policy scopes of ``reference``, narrowest first.

    Symbolic links in paths are resolved.
    """
    rest = str(reference).partition(":")[2]
    match reference.transport:
        case "docker" | "docker-daemon" | "atomic":
            image = reference.image if isinstance(reference, RepositoryReference) else None
            return [] if image is None else _list_image_scopes(image.with_default_tag())
        case "dir" | "sif":
            return _list_path_scopes(os.path.realpath(rest))
        case "oci" | "oci-archive":
            # The manual page also describes the scope path:name, but Skopeo uses the path only.
            return _list_path_scopes(os.path.realpath(rest.partition(":")[0]))
        case "containers-storage":
            return _list_storage_scopes(rest)
        case _:
            return []


def _list_image_scopes(image: ImageReference) -> list[str]:
    """Return the image, its repository, namespaces and registry, and wildcards for its domains."""
    separator = "@" if image.digest is not None else ":"
    above = _list_parents(image.repository)
    host = above[-1].partition(":")[0]
    labels = host.split(".")
    domains = [f"*.{'.'.join(labels[start:])}" for start in range(1, len(labels))]
    return [f"{image.repository}{separator}{image.version}", *above, *domains]


def _list_path_scopes(path: str) -> list[str]:
    """Return the path and all its parents except the root directory."""
    return [scope for scope in _list_parents(path) if scope]


def _list_storage_scopes(text: str) -> list[str]:
    """Return the scopes of ``[driver@root+run:options]name@id``, without the options."""
    store, bracket, rest = text.partition("]")
    if not bracket:
        store, rest = "", text
    root = store.removeprefix("[").partition("+")[0].partition(":")[0]
    name, _, identifier = rest.partition("@")
    prefix = f"[{root}]" if root else ""
    repository = name if ":" not in name.rpartition("/")[2] else name.rpartition(":")[0]
    inside = [name, *_list_parents(repository)] if name else []
    whole = [f"{prefix}{rest}"] if identifier else []
    found = whole + [f"{prefix}{scope}" for scope in inside]
    if root:
        path = root.rpartition("@")[2]
        found += [f"[{root}]", *(f"[{scope}]" for scope in _list_path_scopes(path))]
    return list(dict.fromkeys(found))


def _list_parents(path: str) -> list[str]:
    """Return ``path`` and its parents."""
    found = [path]
    while "/" in path:
        path = path.rpartition("/")[0]
        found.append(path)
    return found
