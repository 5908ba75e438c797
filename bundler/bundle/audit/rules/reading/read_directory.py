"""Read the list of files in the directory of a bundle, for rules about unlisted files."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bundler.bundle.audit.rules.audited import UNREADABLE, AuditedLocation
from bundler.bundle.verifying.unlisted_files import find_unlisted

if TYPE_CHECKING:
    from bundler.bundle.format.reading.files import BundleFiles


def add_unlisted(audited: AuditedLocation, bundle: BundleFiles | None) -> AuditedLocation:
    """Add the files that the inventory does not list, or the reason why they are not known.

    Raises:
        IntegrityError: a manifest does not match its digest.
        MediumError: the directory cannot be read.
    """
    if audited.inventory is None or bundle is None:
        return replace(audited, unlisted="the location is not a bundle")
    try:
        return replace(audited, unlisted=find_unlisted(bundle, audited.inventory))
    except UNREADABLE as error:
        return replace(audited, unlisted=error.message)
