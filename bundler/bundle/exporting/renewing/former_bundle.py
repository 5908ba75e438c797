"""Read the bundle that an export renews, and choose the serial that follows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bundler.bundle.format.files import bundle_paths
from bundler.bundle.format.inventory.inventory import create_serial
from bundler.bundle.format.inventory.parse_inventory import parse_inventory
from bundler.errors import BundlerError, ConflictError
from bundler.events import Notice

if TYPE_CHECKING:
    from bundler.bundle.exporting.export import ExportRequest
    from bundler.bundle.format.authenticate import AuthenticatedBundle
    from bundler.copy.engine import EngineOptions

_PLAUSIBLE_LEAD = 24 * 60 * 60  # seconds that the clock of another exporting computer may be ahead


def read_former(request: ExportRequest) -> AuthenticatedBundle | None:
    """Read the former bundle; None if it does not exist, or cannot be read because it is encrypted.

    It has no ``signers`` unless a key of the request signed it.

    Raises:
        ConflictError: the former bundle has another format or belongs to another stream.
    """
    if request.archive:
        if not request.bundle.is_file():
            return None
        from bundler.bundle.format.reading.open_files import is_bundle, starts_with  # noqa: PLC0415 - as below
        from bundler.bundle.format.reading.stream_location import AGE_MAGIC  # noqa: PLC0415 - as below

        if request.recipients and starts_with(request.bundle, AGE_MAGIC):
            return None  # it cannot be read
        if not is_bundle(request.bundle):
            raise ConflictError(
                f"{request.bundle}: exists, and is not an archive of a bundle",
                subjects=["format"],
                hint="specify another file, or remove this one first",
            )
    else:
        if request.format == "oci":
            other_format, other_folder = "dir", bundle_paths.IMAGES
        else:
            other_format, other_folder = "oci", bundle_paths.BLOBS
        if (request.bundle / other_folder).exists():
            raise ConflictError(
                f"{request.bundle}: contains a bundle of another format"
                f" (expected {request.format}, got {other_format})",
                subjects=["format"],
                hint="specify another directory, or remove that bundle first",
            )
        if not (request.bundle / bundle_paths.INVENTORY).exists():
            return None
    from bundler.bundle.format import authenticate  # noqa: PLC0415 - only for a former bundle
    from bundler.bundle.format.reading.open_files import open_files  # noqa: PLC0415 - as above
    from bundler.trust.bundle_trust import TrustedKeys  # noqa: PLC0415 - as above

    try:
        trust = TrustedKeys.create(key.public for key in request.keys)
        with open_files(request.bundle) as files:
            found = authenticate.authenticate(files, trust)
        former = parse_inventory(found.raw)
    except BundlerError:
        return None
    if former.stream != request.stream:
        raise ConflictError(
            f"{request.bundle}: contains a bundle of another stream"
            f" (expected {request.stream}, got {former.stream})",
            subjects=["stream"],
            hint="specify another directory, or remove that bundle first",
        )
    return authenticate.AuthenticatedBundle(found.raw, former, found.signers)


def choose_serial(former: AuthenticatedBundle | None, engine: EngineOptions) -> int:
    """Return the serial of the new bundle.

    The inventory may have been changed on the medium, so a serial far in the future counts only if
    a key of the request signed it.
    """
    now = datetime.now(UTC)
    if former is None:
        return create_serial(None, now)
    serial: int | None = former.inventory.serial
    if not former.signers and former.inventory.serial > now.timestamp() + _PLAUSIBLE_LEAD:
        engine.emit(Notice(f"serial {serial} of the former bundle is in the future: ignored"))
        serial = None
    return create_serial(serial, now)
