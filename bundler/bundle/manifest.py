"""The bundle manifest: a YAML file that says what a bundle is to hold.

In its place, and in its ``include``, a file of one reference per line and a ``skopeo sync`` file
are taken as they are. Every mistake in all of them is found before anything else happens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import re
    from collections.abc import Mapping
    from datetime import timedelta
    from pathlib import Path

    from bundler.bundle.entries import Entry
    from bundler.bundle.renaming import RenameRule
    from bundler.config.settings import RegistryOverride
    from bundler.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class ManifestFile:
    """A file that was read, ``path`` relative to the bundle manifest's folder."""

    path: str
    digest: Digest


@dataclass(frozen=True, slots=True)
class BundleManifest:
    """What to carry, under which name, and how to reach the registries it comes from."""

    name: str
    """The stream: bundles of one name follow one another."""
    expires: timedelta | None
    """How long a bundle may be imported once it is made; None: for ever."""
    registries: Mapping[str, RegistryOverride]
    """By ``host[:port]``; holds secrets, and never goes into a bundle or a lock."""
    images: tuple[Entry, ...]
    exclude: tuple[re.Pattern[str], ...]
    """An image goes where one of them is found in its full reference."""
    rename: tuple[RenameRule, ...]
    files: tuple[ManifestFile, ...]
    """This file first, then what it includes."""


def load(path: Path, *, environment: Mapping[str, str]) -> BundleManifest:
    """Read a bundle manifest, or a foreign list, with all that it includes.

    Args:
        path: the file; paths in it are relative to its folder.
        environment: where ``usernameEnv`` and ``passwordEnv`` are looked up.

    Raises:
        InvalidBundleManifestError: with every mistake as ``path:line:column: text``.
        LimitError: the file is too large, too deep, or expands to too much.
        NotFoundError: there is no such file.
    """
    raise NotImplementedError
