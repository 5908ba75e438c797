"""Find the parts of a rules file that had no effect, such as a misspelled name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.bundle.audit.rules.finding import IGNORE_UNUSED, SCOPE_UNUSED, Finding
from bundler.bundle.audit.rules.rule import is_in_scope

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bundler.bundle.audit.rules.audited import AuditedLocation
    from bundler.bundle.audit.rules.documents.rules_file import ActiveRule


def list_unused(rules: Sequence[ActiveRule], audited: AuditedLocation) -> Iterator[Finding]:
    """Yield a finding for each scope without an image, and for each ignored ID that is not found.

    A rule with such ``images`` checks nothing there; ``except`` and ``ignore`` may be for other
    bundles.
    """
    for active in rules:
        yield from _list_unused_scopes(active, audited)
        if active.ignored and audited.vulnerabilities is not None:
            yield from _list_unused_ids(active, audited)


def _list_unused_scopes(active: ActiveRule, audited: AuditedLocation) -> Iterator[Finding]:
    references = [image.reference for image in audited.images]
    named = [reference for reference in references if reference is not None]
    # A rule also applies to images without a name.
    images = active.images if len(named) == len(references) else ()
    for member, scopes in (("images", images), ("except", active.excepted)):
        for scope in scopes:
            if not any(is_in_scope(reference, scope) for reference in named):
                yield Finding(
                    SCOPE_UNUSED,
                    "warning" if member == "images" else "note",
                    f"{member} of the rule {active.rule.code}: no image is in {scope[:200]!r}",
                    advice="Correct the name in the rules file, or remove it.",
                )


def _list_unused_ids(active: ActiveRule, audited: AuditedLocation) -> Iterator[Finding]:
    """Yield a finding for each ignored ID that no vulnerability of an image of the rule has."""
    found: set[str] = set()
    for image in filter(active.applies_to, audited.images):
        for platform in image.platforms:
            if platform.contents is None or platform.contents.vulnerabilities is None:
                return  # it is not known which ones the image has
            for item in platform.contents.vulnerabilities.vulnerabilities:
                found.update(item.ids)
    for text in dict.fromkeys(active.ignored):
        if text not in found:
            yield Finding(
                IGNORE_UNUSED,
                "note",
                f"ignore of the rule {active.rule.code}: no image has {text[:200]!r}",
                advice="Correct the ID in the rules file, or remove it.",
            )
