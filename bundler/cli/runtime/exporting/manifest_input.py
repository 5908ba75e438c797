"""The input of ``plan``, ``lock`` and ``export``: a bundle manifest and its lock file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from bundler.bundle.exporting.resolving.resolve import list_tags
from bundler.bundle.manifest import load as manifests
from bundler.bundle.manifest.expand import expand
from bundler.errors import ConflictError, NotFoundError, UsageError, shortlist
from bundler.ports import RegistryReference

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bundler.bundle.manifest.load import BundleManifest
    from bundler.bundle.manifest.lockfile import LockFile
    from bundler.cli.options.common import ImagePolicies
    from bundler.cli.options.registry_access import AccessOptions
    from bundler.cli.runtime.environment import Environment
    from bundler.config.registry_access import RegistryOverride
    from bundler.copy.image import ImageRequest
    from bundler.events import Emit
    from bundler.ports import OpenOptions


@dataclass(frozen=True, slots=True)
class ManifestInput:
    """A bundle manifest, and its lock file; None to resolve the references again."""

    manifest: BundleManifest
    lock: LockFile | None
    policies: ImagePolicies
    """Options for all images, which take precedence over the files."""

    def create_image_requests(self, options: OpenOptions, emit: Emit) -> tuple[ImageRequest, ...]:
        """Return a request for each image; lists tags where a selection needs them."""
        if self.lock is not None:
            from bundler.bundle.manifest.lockfile import restore_options  # noqa: PLC0415 - only with --locked

            return self.policies.apply(restore_options(self.lock.images, self.manifest))
        images = expand(self.manifest, partial(list_tags, options=options), emit)
        return self.policies.apply(images)

    def create_overrides(self, access: AccessOptions) -> Mapping[str, RegistryOverride]:
        """Return the settings by registry: those of the command line, then of the manifest.

        Raises:
            UsageError: if there are credentials on the command line, and several registries.
        """
        override, known = access.create_override(), self.manifest.registries
        if override is None:
            return known
        from bundler.config.registry_access import (  # noqa: PLC0415 - for registries only
            ANONYMOUS,
            RegistryOverride,
        )

        sources = [entry.source for entry in self.manifest.images]
        registries = [source for source in sources if isinstance(source, RegistryReference)]
        hosts = sorted({source.registry_host for source in registries})
        if override.credentials not in (None, ANONYMOUS) and len(hosts) > 1:
            raise UsageError(
                "credentials on the command line apply to one registry only "
                f"(got {shortlist(hosts)})",
                hint="set them for each registry under registries, or use --authfile",
            )
        unset = RegistryOverride()
        overrides = {host: override.with_defaults(known.get(host, unset)) for host in hosts}
        return {**known, **overrides}


def load(
    path: Path, environment: Environment, policies: ImagePolicies, *, locked: bool = False
) -> ManifestInput:
    """Read the bundle manifest at ``path`` and, with ``locked``, the lock file beside it.

    Raises:
        InvalidBundleManifestError: if it is invalid; lists every problem.
        NotFoundError: if one of the files does not exist.
        ConflictError: if the bundle manifest has changed since it was locked.
    """
    manifest = manifests.load(path, environment=environment.variables)
    if not locked:
        return ManifestInput(manifest, None, policies)
    from bundler.bundle.manifest import lockfile as locks  # noqa: PLC0415 - only with --locked

    hint = f"airbundle lock {path}"
    try:
        lock = locks.read(locks.find_lock_path(path))
    except NotFoundError as error:
        error.hint = hint
        raise
    changed = lock.find_changed_files(manifest)
    if changed:
        raise ConflictError(
            f"{path}: changed since it was locked: {', '.join(changed)}",
            hint=hint,
        )
    return ManifestInput(manifest, lock, policies)
