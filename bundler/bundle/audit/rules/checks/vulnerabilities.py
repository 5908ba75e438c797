"""Rules about known vulnerabilities of packages, from a database that the site brings in.

A rule is not evaluated for the packages that were not compared with the database.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from bundler.bundle.audit.rules.checks.packages import locate_package
from bundler.bundle.audit.rules.finding import Place
from bundler.bundle.audit.rules.rule import Problem, Rule, Setting
from bundler.bundle.audit.vulnerabilities.levels import LEVELS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bundler.bundle.audit.rules.audited import AuditedImage, AuditedLocation, AuditedPlatform
    from bundler.bundle.audit.rules.rule import RuleSettings
    from bundler.bundle.audit.vulnerabilities.result import ImageVulnerabilities, Vulnerability

    Check = Callable[[Vulnerability], Problem | None]
    """Returns the problem of a vulnerability, without its name and place; None: there is none."""

_NO_DATABASE = Problem("no database was given (--database)", is_unchecked=True)
_FUTURE = timedelta(days=1)
_IGNORE = Setting(
    "ignore", "texts", "IDs of vulnerabilities that are accepted: `CVE-2026-1234` (default: none)."
)
_CHOICES = tuple(reversed(LEVELS[2:]))


def _check_each(
    check: Check,
    ignored: frozenset[str],
    requires: str,
    location: AuditedLocation,
    _: AuditedImage,
    platform: AuditedPlatform,
) -> Iterator[Problem]:
    """Yield the problems of the vulnerabilities of a platform, and what was not checked."""
    found = platform.contents.vulnerabilities if platform.contents else None
    if found is None or location.vulnerabilities is None:
        yield _NO_DATABASE
        return
    if requires and requires not in location.vulnerabilities.exploits:
        yield Problem(f"no list of exploits was given (--{requires})", is_unchecked=True)
        return
    for item in found.vulnerabilities:
        problem = None if ignored.intersection(item.ids) else check(item)
        if problem is not None:
            fixed = f"fixed in {' or '.join(item.fixed)}" if item.fixed else "no fix known"
            text = f"{item.package.version} has {item.name}, {problem.text}, {fixed}"
            if item.claims and item.accepted is None:
                statuses = " and ".join(sorted({one.statement.status for one in item.claims}))
                text += f"; VEX states {statuses}, and does not count"
            place = replace(locate_package(item.package), vulnerability=item.name)
            yield Problem(text, place, problem.is_unchecked, acceptance=item.accepted)
    yield from _list_unchecked(found)
    unreadable = location.vulnerabilities.database.unreadable
    if unreadable:
        yield Problem(f"{unreadable:,} records of the database cannot be read", is_unchecked=True)


def _list_unchecked(found: ImageVulnerabilities) -> Iterator[Problem]:
    if not found.packages.packages:
        yield Problem("no packages were found, so none was compared", is_unchecked=True)
    for coverage in found.coverage:
        if coverage.unchecked:
            text = f"{coverage.unchecked} packages of {coverage.ecosystem}: {coverage.reason}"
            yield Problem(text, is_unchecked=True)
    for record in found.unchecked:
        package = record.package
        place = Place(
            path=package.path,
            layer=package.layer.text,
            package=package.full_name,
            vulnerability=record.id,
        )
        yield Problem(f"{package.version} and {record.id}: {record.reason}", place, True)
    for finding in found.packages.findings:
        place = Place(path=finding.path, layer=finding.layer.text)
        text = f"packages may be missing, {finding.problem} [{finding.code}]"
        yield Problem(text, place, is_unchecked=True)


def _create_severity_check(settings: RuleSettings) -> Callable[..., Iterator[Problem]]:
    level = settings.get_text("level") or LEVELS[2]
    score = settings.get_fraction("score")
    only_fixable = settings.get_text("fixable") == "only"

    def check(item: Vulnerability) -> Problem | None:
        severity = item.severity
        if only_fixable and not item.fixed:
            return None
        if severity.level == "unknown" or (score is not None and severity.score is None):
            return Problem(f"with the severity {severity.level}, no score", is_unchecked=True)
        if score is not None and severity.score is not None:
            return Problem(f"with the severity {severity}") if severity.score >= score else None
        is_severe = LEVELS.index(severity.level) >= LEVELS.index(level)
        return Problem(f"with the severity {severity}") if is_severe else None

    return partial(_check_each, check, _get_ignored(settings), "")


def _create_exploit_check(settings: RuleSettings) -> Callable[..., Iterator[Problem]]:
    def check(item: Vulnerability) -> Problem | None:
        if item.exploit is None:
            return None
        added = f" since {item.exploit.added}" if item.exploit.added else ""
        return Problem(f"which is known to be exploited{added}")

    return partial(_check_each, check, _get_ignored(settings), "kev")


def _create_probability_check(settings: RuleSettings) -> Callable[..., Iterator[Problem]]:
    limit = settings.get_fraction("probability") or 0.0

    def check(item: Vulnerability) -> Problem | None:
        if item.probability is None or item.probability < limit:
            return None
        return Problem(f"with the probability {item.probability:.1%} of an exploit")

    return partial(_check_each, check, _get_ignored(settings), "epss")


def _check_age(days: int, location: AuditedLocation) -> Iterator[Problem]:
    if location.vulnerabilities is None:
        yield _NO_DATABASE
        return
    newest = {
        item.ecosystem: item.modified
        for image in location.vulnerabilities.images
        for item in image.coverage
        if item.records
    }
    if not newest:
        newest[""] = location.vulnerabilities.database.modified
    for ecosystem, modified in newest.items():
        name = f"the records for {ecosystem}" if ecosystem else "the records"
        if modified is None or modified > location.now + _FUTURE:
            yield Problem(f"{name}: the newest change is not known", is_unchecked=True)
        elif location.now - modified > timedelta(days=days):
            age = (location.now - modified).days
            yield Problem(f"{name} were last changed {age} days ago (at most {days})")


def _get_ignored(settings: RuleSettings) -> frozenset[str]:
    return frozenset(settings.get_texts("ignore"))


_ADVICE = "Use an image in which the package is fixed, or waive the vulnerability."

RULES = (
    Rule(
        "no-vulnerabilities",
        "No package has a known vulnerability of a severity or with a CVSS score. A vulnerability"
        " without the one that is compared, and a package that was not checked, are findings with"
        " the code `no-vulnerabilities-unchecked`.",
        _ADVICE,
        scope="platform",
        depth="contents",
        create=_create_severity_check,
        settings=(
            Setting(
                "level",
                "choice",
                "The least severity: `low`, `medium`, `high` or `critical` (default: low).",
                choices=_CHOICES,
            ),
            Setting("score", "score", "The least CVSS score, from 0 to 10, instead of `level`."),
            Setting(
                "fixable",
                "choice",
                "With `only`, vulnerabilities for which no fixed version is known are accepted"
                " (default: any).",
                choices=("any", "only"),
            ),
            _IGNORE,
        ),
        extras=frozenset({"vulnerabilities"}),
    ),
    Rule(
        "no-exploited-vulnerabilities",
        "No package has a vulnerability that is known to be exploited, by the catalog of CISA that"
        " `--kev` names.",
        _ADVICE,
        scope="platform",
        depth="contents",
        create=_create_exploit_check,
        settings=(_IGNORE,),
        extras=frozenset({"vulnerabilities"}),
    ),
    Rule(
        "max-exploit-probability",
        "No package has a vulnerability with this probability of an exploit within 30 days, or a"
        " higher one, by the file of EPSS that `--epss` names. Vulnerabilities that are not in the"
        " file are accepted.",
        _ADVICE,
        scope="platform",
        depth="contents",
        create=_create_probability_check,
        settings=(
            Setting("probability", "probability", "The least probability: `0.1`.", required=True),
            _IGNORE,
        ),
        extras=frozenset({"vulnerabilities"}),
    ),
    Rule(
        "database-max-age",
        "The database of vulnerabilities was changed at most so many days ago, for each ecosystem"
        " of the packages that were found, as its records state.",
        "Bring in a newer database.",
        scope="location",
        depth="contents",
        create=lambda settings: partial(_check_age, settings.get_number("days")),
        settings=(Setting("days", "days", "The maximum age in days.", required=True),),
        extras=frozenset({"vulnerabilities"}),
    ),
)
