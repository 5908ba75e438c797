"""Reader of the file of ``--tls-details``: versions, cipher suites and groups of TLS.

The format is that of containers-tls-details.yaml(5).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.config.registry_access import TlsDetails
from bundler.config.yaml import table

if TYPE_CHECKING:
    from pathlib import Path


def read(path: Path) -> TlsDetails:
    """Read the file.

    Raises:
        ConfigError: the file does not exist, cannot be read, or is invalid.
    """
    document = table.read(path)
    document.refuse_unknown(("minVersion", "cipherSuites", "namedGroups"))
    for key, value in document.value.items():
        if value is None:  # ambiguous: no restriction, or nothing allowed
            raise document.problem(f"{key} is empty")
    version = None
    if "minVersion" in document:
        version = document.one_of("minVersion", ("1.2", "1.3"))
    return TlsDetails(
        str(path),
        version,
        document.texts("cipherSuites") if "cipherSuites" in document else None,
        document.texts("namedGroups") if "namedGroups" in document else None,
    )
