"""Requests for Skopeo command lines.

Most flags have the same meaning as the native options of the same name; the functions here also
apply Skopeo's defaults.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from bundler.cli.options.command import GlobalOptions
from bundler.cli.options.images.conversion import ImageConversionOptions
from bundler.cli.options.images.platforms import PlatformOptions
from bundler.cli.options.images.retry import RetryOptions
from bundler.cli.options.registry_access import ask_for_password
from bundler.cli.runtime.context import AccessSettings

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.cli.frontends.skopeo.arguments.argv import CommandLine
    from bundler.cli.runtime.context import CommandContext
    from bundler.config.registry_access import Credentials
    from bundler.images.copy_image import CopyRequest, TransferOptions
    from bundler.images.login import CredentialStore
    from bundler.images.sync.sources import SourceTransport
    from bundler.images.sync.sync import SyncRequest
    from bundler.images.sync.targets import DestinationTransport
    from bundler.ports import Reference

_MAX_JOBS = 64
_COMPRESSING = ("docker", "oci", "oci-archive", "atomic")
"""Destination transports for which Skopeo compresses uncompressed layers."""


def create_global_options(line: CommandLine) -> GlobalOptions:
    """Return the global options.

    Raises:
        UsageError: if options are mutually exclusive.
    """
    options = GlobalOptions(
        quiet=line.is_set("quiet"),
        debug=line.is_set("debug"),
        command_timeout=line.seconds("command-timeout") or None,
        override_arch=line.text("override-arch") or None,
        override_os=line.text("override-os") or None,
        override_variant=line.text("override-variant") or None,
        policy=line.path("policy"),
        insecure_policy=line.is_set("insecure-policy"),
        require_signed=line.is_set("require-signed"),
        registries_conf=line.path("registries-conf"),
        registries_d=line.path("registries.d"),
        tls_details=line.path("tls-details"),
        tmpdir=line.path("tmpdir"),
        user_agent_prefix=line.text("user-agent-prefix"),
    )
    options.check()
    return options


def create_retry(line: CommandLine) -> RetryOptions:
    """Return the number of retries after temporary failures, and the wait before each."""
    return RetryOptions(max(0, line.number("retry-times") or 0), line.seconds("retry-delay"))


def parse_reference(text: str) -> Reference:
    """Parse a reference; ``dir:`` alone is the current directory."""
    from bundler import transports  # noqa: PLC0415 - not before the arguments are checked

    return transports.parse("dir:." if text == "dir:" else text)


def create_access_settings(line: CommandLine, side: str = "") -> AccessSettings:
    """Return the settings of one side; ``side`` is the flag prefix: ``src-``, ``dest-`` or empty.

    Raises:
        UsageError: if a password cannot be prompted for without a terminal.
    """
    from bundler.config.registry_access import RegistryOverride  # noqa: PLC0415 - as above

    authfile = line.path(f"{side}authfile") or line.path("authfile")
    override = RegistryOverride(
        credentials=_create_credentials(line, side, authfile),
        authfile=authfile,
        tls_verify=find_tls_verify(line, side),
        cert_dir=find_certificate_directory(line, side),
    )
    return AccessSettings.create(
        None if override == RegistryOverride() else override,
        line.text(f"{side}daemon-host") or None,
        line.path(f"{side}shared-blob-dir"),
    )


def find_tls_verify(line: CommandLine, side: str = "") -> bool | None:
    """Return whether to verify the certificate of a registry; None if unset."""
    for name in (f"{side}tls-verify", "tls-verify"):
        if (value := line.get(name)) is not None:
            return value is True
    return None


def find_certificate_directory(line: CommandLine, side: str = "") -> Path | None:
    """Return the directory of ``--cert-dir``; None if unset or missing."""
    directory = line.path(f"{side}cert-dir")
    return directory if directory is not None and directory.is_dir() else None


def create_credential_store(line: CommandLine) -> CredentialStore:
    """Return the credential store that ``login`` and ``logout`` change."""
    from bundler.images.login import CredentialStore  # noqa: PLC0415 - as above

    compatible = line.path("compat-auth-file")
    return CredentialStore(line.path("authfile") or compatible, compatible is not None)


def create_copy_request(line: CommandLine, context: CommandContext) -> CopyRequest:
    """Return the request of ``copy``."""
    from bundler.images.copy_image import CopyRequest  # noqa: PLC0415 - as above

    source, destination = map(parse_reference, line.arguments)
    transport = destination.transport
    default_format = "oci" if transport in ("oci", "oci-archive") else None
    to_directory, always_compresses = transport == "dir", transport in _COMPRESSING
    accepts_uncompressed = transport != "docker" and line.is_set(
        "dest-oci-accept-uncompressed-layers"
    )
    # These flags have an effect only where Skopeo compresses.
    compress = to_directory and line.is_set("dest-compress")
    may_compress = always_compresses or compress
    flags = ImageConversionOptions(
        manifest_format=line.text("format") or default_format,
        preserve_digests=line.is_set("preserve-digests"),
        keep_fixed_images=True,
        remove_signatures=line.is_set("remove-signatures"),
        remove_list_signatures=line.is_set("remove-list-signatures"),
        compress=compress,
        decompress=to_directory and line.is_set("dest-decompress"),
        compress_format=(line.text("dest-compress-format") or None) if may_compress else None,
        compress_level=line.number("dest-compress-level") if may_compress else None,
        force_compress_format=may_compress and line.is_set("dest-force-compress-format"),
        compress_uncompressed=always_compresses and not accepts_uncompressed,
        precompute_digests=line.is_set("dest-precompute-digests"),
        encryption_keys=tuple(line.items("encryption-key")),
        encrypted_layers=tuple(map(int, line.items("encrypt-layer"))),
        decryption_keys=tuple(line.items("decryption-key")),
    )
    return CopyRequest(
        source,
        destination,
        _create_transfer_options(line, context, flags),
        tuple(line.items("additional-tag")),
    )


def create_sync_request(line: CommandLine, context: CommandContext) -> SyncRequest:
    """Return the request of ``sync``."""
    from bundler.copy.target_names import NameMapping  # noqa: PLC0415 - as above
    from bundler.images.sync.sources import SyncSource  # noqa: PLC0415
    from bundler.images.sync.sync import SyncRequest  # noqa: PLC0415
    from bundler.images.sync.targets import SyncDestination  # noqa: PLC0415

    source, destination = line.arguments
    flags = ImageConversionOptions(
        manifest_format=line.text("format") or None,
        preserve_digests=line.is_set("preserve-digests"),
        keep_fixed_images=True,
        remove_signatures=line.is_set("remove-signatures"),
        remove_list_signatures=line.is_set("remove-list-signatures"),
    )
    names = NameMapping(
        default="full" if line.is_set("scoped") else "basename", suffix=line.text("append-suffix")
    )
    kind = line.text("src")
    transport = None if kind == "yaml" else cast("SourceTransport", kind)
    registry = None if kind == "dir" else create_access_settings(line, "src-").registry
    return SyncRequest(
        SyncSource(transport, source, registry, lenient=True),
        SyncDestination(cast("DestinationTransport", line.text("dest")), destination, names),
        _create_transfer_options(line, context, flags),
        refuse_existing=True,
    )


def find_jobs(line: CommandLine) -> int | None:
    """Return the number of parallel transfers of ``copy``; None if unset."""
    return min(line.number("image-parallel-copies") or 0, _MAX_JOBS) or None


def _create_credentials(line: CommandLine, side: str, authfile: Path | None) -> Credentials | None:
    """Return the credentials of one side; None to read them from files.

    A token has precedence over other credentials. A missing credentials file is treated as empty.
    """
    from bundler.config.registry_access import ANONYMOUS, Credentials  # noqa: PLC0415 - as above

    if token := line.text(f"{side}registry-token"):
        return Credentials(registry_token=token)
    if line.is_set(f"{side}no-creds"):
        return ANONYMOUS
    if username := line.text(f"{side}username"):
        return Credentials(username=username, password=line.text(f"{side}password"))
    alias = {"src-": "screds", "dest-": "dcreds"}.get(side, f"{side}creds")
    if creds := line.text(alias) or line.text(f"{side}creds"):
        username, colon, password = creds.partition(":")
        if not colon:
            password = ask_for_password(username, hint=f"use --{side}creds USER:PASSWORD")
        return Credentials(username=username, password=password)
    return ANONYMOUS if authfile is not None and not authfile.exists() else None


def _create_transfer_options(
    line: CommandLine, context: CommandContext, flags: ImageConversionOptions
) -> TransferOptions:
    """Return the options of a copy; by default, only this machine's image of an index is copied."""
    from bundler.images.copy_image import TransferOptions  # noqa: PLC0415 - as above

    everything = line.is_set("all")
    platforms = PlatformOptions(
        everything=everything,
        multi_arch=None if everything else line.text("multi-arch") or "system",
        strip_removed_platforms=line.is_set("strip-removed-platforms"),
    )
    return TransferOptions(
        platforms.create_selection(context.detect_platform),
        conversion=flags.create_options(context),
        signatures=flags.signatures,
        sign_identity=line.text("sign-identity") or None,
    )
