"""Licences of packages as SPDX expressions.

https://spdx.github.io/spdx-spec/v2.3/SPDX-license-expressions/
https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/#license-short-name
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from importlib.resources import as_file, files
from typing import TYPE_CHECKING, Any

from license_expression import AND, OR, ExpressionError, get_spdx_licensing

if TYPE_CHECKING:
    from collections.abc import Collection

MAX_LENGTH = 2_000
"""The maximum length of an expression; longer texts are not known."""

_DEBIAN_NAMES = {
    "artistic": "Artistic-1.0",
    "bsd-2-clause-freebsd": "BSD-2-Clause",
    "cc0": "CC0-1.0",
    "expat": "MIT",
    "perl": "(Artistic-1.0-Perl OR GPL-1.0-or-later)",
    "psf": "PSF-2.0",
    "python": "PSF-2.0",
}
_DEBIAN_VERSION = re.compile(
    r"((?:A|L)?GPL|GFDL|GFDL-NIV|Apache|MPL|LPPL|CDDL)-(\d)(\.\d)?(\+?)", re.IGNORECASE
)
_WORD = re.compile(r"[A-Za-z0-9.+-]+")


@cache
def _get_licensing() -> Any:  # noqa: ANN401 - the library has no types
    """Load the list of licences; by its path, as the library may be in a zip archive."""
    data = files("license_expression") / "data"
    with as_file(data / "scancode-licensedb-index.json") as path:
        return get_spdx_licensing(str(path))


@lru_cache(4096)
def parse_license(text: str, package_type: str = "") -> Any:  # noqa: ANN401 - the library has no types
    """Parse a licence that a package states; None: it is not an SPDX expression.

    For packages of the type ``deb``, the short names of Debian are accepted too.
    """
    if len(text) > MAX_LENGTH:
        return None
    if package_type == "deb":
        text = _WORD.sub(lambda match: _translate_debian(match[0]), text)
    try:
        return _get_licensing().parse(text, validate=True, strict=True)
    except (ExpressionError, ValueError, RecursionError):
        return None


def is_allowed(expression: Any, allowed: Collection[str]) -> bool:  # noqa: ANN401 - as above
    """Return whether an expression can be met with the ``allowed`` identifiers.

    One part of an OR is sufficient, all parts of an AND are required.
    """
    if isinstance(expression, OR):
        return any(is_allowed(part, allowed) for part in expression.args)
    if isinstance(expression, AND):
        return all(is_allowed(part, allowed) for part in expression.args)
    return expression.render() in allowed


def _translate_debian(word: str) -> str:
    match = _DEBIAN_VERSION.fullmatch(word)
    if match is None:
        return _DEBIAN_NAMES.get(word.lower(), word)
    name, major, minor, plus = match.groups()
    version = f"{major}{minor or '.0'}"
    if name.upper() == "GFDL-NIV":
        return f"GFDL-{version}-no-invariants-{'or-later' if plus else 'only'}"
    return f"{name}-{version}{plus}"
