"""The parts that both formats have in common: identity, time, licences, and text that is valid."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bundler import __version__

if TYPE_CHECKING:
    from datetime import datetime

    from bundler.bundle.audit.packages.image_packages import ImagePackages

TOOL = "airbundle"
VERSION = __version__
# fmt: off
SPDX_LICENSES = frozenset(
    [
        "0BSD", "AFL-2.1", "AGPL-3.0-only", "AGPL-3.0-or-later", "Apache-1.1",
        "Apache-2.0", "Artistic-1.0-Perl", "Artistic-2.0", "BlueOak-1.0.0",
        "BSD-2-Clause", "BSD-3-Clause", "BSD-4-Clause", "BSL-1.0", "CC-BY-3.0",
        "CC-BY-4.0", "CC0-1.0", "CDDL-1.0", "CDDL-1.1", "EPL-1.0", "EPL-2.0",
        "GPL-1.0-or-later", "GPL-2.0-only", "GPL-2.0-or-later", "GPL-3.0-only",
        "GPL-3.0-or-later", "ISC", "LGPL-2.0-only", "LGPL-2.0-or-later",
        "LGPL-2.1-only", "LGPL-2.1-or-later", "LGPL-3.0-only", "LGPL-3.0-or-later",
        "MIT", "MIT-0", "MPL-1.1", "MPL-2.0", "OpenSSL", "OFL-1.1", "PSF-2.0",
        "Python-2.0", "Ruby", "Unicode-3.0", "Unlicense", "Vim", "WTFPL", "X11", "Zlib",
        "ZPL-2.1",
    ]
)
"""The common identifiers of https://spdx.org/licenses; other licences are written as names."""
# fmt: on


@dataclass(frozen=True, slots=True)
class SbomIdentity:
    """The identity of one SBOM."""

    uuid: str
    """Derived from the digest of the image and the time, so that a document can be repeated."""
    created: str
    """The time in UTC, in the form of ISO 8601, to the second."""


def create_identity(image: ImagePackages, created: datetime) -> SbomIdentity:
    """Return the identity of the SBOM of ``image``; ``created`` has a time zone of UTC."""
    text = f"{created:%Y-%m-%dT%H:%M:%SZ}"
    name = f"{image.name} {image.image.digest} {text}"
    return SbomIdentity(str(uuid.uuid5(uuid.NAMESPACE_URL, clean(name))), text)


def clean(text: str) -> str:
    """Replace surrogates and control characters, which are not valid in every reader."""
    return "".join(
        char if char.isprintable() and not "\ud800" <= char <= "\udfff" else "\ufffd"
        for char in text
    )
