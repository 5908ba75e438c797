"""The ecosystem of OSV, the name and the version under which a package is searched."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bundler.bundle.audit.vulnerabilities.versions.orders import ECOSYSTEMS

if TYPE_CHECKING:
    from bundler.bundle.audit.packages.package import Distribution, Package

_LANGUAGES = {
    "cargo": "crates.io",
    "gem": "RubyGems",
    "golang": "Go",
    "maven": "Maven",
    "npm": "npm",
    "pypi": "PyPI",
}
_SEPARATORS = re.compile(r"[-_.]+")
_RELEASE = re.compile(r"[0-9]{1,4}(\.[0-9]{1,4}){0,2}", re.ASCII)


_SLES = ("SUSE:{product}", r"SUSE:.* {product}(-.*)?")
_DISTRIBUTIONS = {
    "almalinux": ("AlmaLinux:{major}", "AlmaLinux:{major}"),
    "alpine": ("Alpine:v{major}.{minor}", r"Alpine:v{major}\.{minor}"),
    "chainguard": ("Chainguard", "Chainguard"),
    "debian": ("Debian:{major}", "Debian(:{major})?"),
    "opensuse-leap": ("openSUSE:Leap {release}", "openSUSE:Leap {release}"),
    "opensuse-tumbleweed": ("openSUSE:Tumbleweed", "openSUSE:Tumbleweed"),
    "rhel": ("Red Hat:{major}", r"Red Hat:enterprise_linux:{major}(\.\d+)?(::.*)?"),
    "rocky": ("Rocky Linux:{major}", "Rocky Linux:{major}"),
    "sle_hpc": _SLES,
    "sles": _SLES,
    "sles_sap": _SLES,
    "ubuntu": ("Ubuntu:{release}", r"Ubuntu:(Pro:)?{release}(:LTS)?"),
    "wolfi": ("Wolfi", "Wolfi"),
}
"""The name of the ecosystem, and the names in records that mean it, by the ID in ``os-release``."""


@dataclass(frozen=True, slots=True)
class Ecosystem:
    """An ecosystem of OSV, for one release of a distribution."""

    name: str
    """``Debian:12``, ``PyPI``; the type of the packages if OSV has no ecosystem for them."""
    base: str
    """The name without release, as in ``ECOSYSTEMS``; empty: packages are not checked."""
    pattern: re.Pattern[str] | None = None
    """The names in records that mean this ecosystem."""
    reason: str = ""
    """Why packages are not checked."""

    def includes(self, name: str) -> bool:
        """Return whether the ecosystem that a record names is this one."""
        return self.pattern is not None and self.pattern.fullmatch(name) is not None


@dataclass(frozen=True, slots=True)
class Target:
    """A package under the names by which records know it."""

    package: Package
    ecosystem: Ecosystem
    names: tuple[str, ...]
    version: str
    problem: str = ""
    """Why the package cannot be searched; empty: it can."""


def find_target(package: Package, distribution: Distribution | None) -> Target:
    """Return the target of a package in an image with this distribution."""
    if package.type in _LANGUAGES:
        base, version, problem = _LANGUAGES[package.type], package.version, ""
        if package.type == "maven" and not package.namespace:
            problem = "its group is not known"
        elif package.type == "golang" and version in ("", "(devel)", "devel"):
            problem = "its version is not known"
        ecosystem = _create(base, base, re.escape(base))
        return Target(package, ecosystem, (package.full_name,), version, problem)
    ecosystem = find_distribution(package.type, distribution)
    source = package.source_name or package.name
    names: tuple[str, ...] = (source,)
    version, problem = package.version, ""
    if package.type == "deb":
        version = package.source_version or package.version
    elif ecosystem.base in ("Wolfi", "Chainguard"):
        names = (source, package.name)
    elif ecosystem.base in ("Red Hat", "AlmaLinux"):
        names = (package.name,)
    elif package.type == "rpm":
        names = (source, package.name)
        own = package.version.rpartition(":")[2]
        if package.source_version and package.source_version != own:
            # The version of the source package is that of the records, but has no epoch.
            epoch = package.version.partition(":")[0] if ":" in package.version else "0"
            version = package.source_version
            problem = "" if epoch == "0" else "its source package has another version"
    return Target(package, ecosystem, tuple(dict.fromkeys(names)), version, problem)


def find_distribution(package_type: str, distribution: Distribution | None) -> Ecosystem:
    """Return the ecosystem of the packages of a distribution."""
    if distribution is None:
        return Ecosystem(package_type, "", reason="the image states no distribution")
    identifier, release = distribution.id, distribution.version
    stated = f"{identifier} {release}".strip()
    known = _DISTRIBUTIONS.get(identifier)
    if known is None:
        return Ecosystem(stated, "", reason="OSV has no records for the distribution")
    if "{" in known[0] and not _RELEASE.fullmatch(release):
        return Ecosystem(stated, "", reason="the image states no release of the distribution")
    major, minor, *_ = [*release.split("."), "", ""]
    values = {
        "release": release,
        "major": major,
        "minor": minor or "0",
        "product": f"{major} SP{minor}" if minor not in ("", "0") else major,
    }
    name = known[0].format_map(values)
    pattern = known[1].format_map({key: re.escape(text) for key, text in values.items()})
    return _create(name, name.partition(":")[0], pattern)


def normalize_name(base: str, name: str) -> str:
    """Return the name of a package in a record in the form in which it is searched."""
    return _SEPARATORS.sub("-", name).lower() if base == "PyPI" else name


def _create(name: str, base: str, pattern: str) -> Ecosystem:
    assert base in ECOSYSTEMS  # noqa: S101 - a mistake in this module
    return Ecosystem(name, base, re.compile(pattern, re.ASCII))
