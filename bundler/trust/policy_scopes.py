"""The scopes of a policy that an image lies in, the most specific first.

containers-policy.json(5), "Supported transports and their scopes". The scope ``""``, which stands
for all that a transport knows, is not among them: it is the policy's, whatever the image.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bundler.ports import RepositoryReference

if TYPE_CHECKING:
    from bundler.oci.reference import ImageReference
    from bundler.ports import Reference


def list_scopes(reference: Reference) -> list[str]:
    """All scopes of the image that ``reference`` names; paths are followed on the disk."""
    rest = str(reference).partition(":")[2]
    match reference.transport:
        case "docker" | "docker-daemon" | "atomic":
            image = reference.image if isinstance(reference, RepositoryReference) else None
            return [] if image is None else _of_image(image.with_default_tag())
        case "dir" | "sif":
            return _of_path(os.path.realpath(rest))
        case "oci" | "oci-archive":
            # The manual has path:name too; Skopeo obeys the path only: a name can be left out.
            return _of_path(os.path.realpath(rest.partition(":")[0]))
        case "containers-storage":
            return _of_storage(rest)
        case _:
            return []


def _of_image(image: ImageReference) -> list[str]:
    """The image, its repository, the namespaces above it, its registry, and the domains."""
    separator = "@" if image.digest is not None else ":"
    above = _parents(image.repository)
    host = above[-1].partition(":")[0]
    labels = host.split(".")
    domains = [f"*.{'.'.join(labels[start:])}" for start in range(1, len(labels))]
    return [f"{image.repository}{separator}{image.version}", *above, *domains]


def _of_path(path: str) -> list[str]:
    """The path and those above it, but for the root."""
    return [scope for scope in _parents(path) if scope]


def _of_storage(text: str) -> list[str]:
    """``[driver@root+run:options]name@id``: the options are no part of a scope."""
    store, bracket, rest = text.partition("]")
    if not bracket:
        store, rest = "", text
    root = store.removeprefix("[").partition("+")[0].partition(":")[0]
    name, _, identifier = rest.partition("@")
    prefix = f"[{root}]" if root else ""
    repository = name if ":" not in name.rpartition("/")[2] else name.rpartition(":")[0]
    inside = [name, *_parents(repository)] if name else []
    whole = [f"{prefix}{rest}"] if identifier else []
    found = whole + [f"{prefix}{scope}" for scope in inside]
    if root:
        path = root.rpartition("@")[2]
        found += [f"[{root}]", *(f"[{scope}]" for scope in _of_path(path))]
    return list(dict.fromkeys(found))


def _parents(path: str) -> list[str]:
    """``path``, and what is left of it as its last part goes, again and again."""
    found = [path]
    while "/" in path:
        path = path.rpartition("/")[0]
        found.append(path)
    return found
