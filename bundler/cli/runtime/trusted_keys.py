"""The trust in the signers of a bundle, from the options of a command and the site's trust file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial
from typing import TYPE_CHECKING, Literal

from bundler.cli.options.option import refuse_conflicts
from bundler.cli.output import text
from bundler.errors import BundlerError, UnauthenticatedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from bundler.cli.options.signing.bundle_trust import TrustOptions
    from bundler.cli.runtime.context import CommandContext
    from bundler.trust.bundle_trust import BundleTrust, SignedDocument
    from bundler.trust.private_keys.signers import Signer
    from bundler.trust.trust_files.trust_file import TrustedKey
    from bundler.trust.trust_files.trust_store import TrustStore


def read_trust(
    context: CommandContext,
    options: TrustOptions,
    *,
    read_only: bool,
    records: Path | None = None,
) -> BundleTrust:
    """Read the trusted keys, or the trust file; print a warning for each validity that ends soon.

    With ``read_only``, newer versions of the trust file in the bundle are not stored; otherwise,
    ``records`` is the directory in which they are recorded.

    Raises:
        UsageError: the options are inconsistent, or fewer different keys than the threshold.
        NotFoundError, ConfigError, UnsupportedError: a key or the trust file cannot be read.
    """
    from bundler.trust.bundle_trust import NO_KEYS, TrustedKeys  # noqa: PLC0415 - not for --help

    refuse_conflicts({"--key": options.key_files, "--trust": options.trust_file})
    if options.threshold is not None and not options.key_files:
        raise UsageError(
            "--threshold: no key given",
            hint="add --key FILE.pub; a trust file has its own thresholds",
        )
    if not options.key_files:
        record = None
        if records is not None:
            from bundler.bundle.records.record_trust_file import record_update  # noqa: PLC0415 - as above

            operator = context.environment.describe_operator()
            record = partial(record_update, records, operator=operator)
        store = open_store(context, options.trust_file, read_only=read_only, record=record)
        return store or NO_KEYS
    from bundler.trust import keys  # noqa: PLC0415 - loads cryptography

    given = [keys.read_public_key(path) for path in options.key_files]
    try:
        return TrustedKeys.create(given, options.threshold or 1)
    except UsageError as error:
        raise UsageError(f"--{error.message}", hint=error.hint) from None


def find_override(
    context: CommandContext, options: TrustOptions, records: Path | None = None
) -> Literal["--key", "--trust"] | None:
    """Return the option that replaces the trust file of the site; None: nothing does.

    With ``records``, keys also replace a trust file that is not installed any more, or is that of
    another user, if bundles were imported by it.

    Raises:
        LostRecordsError, MediumError: the records are damaged, or cannot be read.
    """
    installed = context.environment.find_trust_file()
    if installed is None:
        if not options.key_files or records is None:
            return None
        from bundler.bundle.records import site  # noqa: PLC0415 - not for --help

        return "--key" if site.read(records).has_trust_file else None
    if options.key_files:
        return "--key"
    other = options.trust_file
    if other is None or (other.exists() and other.samefile(installed)):
        return None
    return "--trust"


@dataclass(frozen=True, slots=True)
class ReceiptKeys:
    """The keys that are trusted to sign receipts and holdings files."""

    keys: Sequence[TrustedKey]
    threshold: int
    """How many of them must have signed."""
    names: Mapping[str, str]
    """The names of keys, by their IDs."""


def read_receipt_keys(
    context: CommandContext, key_files: Sequence[Path], trust_file: Path | None
) -> ReceiptKeys | None:
    """Return the given keys, or those with the role receipt in the trust file; None: neither.

    Raises:
        NotFoundError, ConfigError, UnsupportedError: a key or the trust file cannot be read.
        UnauthenticatedError: the trust file has no such key.
        TrustFileError: the trust file has expired.
    """
    if key_files:
        from bundler.trust.keys import read_public_key  # noqa: PLC0415 - loads cryptography
        from bundler.trust.trust_files.trust_file import TrustedKey  # noqa: PLC0415 - as above

        return ReceiptKeys([TrustedKey(read_public_key(path)) for path in key_files], 1, {})
    store = open_store(context, trust_file, read_only=True)
    if store is None:
        return None
    store.check_expiry(datetime.now(UTC))
    role = store.content.roles.get("receipt")
    if role is None:
        raise UnauthenticatedError(
            f"{store.path}: no key has the role receipt, so no receipt can be verified with it",
            hint="specify the key that signed it: --key FILE.pub; or add it to the next"
            " version: airbundle trust add DRAFT --key FILE.pub --role receipt",
        )
    keys = [*store.content.get_keys("receipt").values()]
    return ReceiptKeys(keys, role.threshold, store.read_all_names())


def read_chain(
    context: CommandContext, path: Path, signers: Sequence[Signer], stream: str
) -> Mapping[int, SignedDocument]:
    """Return all versions of a trust file, for the bundle of ``stream`` that is being exported.

    A warning is printed for each signer that the file does not accept.

    Raises:
        MissingFileError, ConfigError: the file cannot be read, or is not valid.
    """
    from bundler.trust.trust_files import trust_store  # noqa: PLC0415 - loads cryptography

    if (store := open_store(context, path)) is None:
        return {}
    warn_of_unfit_signers(store, signers, stream, datetime.now(UTC))
    return trust_store.read_history(store.path)


def warn_of_unfit_signers(
    store: TrustStore, signers: Sequence[Signer], stream: str, created: datetime
) -> None:
    """Print a warning for each signer that the trust file does not accept for a bundle.

    Bundles are signed nevertheless: other sites may have a newer version of the file, or none.
    """
    from bundler.trust.trust_files.role_check import find_unfit  # noqa: PLC0415 - loads cryptography

    keys, content = [signer.public for signer in signers], store.content
    for unfit in find_unfit(content, "bundle", keys, stream, created):
        text.print_note(
            f"warning: key {unfit.key_id[:16]} {unfit.text}, by version {content.version} of the"
            f" trust file {store.path}"
        )


def read_names(context: CommandContext) -> Mapping[str, str]:
    """Return the names in the trust file of the site, by key ID; empty if there is none.

    A report does not depend on them: a file that cannot be read is mentioned, and has no names.
    """
    try:
        store = open_store(context, None, read_only=True)
        return {} if store is None else store.read_all_names()
    except BundlerError as error:
        text.print_note(f"warning: no names of keys: {error.message}")
        return {}


def open_store(
    context: CommandContext,
    path: Path | None,
    *,
    read_only: bool = False,
    record: Callable[[TrustStore], None] | None = None,
) -> TrustStore | None:
    """Read the trust file ``path``, or that of the site if it is None; None if there is none.

    ``record`` receives each newer version that is stored.

    Raises:
        MissingFileError: ``path`` does not exist.
        ConfigError: the file cannot be read, or is not valid.
    """
    path = path or context.environment.find_trust_file()
    if path is None:
        return None
    from bundler.trust.trust_files import trust_store  # noqa: PLC0415 - loads cryptography

    # A command may authenticate a bundle twice, such as to verify it before it is imported.
    notify = None if context.options.quiet else cache(text.print_note)
    store = trust_store.load(path, read_only=read_only, notify=notify, record=record)
    for line in store.content.find_warnings(datetime.now(UTC)):
        text.print_note(f"warning: {path}: {line}")
    return store
