"""The trust in the signers of a bundle, from the options of a command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.errors import UsageError
from bundler.trust.bundle_trust import NO_KEYS, TrustedKeys

if TYPE_CHECKING:
    from bundler.cli.options.bundle_trust import TrustOptions
    from bundler.trust.bundle_trust import BundleTrust


def read_trust(options: TrustOptions) -> BundleTrust:
    """Read the trusted keys.

    Raises:
        UsageError: there are fewer different keys than the threshold.
        NotFoundError, ConfigError, UnsupportedError: a key cannot be read.
    """
    if not options.key_files:
        return NO_KEYS
    from bundler.trust import keys  # noqa: PLC0415 - loads cryptography

    given = [keys.read_public_key(path) for path in options.key_files]
    try:
        return TrustedKeys.create(given, options.threshold or 1)
    except UsageError as error:
        raise UsageError(f"--{error.message}", hint=error.hint) from None
