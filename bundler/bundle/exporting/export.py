"""Export images into the directory of a bundle, or renew the bundle that it contains.

An export locks the directory, and adds blobs and manifests beside those of the former bundle, each
verified. Then it replaces the seal in one step: ``index.json``, ``SHA256SUMS``, ``bundle.json`` and
the signatures. Finally it removes the content that the new bundle does not list.

If an export is interrupted, the directory contains the former bundle or the new one, complete and
signed. The same export can be run again and completes the new bundle. If nothing has changed,
nothing is written, unless a third of the validity of the former bundle has passed.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, NamedTuple

from bundler.bundle.exporting.destination import check_destination
from bundler.bundle.exporting.renewing.former_bundle import choose_serial, read_former
from bundler.bundle.exporting.report import ExportReport, create_partial_error
from bundler.bundle.exporting.resolving.resolve import list_images, resolve_all, update_entry
from bundler.bundle.format.files import bundle_paths
from bundler.bundle.format.writing.directory_holdings import DirectoryHoldings
from bundler.bundle.media import filesystem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime, timedelta
    from pathlib import Path

    from bundler.bundle.format.authenticate import AuthenticatedBundle
    from bundler.bundle.format.inventory.inventory import BundledImage, Format, RelayedBundle
    from bundler.bundle.format.inventory.presupposed import HeldBlob
    from bundler.bundle.format.plan.resend_request import ResendRequest
    from bundler.bundle.media.filesystem import MediaProfile, Medium
    from bundler.content.encryption.age_keys import Recipient
    from bundler.copy.engine import EngineOptions
    from bundler.copy.image import ImageRequest, ResolvedImage
    from bundler.errors import BundlerError
    from bundler.oci.digest import Digest
    from bundler.ports import OpenOptions
    from bundler.signature_ports import PolicyCheck
    from bundler.trust.bundle_trust import SignedDocument
    from bundler.trust.private_keys.signers import Signer


class VolumeQuestion(NamedTuple):
    """A volume for which a directory is needed."""

    number: int
    total: int
    """The number of volumes of the bundle."""
    size: int
    """The bytes that it needs."""
    problem: str | None = None
    """The reason why the former answer is not accepted; None: it is the first question."""


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """The images to export, and the bundle to write."""

    images: Sequence[ImageRequest]
    options: OpenOptions
    """Options for opening the sources of the images and the directory of the bundle."""
    bundle: Path
    stream: str
    format: Format
    expires: timedelta | None = None
    """Lifetime of the bundle from its creation; None: no limit."""
    not_after: datetime | None = None
    """The time at which the bundle expires at the latest; None: no limit."""
    relayed: tuple[RelayedBundle, ...] = ()
    """The bundles through which the images came."""
    keys: tuple[Signer, ...] = ()
    """The keys with which the bundle is signed; if empty, it is not signed."""
    trust_chain: Mapping[int, SignedDocument] = field(default_factory=dict)
    """The versions of the site's trust file, which the bundle carries."""
    parents: bool = False
    """Create missing parent directories of the bundle."""
    duplicate_blobs: bool = False
    """In format ``dir``, store copies of a shared blob if hard links are not possible."""
    policy_check: PolicyCheck | None = None
    """Checks the images at their sources; None: no check."""
    attest: bool = False
    """Attest the origin of each image with ``keys``, unless it is requested without referrers."""
    manifest_files: Mapping[str, Digest] = field(default_factory=dict, hash=False)
    """The digests of the files of the bundle manifest, by their names in origins."""
    on_system_disk: bool = False
    """Allow an empty mount point on which no medium is mounted."""
    read_back: bool | None = None
    """Read the bundle again from the medium after writing; None: if the medium is removable."""
    held: Mapping[Digest, HeldBlob] = field(default_factory=dict, hash=False)
    """The blobs that the target has: the bundle presupposes those that are layers of images."""
    media_profile: MediaProfile | None = None
    """The properties of the medium, in place of those of its file system; None: unset."""
    archive: bool = False
    """Write an archive, the file ``bundle``, and not a directory."""
    recipients: tuple[Recipient, ...] = ()
    """The recipients for whom the archive is encrypted; empty: it is not encrypted."""
    split: int | None = None
    """The size of the parts of the archive in bytes; None: it is one file."""
    program: Mapping[str, Path] = field(default_factory=dict, hash=False)
    """The files of the program that the bundle carries, by their paths in the bundle."""
    volumes: tuple[Path, ...] = ()
    """The directories of the volumes after the first one, which is ``bundle``; empty: there are no
    volumes."""
    volume_size: int | Literal["auto"] | None = None
    """The maximum size of a volume in bytes; ``auto``: the free space of its medium; None: unset,
    which means the same if there are volumes."""
    ask_for_volume: Callable[[VolumeQuestion], Path | None] | None = None
    """Asks for the directory of a volume if more are needed; None: nobody can be asked."""
    resend: ResendRequest | None = None
    """The volumes to write again, under the same plan, to ``bundle`` and ``volumes`` in the order
    of their numbers; None: a new bundle."""
    recovery: int = 0
    """The size of the recovery data, in percent of the content; 0: none."""
    in_place: bool = False
    """If there is no room for the former and the new bundle, remove the former one first."""

    def find_expiry(self, created: datetime) -> datetime | None:
        """Return when a bundle of this request expires; None: never."""
        limits = [self.not_after] if self.not_after is not None else []
        if self.expires is not None:
            limits.append(created + self.expires)
        return min(limits, default=None)

    @property
    def has_volumes(self) -> bool:
        """Whether the bundle is written to volumes, even if one suffices."""
        return bool(self.volumes) or self.volume_size is not None or self.resend is not None

    @property
    def program_directory(self) -> str | None:
        """The directory of the carried program in the bundle; None: there is none."""
        return next((path.partition("/")[0] for path in self.program), None)

    @property
    def is_stream(self) -> bool:
        """Whether the bundle is written in its order: to a pipe, or encrypted."""
        return self.bundle == bundle_paths.PIPE or bool(self.recipients)

    def reads_back(self, medium: Medium) -> bool:
        """Return whether the bundle on ``medium`` is read again after writing."""
        return medium.removable if self.read_back is None else self.read_back


def export(request: ExportRequest, engine: EngineOptions) -> ExportReport:
    """Create or renew the bundle.

    Raises:
        NoSpaceError, MediumError: the medium is too small or cannot be written; raised before the
            first byte is written if possible.
        UnreadableBundleError: the medium does not return what was written.
        DisconnectedMediumError: the medium was disconnected during the export.
        LockedError: another process is writing to the directory.
        ConflictError: the directory contains a bundle of another stream or format.
        BundlerError: the first failure; content already written is used by the next run.
    """
    bundle = request.bundle
    check_destination(request, filesystem.inspect(bundle, request.media_profile))
    former = read_former(request)
    with ExitStack() as stack:
        holdings = DirectoryHoldings(bundle, request.format)
        images, missing = resolve_all(
            request.images,
            request.options,
            engine,
            stack,
            holdings,
            policy_check=request.policy_check,
        )
        if not images:
            raise create_partial_error(
                bundle, "not written, because no image could be resolved", missing
            )
        serial = choose_serial(former, engine) if request.attest else None
        if serial is not None:
            from bundler.bundle.exporting.resolving.attest import attest  # noqa: PLC0415 - on request

            images = attest(images, request, former, serial, engine)
        entries, signature_files = list_images(images, request.format, engine.emit)
        content = ResolvedContent(images, entries, signature_files, has_all_images=not missing)
        if request.has_volumes:
            from bundler.bundle.exporting.export_volumes import export_volumes  # noqa: PLC0415 - on request

            return replace(export_volumes(request, content, engine), missing=missing)
        return write_bundle(request, content, former, engine, stack, missing=missing, serial=serial)


@dataclass(frozen=True, slots=True)
class ResolvedContent:
    """The content of a new bundle, before it is written."""

    images: Sequence[ResolvedImage]
    entries: Sequence[BundledImage]
    """The entries of ``images`` in the inventory."""
    signature_files: Mapping[str, bytes]
    """The files with signatures of images, by path."""
    has_all_images: bool = True
    """Whether the images are all those that were requested."""

    @property
    def is_complete(self) -> bool:
        """Whether the images are all those that were requested, with all their layers."""
        return self.has_all_images and not any(image.missing_layers for image in self.images)

    def update_entries(
        self, images: Iterable[ResolvedImage]
    ) -> list[tuple[BundledImage, ResolvedImage]]:
        """Return the images that were transferred, each with its entry of what was transferred."""
        pairs = zip(self.images, self.entries, strict=True)
        entries = {image.display_name: entry for image, entry in pairs}
        return [(update_entry(entries[image.display_name], image), image) for image in images]


def write_bundle(
    request: ExportRequest,
    content: ResolvedContent,
    former: AuthenticatedBundle | None,
    engine: EngineOptions,
    stack: ExitStack,
    *,
    missing: dict[str, BundlerError],
    serial: int | None = None,
) -> ExportReport:
    """Write resolved images to the directory or the archive of a bundle, and seal it.

    Args:
        request: the bundle to write.
        content: the images.
        former: the bundle in the directory.
        engine: how content is transferred.
        stack: closes the directory.
        missing: the errors of images that could not be resolved, by reference.
        serial: the serial of the bundle; None: the next one.

    Raises:
        BundlerError: as ``export``.
    """
    if request.archive:
        from bundler.bundle.exporting.write_archive import write_archive  # noqa: PLC0415 - only for archives

        write = write_archive
    else:
        from bundler.bundle.exporting.write_directory import write_directory  # noqa: PLC0415 - unless an archive

        write = write_directory
    with stack:
        return write(request, content, former, engine, stack, missing=missing, serial=serial)
