"""Every command and flag of Skopeo 1.22, as tables; see its manual pages for what they mean."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

Kind = Literal["bool", "string", "strings", "int", "uint", "ints", "duration"]


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag; ``short`` is its letter, ``value`` what help calls its value."""

    name: str
    kind: Kind
    short: str = ""
    value: str = ""
    hidden: bool = False

    @property
    def spelling(self) -> str:
        """As messages name it."""
        return f"-{self.short}, --{self.name}" if self.short else f"--{self.name}"


@dataclass(frozen=True, slots=True)
class Command:
    """One command; ``arguments`` is what follows its flags."""

    name: str
    arguments: str
    flags: tuple[str, ...] = ()
    hidden: bool = False

    def find(self) -> dict[str, Flag]:
        """Its flags and the program's, by their names."""
        return _parsed((*self.flags, *_GLOBAL, "-h --help bool"))


def _access(prefix: str = "", *, local: bool = True) -> tuple[str, ...]:
    """The flags that tell how to reach the images of one side."""
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
    *_access("src-", local=False),
    *_access("dest-", local=False),
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
_ACCOUNT = (
    "--authfile string FILE",
    "--compat-auth-file string FILE",
    "--tls-verify bool",
)

COMMANDS = {
    command.name: command
    for command in (
        Command(
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
        Command("delete", "IMAGE-NAME", (*_access(), *_RETRY)),
        Command(
            "generate-sigstore-key", "", ("--output-prefix string", "--passphrase-file string")
        ),
        Command(
            "inspect",
            "IMAGE-NAME",
            (
                *_access(),
                *_RETRY,
                "--config bool",
                "-f --format string",
                "--manifest-digest string ALGORITHM",
                "-n --no-tags bool",
                "--raw bool",
            ),
        ),
        Command("list-tags", "SOURCE-IMAGE", (*_access(local=False), *_RETRY)),
        Command(
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
        Command("logout", "REGISTRY", (*_ACCOUNT, "-a --all bool")),
        Command("manifest-digest", "MANIFEST-FILE"),
        Command(
            "standalone-sign",
            "MANIFEST DOCKER-REFERENCE KEY-FINGERPRINT",
            ("-o --output string SIGNATURE", "--passphrase-file string FILE"),
        ),
        Command(
            "standalone-verify",
            "MANIFEST DOCKER-REFERENCE KEY-FINGERPRINTS SIGNATURE",
            ("--public-key-file string FILE",),
        ),
        Command(
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
        Command("completion", "SHELL", ("--no-descriptions bool",), hidden=True),
        Command("experimental-image-proxy", "", (*_access(), "--sockfd int"), hidden=True),
        Command("layers", "IMAGE-NAME [LAYER...]", (*_access(), *_RETRY), hidden=True),
        Command("untrusted-signature-dump-without-verification", "SIGNATURE", hidden=True),
    )
}
"""The commands by their names; those that lists leave out are at the end."""

PROGRAM = Command("", "COMMAND", ("-v --version bool",))


@cache
def _parsed(lines: tuple[str, ...]) -> dict[str, Flag]:
    return {flag.name: flag for flag in map(_flag, lines)}


def _flag(line: str) -> Flag:
    """Read ``[-SHORT] --NAME KIND [VALUE] [(hidden)]``."""
    words = line.split()
    short = words.pop(0)[1:] if not words[0].startswith("--") else ""
    hidden = words[-1] == "(hidden)"
    name, kind, *value = words[: len(words) - hidden]
    return Flag(name[2:], kind, short, "".join(value), hidden)  # type: ignore[arg-type]
