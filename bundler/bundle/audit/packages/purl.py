"""Package URLs.

https://github.com/package-url/purl-spec
"""

from __future__ import annotations

from urllib.parse import quote

_LOWER_CASE = ("apk", "deb", "golang")
_SAFE = ".-_~:"


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
    return quote(text, safe=_SAFE, errors="replace")
