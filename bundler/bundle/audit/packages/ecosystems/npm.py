"""Packages of npm, from their ``package.json``.

https://docs.npmjs.com/cli/configuring-npm/package-json
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from bundler.bundle.audit.packages.found_file import Detector, PackageFileError
from bundler.bundle.audit.packages.package import Package

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.bundle.audit.packages.found_file import FoundFile

_INSTALLED = re.compile(r"(?:.*/)?node_modules/((?:@[^/]+/)?[^/@.][^/]*)/package\.json")
MAX_SIZE = 1024 * 1024
_MAX_LICENSES = 20


def parse(file: FoundFile) -> Iterator[Package]:
    """Yield an installed package, or an application with a name and a version.

    Raises:
        PackageFileError: the file is too large, or an installed package has no JSON object in it.
    """
    installed = _INSTALLED.fullmatch(file.path)
    try:
        # Not strict: real files contain repeated keys and fractions.
        value = json.loads(file.read(MAX_SIZE).decode("utf-8-sig", errors="replace"))
    except (ValueError, RecursionError) as error:
        if installed is None:  # a template, or a file of tests
            return
        raise PackageFileError("not JSON, or nested too deep") from error
    if not isinstance(value, dict):
        value = {}
    name, version = (_get_text(value, key) for key in ("name", "version"))
    if installed is None and not (name and version):
        return
    if not name and installed is not None:
        name = installed[1]
    namespace, _, name = name.rpartition("/")
    stated = value.get("license") or value.get("licenses")  # in a form of any version of npm
    licenses = [
        _get_text(item, "type") if isinstance(item, dict) else item
        for item in (stated if isinstance(stated, list) else [stated])[:_MAX_LICENSES]
    ]
    yield Package(
        type="npm",
        namespace=namespace,
        name=name,
        version=version,
        path=file.path,
        layer=file.layer,
        licenses=tuple(text for text in licenses if isinstance(text, str) and text),
    )


def _get_text(value: dict[str, Any], key: str) -> str:
    text = value.get(key)
    return text.strip() if isinstance(text, str) else ""


# Packages in ``node_modules``, and applications; not files inside of a package.
DETECTOR = Detector(
    lambda path: _INSTALLED.fullmatch(path) is not None or "node_modules/" not in path,
    parse,
    names=frozenset({"package.json"}),
)
