"""Rules about the packages in an image, as their package managers state them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bundler.bundle.audit.rules.finding import Place
from bundler.bundle.audit.rules.rule import Problem, Rule, Setting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.bundle.audit.packages.package import Package
    from bundler.bundle.audit.rules.audited import AuditedImage, AuditedLocation, AuditedPlatform
    from bundler.gocompat.regexp import GoExpression


def list_unreadable(platform: AuditedPlatform) -> Iterator[Problem]:
    """Yield a problem for each file that could state packages and cannot be read."""
    for finding in platform.contents.packages.findings if platform.contents else ():
        place = Place(path=finding.path, layer=finding.layer.text)
        text = f"packages may be missing, {finding.problem} [{finding.code}]"
        yield Problem(text, place, is_unchecked=True)


def _list_packages(platform: AuditedPlatform) -> tuple[Package, ...]:
    return platform.contents.packages.packages if platform.contents else ()


def locate_package(package: Package) -> Place:
    """Return the place of a package: the file that states it, and its layer."""
    return Place(path=package.path, layer=package.layer.text, package=package.full_name)


def _check_forbidden(
    expressions: tuple[GoExpression, ...],
    _: AuditedLocation,
    __: AuditedImage,
    platform: AuditedPlatform,
) -> Iterator[Problem]:
    for package in _list_packages(platform):
        if any(expression.search(package.purl) for expression in expressions):
            yield Problem(f"{package.purl} is forbidden", locate_package(package))
    yield from list_unreadable(platform)


def _check_licenses(
    expressions: tuple[GoExpression, ...],
    _: AuditedLocation,
    __: AuditedImage,
    platform: AuditedPlatform,
) -> Iterator[Problem]:
    packages = _list_packages(platform)
    forbidden = {
        text
        for text in {text for package in packages for text in package.licenses}
        if any(expression.search(text) for expression in expressions)
    }
    for package in packages:
        for text in package.licenses:
            if text in forbidden:
                yield Problem(
                    f"has the licence {text[:160]!r}, which is forbidden", locate_package(package)
                )
        if not package.licenses:
            yield Problem("states no licence", locate_package(package), is_unchecked=True)
    yield from list_unreadable(platform)


def _check_allowed(
    allowed: frozenset[str],
    accepted: frozenset[str],
    _: AuditedLocation,
    __: AuditedImage,
    platform: AuditedPlatform,
) -> Iterator[Problem]:
    from bundler.bundle.audit.packages import license_expressions  # noqa: PLC0415 - loads a list

    for package in _list_packages(platform):
        for text in package.licenses:
            parsed = license_expressions.parse_license(text, package.type)
            if text in accepted or (
                parsed is not None and license_expressions.is_allowed(parsed, allowed)
            ):
                continue
            if parsed is None:
                problem = f"states the licence {text[:160]!r}, which is not an SPDX expression"
                yield Problem(problem, locate_package(package), is_unchecked=True)
            else:
                yield Problem(
                    f"has the licence {text[:160]!r}, which is not allowed", locate_package(package)
                )
        if not package.licenses:
            yield Problem("states no licence", locate_package(package), is_unchecked=True)
    yield from list_unreadable(platform)


RULES = (
    Rule(
        "forbidden-packages",
        "No package matches the expressions. Only packages are found that a package manager or a"
        " build tool states.",
        "Use an image without the package, or with another version of it.",
        scope="platform",
        depth="contents",
        create=lambda settings: partial(_check_forbidden, settings.get_expressions("packages")),
        settings=(
            Setting(
                "packages",
                "expressions",
                "RE2 expressions that match a part of the package URL:"
                " `^pkg:maven/org.apache.logging.log4j/log4j-core@2\\.14\\.`.",
                required=True,
            ),
        ),
    ),
    Rule(
        "forbidden-licenses",
        "No package states a licence that matches the expressions. Licences are compared as the"
        " package states them, which need not be SPDX expressions; a package without a licence is"
        " a finding with the code `forbidden-licenses-unchecked`.",
        "Use an image without the package, or accept the licence.",
        scope="platform",
        depth="contents",
        create=lambda settings: partial(_check_licenses, settings.get_expressions("licenses")),
        settings=(
            Setting(
                "licenses",
                "expressions",
                "RE2 expressions that match a part of the licence: `(?i)AGPL`.",
                required=True,
            ),
        ),
    ),
    Rule(
        "allowed-licenses",
        "Each licence that a package states can be met with the allowed ones. Licences are read as"
        " SPDX expressions: of `A OR B`, one is sufficient; of `A AND B`, and of several"
        " statements, all are required. For Debian, the short names of copyright files are read"
        " too. A package without a licence, or with another text, is a finding with the code"
        " `allowed-licenses-unchecked`.",
        "Use an image without the package, or allow the licence.",
        scope="platform",
        depth="contents",
        create=lambda settings: partial(
            _check_allowed,
            settings.get_licenses("allow"),
            frozenset(settings.get_texts("accept")),
        ),
        settings=(
            Setting(
                "allow",
                "texts",
                "SPDX licences: `MIT`, `GPL-2.0-only WITH Classpath-exception-2.0`.",
                required=True,
            ),
            Setting(
                "accept",
                "texts",
                "Other texts that are accepted as a licence, as a package states them.",
            ),
        ),
    ),
)
