"""Recipients and identities of age: public keys to encrypt to, and private keys that decrypt.

Both may be native keys of age or keys of SSH. Only this package imports pyrage.
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, TypeAlias

from bundler.errors import LimitError, UnsupportedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyrage import ssh, x25519

    Recipient: TypeAlias = x25519.Recipient | ssh.Recipient
    Identity: TypeAlias = x25519.Identity | ssh.Identity

MAX_KEY_FILE = 64 * 1024
"""Maximum size in bytes of a file of recipients or identities."""
MAX_RECIPIENTS = 100

_PREFIXES = ("age1", "ssh-")


def is_recipient(text: str) -> bool:
    """Whether ``text`` is a recipient, valid or not, and not the path of a file of recipients."""
    return text.startswith(_PREFIXES)


def parse_recipients(lines: Iterable[str], subject: str) -> list[Recipient]:
    """Parse recipients, one a line; empty lines and those that begin with # are ignored.

    Raises:
        UsageError: a line is not a recipient, or there is none.
        LimitError: there are too many.
        UnsupportedError: pyrage is not installed.
    """
    check_installed()
    from pyrage import RecipientError, ssh, x25519  # noqa: PLC0415 - optional

    found: list[Recipient] = []
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        kind = ssh.Recipient if text.startswith("ssh-") else x25519.Recipient
        try:
            found.append(kind.from_str(text))
        except RecipientError:
            raise UsageError(
                f"{subject}: line {number} is not a recipient (expected age1…, ssh-ed25519 … or"
                " ssh-rsa …)",
                hint="create an identity inside with age-keygen, and carry its public key out",
            ) from None
        if len(found) > MAX_RECIPIENTS:
            raise LimitError(f"{subject}: too many recipients (expected at most {MAX_RECIPIENTS})")
    if not found:
        raise UsageError(f"{subject}: contains no recipient")
    return found


def parse_identities(raw: bytes, subject: str) -> list[Identity]:
    """Parse a file of identities, as age-keygen writes it, or a private key of SSH.

    No message contains a part of the file.

    Raises:
        UsageError: it contains no identity, or something else, or is protected by a passphrase.
        UnsupportedError: pyrage is not installed.
    """
    check_installed()
    from pyrage import IdentityError, ssh, x25519  # noqa: PLC0415 - optional

    try:
        if raw.startswith(b"-----BEGIN "):
            return [ssh.Identity.from_buffer(raw)]
        lines = [line.strip() for line in raw.decode("ascii", "replace").splitlines()]
        found: list[Identity] = [
            x25519.Identity.from_str(line) for line in lines if line and line[0] != "#"
        ]
    except IdentityError:
        raise UsageError(
            f"{subject}: not a file of identities (expected lines of AGE-SECRET-KEY-1…, or a"
            " private key of SSH without a passphrase)",
            hint="decrypt with other keys by the program age: age -d -i FILE … | airbundle import"
            " - TARGET",
        ) from None
    if not found:
        raise UsageError(f"{subject}: contains no identity")
    return found


def check_installed() -> None:
    """Check that the library is installed.

    Raises:
        UnsupportedError: it is not.
    """
    if importlib.util.find_spec("pyrage") is None:
        raise UnsupportedError(
            "age: the Python package pyrage is not installed",
            hint="install airbundle[age], or use the program age in a pipe: airbundle export … - |"
            " age -r RECIPIENT, and age -d -i FILE … | airbundle import - TARGET",
        )
