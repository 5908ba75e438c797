"""The options of ``serve`` for its address, TLS and users."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING

import click

from bundler.cli.options.common import PATH
from bundler.cli.options.option import flag, option_group, spec
from bundler.errors import ConfigError, UsageError

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

    from bundler.bundle.serving.password_file import PasswordFile

SECTION = "Server"
DEFAULT_ADDRESS = "127.0.0.1"
DEFAULT_PORT = 5000


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """The address of a server, and who may use it."""

    address: str = DEFAULT_ADDRESS
    port: int = DEFAULT_PORT
    tls_cert: Path | None = None
    tls_key: Path | None = None
    htpasswd: Path | None = None
    allow_plain_http: bool = False

    def check(self) -> None:
        """Refuse an address of the network without TLS, unless the user allows it.

        Raises:
            UsageError: the options are inconsistent.
        """
        try:
            address = ip_address(self.address)
        except ValueError:
            raise UsageError(
                f"--listen {self.address[:80]!r}: not an IP address",
                hint="write an address such as 127.0.0.1, and the port with --port",
            ) from None
        if (self.tls_cert is None) != (self.tls_key is None):
            raise UsageError("--tls-cert and --tls-key: expected both or neither")
        if not (address.is_loopback or self.tls_cert or self.allow_plain_http):
            raise UsageError(
                f"--listen {self.address}: other machines could change what they pull,"
                " and passwords could be read, without TLS",
                hint="add --tls-cert and --tls-key, or accept this with --allow-plain-http",
            )

    def read_users(self) -> PasswordFile | None:
        """Read the file of ``--htpasswd``; return None without one.

        Raises:
            ConfigError: it cannot be read, or is not valid.
        """
        if self.htpasswd is None:
            return None
        from bundler.bundle.serving.password_file import PasswordFile  # noqa: PLC0415 - loads bcrypt

        return PasswordFile.read(self.htpasswd)

    def create_tls_context(self) -> ssl.SSLContext | None:
        """Return the settings of TLS with the certificate; None without a certificate.

        Raises:
            ConfigError: the certificate or its key cannot be read, or do not belong together.
        """
        if self.tls_cert is None or self.tls_key is None:
            return None
        import ssl  # noqa: PLC0415 - not for --help

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            # Without a password, OpenSSL would ask for one on the terminal.
            context.load_cert_chain(self.tls_cert, self.tls_key, password=b"")
        except OSError as error:
            reason = error.strerror or error.args[0]
            raise ConfigError(
                f"{self.tls_cert}, {self.tls_key}: not a certificate with its key: {reason}",
                path=str(self.tls_cert),
                hint="specify PEM files: the certificate with its chain, and the key,"
                " not encrypted",
            ) from None
        return context


serving = option_group(
    ServerOptions,
    "server_options",
    SECTION,
    {
        "address": spec(
            "--listen",
            metavar="ADDRESS",
            default=DEFAULT_ADDRESS,
            help=f"IP address to listen on (default: {DEFAULT_ADDRESS}, this machine only).",
        ),
        "port": spec(
            "--port",
            type=click.IntRange(0, 65535),
            default=DEFAULT_PORT,
            metavar="N",
            help=f"Port to listen on; 0: any free port (default: {DEFAULT_PORT}).",
        ),
        "tls_cert": spec(
            "--tls-cert",
            type=PATH,
            metavar="FILE",
            help="Use TLS with this certificate and its chain (PEM).",
        ),
        "tls_key": spec(
            "--tls-key", type=PATH, metavar="FILE", help="Private key of --tls-cert (PEM)."
        ),
        "htpasswd": spec(
            "--htpasswd",
            type=PATH,
            metavar="FILE",
            help="Require a user and password of this file, which htpasswd -B writes.",
        ),
        "allow_plain_http": flag("--allow-plain-http", "Let other machines connect without TLS."),
    },
)
"""The options of the group, in the parameter ``server_options``."""
