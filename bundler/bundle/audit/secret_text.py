"""Text that looks like a secret: a password, a token or a private key.

The check is a guess, for a reader: it finds well-known forms, and names that announce a secret.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NAMES = re.compile(
    r"(?i)(pass(word|wd|phrase)?|secret|token|api_?key|access_?key|private_?key|credentials?)$"
)
_FORMS = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----"  # PEM
    r"|\b(AKIA|ASIA)[0-9A-Z]{16}\b"  # access keys of AWS
    r"|\bgh[opsur]_[0-9A-Za-z]{36,}"  # GitHub
    r"|\bgithub_pat_[0-9A-Za-z_]{22,}"
    r"|\bglpat-[0-9A-Za-z_-]{20,}"  # GitLab
    r"|\bxox[abprs]-[0-9A-Za-z-]{10,}"  # Slack
    r"|\beyJ[0-9A-Za-z_-]{8,}\.eyJ[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]+"  # JSON Web Token
    r"|://[^/\s:@]+:[^/\s:@]{3,}@"  # URL with a password
)
_VALUE = r"""(?P<value>"[^\s"'$-][^"]*"|'[^\s"'$-][^']*'|["']?[^\s"'$-]\S*)"""
_SETTINGS = (
    re.compile(r"(?<![\w-])-{0,2}([A-Za-z_][\w-]{0,80})=" + _VALUE),  # NAME=VALUE, --NAME=VALUE
    re.compile(r"(?<![\w-])--([A-Za-z][\w-]{0,80})\s+" + _VALUE),  # --NAME VALUE
)
_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")
MAX_TEXT = 64 * 1024
"""The maximum length of a text that is searched; the rest is not."""


def looks_secret(name: str, value: str) -> bool:
    """Return whether the variable ``name`` with this value looks like a secret."""
    value = value[:MAX_TEXT]
    return bool(value and (_NAMES.search(name) or _FORMS.search(value)))


def contains_secret(command: str) -> bool:
    """Return whether a command line contains text that looks like a secret.

    Its form decides, or the name of the variable or option that is set to it: ``TOKEN=abc``,
    ``--password abc``. References to variables, such as ``$TOKEN``, are no secrets.
    """
    command = command[:MAX_TEXT]
    return _FORMS.search(command) is not None or any(
        _NAMES.search(match[1].replace("-", "_"))
        for setting in _SETTINGS
        for match in setting.finditer(command)
    )


def hide_in(command: str) -> str:
    """Return a command line in which texts that look like secrets are replaced.

    Text beyond ``MAX_TEXT`` is not searched, and left out.
    """
    if _KEY.search(command):  # the lines that follow belong to the key
        return hide(command)

    def replace(match: re.Match[str]) -> str:
        if not _NAMES.search(match[1].replace("-", "_")):
            return match[0]
        return match[0].removesuffix(match["value"]) + hide(match["value"])

    text = command[:MAX_TEXT]
    for setting in _SETTINGS:
        text = setting.sub(replace, text)
    text = _FORMS.sub(lambda match: hide(match[0]), text)
    return text if len(command) <= MAX_TEXT else f"{text}… ({len(command):,} characters)"


def hide_in_words(words: Sequence[str]) -> tuple[str, ...]:
    """Return the words of a command with those replaced that look like secrets."""
    hidden = []
    for former, word in zip(("", *words), words, strict=False):
        is_value = former.startswith("--") and _NAMES.search(former.replace("-", "_"))
        hidden.append(hide(word) if is_value else hide_in(word))
    return tuple(hidden)


def hide_values(values: Mapping[str, str]) -> dict[str, str]:
    """Return named values with those replaced that look like secrets."""
    return {
        name: hide(value) if looks_secret(name, value) else value for name, value in values.items()
    }


def hide(value: str) -> str:
    """Return the text that replaces a secret in output."""
    return f"(looks like a secret: {len(value):,} characters)"
