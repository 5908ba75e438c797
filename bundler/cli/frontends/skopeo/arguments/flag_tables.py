"""All commands and flags of Skopeo 1.22; its manual pages describe them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

FlagType = Literal["bool", "string", "strings", "int", "uint", "ints", "duration"]


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag; ``short`` is its shorthand letter, ``value`` the name of its value in help."""

    name: str
    type: FlagType
    short: str = ""
    value: str = ""
    hidden: bool = False

    @classmethod
    def parse(cls, line: str) -> Flag:
        """Parse ``[-SHORT] --NAME TYPE [VALUE] [(hidden)]``."""
        words = line.split()
        short = words.pop(0)[1:] if not words[0].startswith("--") else ""
        hidden = words[-1] == "(hidden)"
        name, kind, *value = words[: len(words) - hidden]
        return cls(name[2:], cast("FlagType", kind), short, "".join(value), hidden)

    @property
    def spelling(self) -> str:
        """The flag as it appears in messages."""
        return f"-{self.short}, --{self.name}" if self.short else f"--{self.name}"


@dataclass(frozen=True, slots=True)
class SkopeoCommand:
    """A command; ``arguments`` describes its arguments in help."""

    name: str
    arguments: str
    flags: tuple[str, ...] = ()
    hidden: bool = False

    def find_flags(self) -> dict[str, Flag]:
        """Return the flags of the command and the global flags, by name."""
        lines = (*self.flags, *_GLOBAL, "-h --help bool")
        return {flag.name: flag for flag in map(Flag.parse, lines)}


def _create_access_flags(prefix: str = "", *, local: bool = True) -> tuple[str, ...]:
    """Create the flags for access to one side."""
    flags = (
        "authfile string FILE",
        "cert-dir string DIRECTORY",
        "creds string USER[:PASSWORD]",
        "no-creds bool",
        "password string",
        "registry-token string",
        "tls-verify bool",
        "username string",
    )
    more = ("daemon-host string HOST", "shared-blob-dir string DIRECTORY") if local else ()
    return tuple(f"--{prefix}{flag}" for flag in flags + more)


_GLOBAL = (
    "--command-timeout duration",
    "--debug bool",
    "--insecure-policy bool",
    "--override-arch string ARCH",
    "--override-os string OS",
    "--override-variant string VARIANT",
    "--policy string FILE",
    "--registries-conf string FILE (hidden)",
    "--registries.d string DIRECTORY",
    "--require-signed bool",
    "--tls-details string FILE",
    "--tls-verify bool (hidden)",
    "--tmpdir string DIRECTORY",
    "--user-agent-prefix string",
)
_RETRY = ("--retry-delay duration", "--retry-times int")
_SIGN = (
    "--sign-by string FINGERPRINT",
    "--sign-by-sigstore string FILE",
    "--sign-by-sigstore-private-key string FILE",
    "--sign-by-sq-fingerprint string FINGERPRINT",
    "--sign-passphrase-file string FILE",
)
_COPIES = (
    *_create_access_flags("src-", local=False),
    *_create_access_flags("dest-", local=False),
    *_RETRY,
    *_SIGN,
    "-a --all bool",
    "--authfile string FILE",
    "--digestfile string FILE",
    "-f --format string",
    "--preserve-digests bool",
    "--remove-list-signatures bool",
    "--remove-signatures bool",
)
_ACCOUNT = ("--authfile string FILE", "--compat-auth-file string FILE", "--tls-verify bool")

COMMANDS = {
    command.name: command
    for command in (
        SkopeoCommand(
            "copy",
            "SOURCE-IMAGE DESTINATION-IMAGE",
            (
                *_COPIES,
                "--additional-tag strings",
                "--decryption-key strings",
                "--dest-compress bool",
                "--dest-compress-format string FORMAT",
                "--dest-compress-level int LEVEL",
                "--dest-daemon-host string HOST",
                "--dest-decompress bool",
                "--dest-force-compress-format bool",
                "--dest-oci-accept-uncompressed-layers bool",
                "--dest-precompute-digests bool",
                "--dest-shared-blob-dir string DIRECTORY",
                "--encrypt-layer ints",
                "--encryption-key strings",
                "--image-parallel-copies uint",
                "--multi-arch string",
                "-q --quiet bool",
                "--sign-identity string",
                "--src-daemon-host string HOST",
                "--src-shared-blob-dir string DIRECTORY",
                "--strip-removed-platforms bool",
                "--dcreds string (hidden)",
                "--screds string (hidden)",
            ),
        ),
        SkopeoCommand("delete", "IMAGE-NAME", (*_create_access_flags(), *_RETRY)),
        SkopeoCommand(
            "generate-sigstore-key", "", ("--output-prefix string", "--passphrase-file string")
        ),
        SkopeoCommand(
            "inspect",
            "IMAGE-NAME",
            (
                *_create_access_flags(),
                *_RETRY,
                "--config bool",
                "-f --format string",
                "--manifest-digest string ALGORITHM",
                "-n --no-tags bool",
                "--raw bool",
            ),
        ),
        SkopeoCommand("list-tags", "SOURCE-IMAGE", (*_create_access_flags(local=False), *_RETRY)),
        SkopeoCommand(
            "login",
            "REGISTRY",
            (
                *_ACCOUNT,
                "--cert-dir string DIRECTORY",
                "--get-login bool",
                "-p --password string",
                "--password-stdin bool",
                "-u --username string",
                "-v --verbose bool",
            ),
        ),
        SkopeoCommand("logout", "REGISTRY", (*_ACCOUNT, "-a --all bool")),
        SkopeoCommand("manifest-digest", "MANIFEST-FILE"),
        SkopeoCommand(
            "standalone-sign",
            "MANIFEST DOCKER-REFERENCE KEY-FINGERPRINT",
            ("-o --output string SIGNATURE", "--passphrase-file string FILE"),
        ),
        SkopeoCommand(
            "standalone-verify",
            "MANIFEST DOCKER-REFERENCE KEY-FINGERPRINTS SIGNATURE",
            ("--public-key-file string FILE",),
        ),
        SkopeoCommand(
            "sync",
            "SOURCE DESTINATION",
            (
                *_COPIES,
                "--append-suffix string",
                "-d --dest string",
                "--dry-run bool",
                "--keep-going bool",
                "--scoped bool",
                "-s --src string",
            ),
        ),
        SkopeoCommand("completion", "SHELL", ("--no-descriptions bool",), hidden=True),
        SkopeoCommand(
            "experimental-image-proxy", "", (*_create_access_flags(), "--sockfd int"), hidden=True
        ),
        SkopeoCommand(
            "layers", "IMAGE-NAME [LAYER...]", (*_create_access_flags(), *_RETRY), hidden=True
        ),
        SkopeoCommand("untrusted-signature-dump-without-verification", "SIGNATURE", hidden=True),
    )
}
"""The commands by name; the hidden ones are last."""

PROGRAM = SkopeoCommand("", "COMMAND", ("-v --version bool",))
