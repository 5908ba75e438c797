"""List all images below a prefix in a registry, to compare them by name."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

from bundler import transports
from bundler.bundle.audit.differences.image_lists import ImageEntry
from bundler.bundle.importing.target import list_repositories
from bundler.copy.parallel import run_all
from bundler.errors import LimitError, NotFoundError
from bundler.oci.reference import ImageReference
from bundler.ports import ListsTags
from bundler.transports.source_reference import create_registry_reference

if TYPE_CHECKING:
    from bundler.bundle.audit.differences.image_lists import ImageList
    from bundler.bundle.importing.target import RegistryTarget
    from bundler.copy.engine import EngineOptions
    from bundler.ports import OpenOptions

MAX_IMAGES = 200_000


def list_registry(target: RegistryTarget, options: OpenOptions, engine: EngineOptions) -> ImageList:
    """Return the tags of all repositories below the prefix of ``target``, relative to it.

    Raises:
        UnsupportedError: the registry does not list its repositories.
        NotFoundError: it lists none below the prefix.
        LimitError: there are too many tags.
        RegistryError: the registry cannot be reached, or denies access.
    """
    front = f"{target.prefix}/" if target.prefix else ""
    paths = list_repositories(target, options)
    tasks = [partial(_list_tags, target, path, options) for path in paths]
    found: dict[str, ImageEntry] = {}
    for path, entries in zip(
        paths, run_all(engine.executor, tasks, engine.cancellation), strict=True
    ):
        for entry in entries:
            name = f"{path.removeprefix(front)}:{entry.name}"
            found[name] = ImageEntry(name, entry.digest)
        if len(found) > MAX_IMAGES:
            raise LimitError(f"{target}: too many tags (expected at most {MAX_IMAGES:,})")
    return found


def _list_tags(target: RegistryTarget, path: str, options: OpenOptions) -> list[ImageEntry]:
    """Return the tags of a repository; one that is removed meanwhile has none."""
    image = ImageReference.parse(f"{target.domain}/{path}")
    reference = create_registry_reference(image, target.front)
    with closing(transports.open_source(reference, options)) as source:
        try:
            tags = source.tags() if isinstance(source, ListsTags) else []
            return [ImageEntry(tag, source.resolve(tag).digest) for tag in tags]
        except NotFoundError:
            return []
