"""Package URLs.

https://github.com/package-url/purl-spec
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import quote, unquote

_LOWER_CASE = ("apk", "deb", "golang")
_SAFE = ".-_~:"
_UNCHANGED = re.compile(r"[a-zA-Z0-9.\-_~:]*", re.ASCII)


@lru_cache(maxsize=16_384)  # most packages are in several images
def create_purl(
    package_type: str, namespace: str, name: str, version: str, *, architecture: str = ""
) -> str:
    """Return the purl of a package."""
    if package_type in _LOWER_CASE:
        namespace, name = namespace.lower(), name.lower()
    if package_type == "golang" and "/" in name:
        prefix, _, name = name.rpartition("/")
        namespace = f"{namespace}/{prefix}" if namespace else prefix
    qualifiers = {}
    if architecture:
        qualifiers["arch"] = architecture
    if package_type == "rpm" and ":" in version:
        qualifiers["epoch"], _, version = version.partition(":")
    parts = [part for part in namespace.split("/") if part]
    path = "/".join(map(_quote, [*parts, name]))
    text = f"pkg:{package_type}/{path}"
    if version:
        text += f"@{_quote(version)}"
    if qualifiers:
        text += "?" + "&".join(f"{key}={_quote(item)}" for key, item in sorted(qualifiers.items()))
    return text


def _quote(text: str) -> str:
    if _UNCHANGED.fullmatch(text):
        return text
    return quote(text, safe=_SAFE, errors="replace")


def parse_purl(text: str) -> tuple[str, str, str] | None:
    """Return the type, the name with its namespace, and the version; None: it is not a purl.

    Qualifiers are ignored, except the epoch, which belongs to the version of rpm.
    """
    scheme, _, rest = text.partition(":")
    rest, _, qualifiers = rest.partition("#")[0].partition("?")
    package_type, _, path = rest.strip("/").partition("/")
    path, _, version = path.rpartition("@") if "@" in path[1:] else (path, "", "")
    if scheme != "pkg" or not path:
        return None
    package_type, name, version = package_type.lower(), unquote(path), unquote(version)
    if package_type in (*_LOWER_CASE, "pypi"):
        name = name.lower()
    epoch = next((item[6:] for item in qualifiers.split("&") if item.startswith("epoch=")), "")
    if package_type == "rpm" and epoch not in ("", "0"):
        version = f"{epoch}:{version}"
    return package_type, name, version
