"""The order of the versions of apk.

https://gitlab.alpinelinux.org/alpine/apk-tools/-/blob/master/doc/apk-package.5.scd, and
``src/version.c`` of apk-tools.
"""

from __future__ import annotations

import re
from typing import Any

from bundler.bundle.audit.vulnerabilities.versions.version_error import MAX_VERSION, VersionError

_VERSION = re.compile(
    r"(\d+)((?:\.\d+)*)([a-z]?)((?:_(?:alpha|beta|pre|rc|cvs|svn|git|hg|p)\d*)*)"
    r"(~[0-9a-f]+)?(?:-r(\d+))?",
    re.ASCII,
)
_SUFFIX = re.compile(r"_([a-z]+)(\d*)", re.ASCII)
_BEFORE = ("alpha", "beta", "pre", "rc")
_AFTER = ("cvs", "svn", "git", "hg", "p")
# The first difference decides, also between parts of different kinds, in this order.
_PRERELEASE, _END, _REVISION, _COMMIT, _NUMBER_OF_SUFFIX, _POSTRELEASE, _LETTER, _NUMBER = range(8)


def create_key(version: str) -> Any:  # noqa: ANN401 - compared only
    """Return a value that is ordered as the version is.

    Raises:
        VersionError: it is not a version of apk.
    """
    match = _VERSION.fullmatch(version)
    if match is None or len(version) > MAX_VERSION:
        raise VersionError(version)
    first, numbers, letter, suffixes, commit, revision = match.groups()
    parts: list[tuple[Any, ...]] = [(_NUMBER, int(first))]
    parts += [  # numbers with a leading zero are compared as texts, and precede all others
        (_NUMBER, 0, number) if number[0] == "0" else (_NUMBER, 1, int(number))
        for number in numbers.split(".")[1:]
    ]
    if letter:
        parts.append((_LETTER, letter))
    for name, number in _SUFFIX.findall(suffixes):
        is_before = name in _BEFORE
        rank = (_BEFORE if is_before else _AFTER).index(name)
        parts.append((_PRERELEASE if is_before else _POSTRELEASE, rank))
        if number:
            parts.append((_NUMBER_OF_SUFFIX, int(number)))
    if commit:
        parts.append((_COMMIT, commit))
    if revision:
        parts.append((_REVISION, int(revision)))
    return [*parts, (_END,)]
