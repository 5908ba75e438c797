"""Rules: a check with its name, its settings, and its description for documents and outputs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from bundler.bundle.audit.rules.finding import NOWHERE, Place
from bundler.config.sizes import parse_size
from bundler.config.yaml.context import parse_expression
from bundler.config.yaml.document import MappingNode, ScalarNode, SequenceNode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bundler.bundle.audit.rules.audited import Depth, Extra
    from bundler.bundle.audit.rules.finding import Severity
    from bundler.bundle.audit.vulnerabilities.result import StatedClaim
    from bundler.config.yaml.document import YamlMistakes
    from bundler.gocompat.regexp import GoExpression
    from bundler.oci.reference import ImageReference

SettingKind = Literal[
    "texts", "expressions", "size", "days", "number", "choice", "score", "probability"
]


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting of a rule in a rules file."""

    name: str
    kind: SettingKind
    description: str
    required: bool = False
    choices: tuple[str, ...] = ()
    """The allowed texts; empty: any. Required for the kind ``choice``."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A violation of a rule, or the reason why it cannot be evaluated."""

    text: str
    place: Place = field(default=NOWHERE)
    """The parts of the place that the scope of the rule does not determine."""
    is_unchecked: bool = False
    severity: Severity | None = None
    """None: the severity of the rule."""
    acceptance: StatedClaim | None = None
    """The statement of a trusted signer that accepts it; None: there is none."""


@dataclass(frozen=True, slots=True)
class RuleSettings:
    """The settings of one rule in a rules file, which its schema has validated.

    Mistakes that the schema cannot express are collected.
    """

    fields: MappingNode
    mistakes: YamlMistakes

    def get_texts(self, name: str) -> tuple[str, ...]:
        """Return the texts of a list; empty if it is unset."""
        return tuple(map(str, self._get_items(name)))

    def get_expressions(self, name: str) -> tuple[GoExpression, ...]:
        """Return a list of regular expressions; empty if it is unset."""
        found = (parse_expression(item, self.mistakes) for item in self._get_items(name))
        return tuple(filter(None, found))

    def get_licenses(self, name: str) -> frozenset[str]:
        """Return a list of SPDX licences, with or without exceptions, as they are written there."""
        from bundler.bundle.audit.packages.license_expressions import (  # noqa: PLC0415 - rare
            parse_license,
        )

        found = set()
        for item in self._get_items(name):
            parsed = parse_license(str(item))
            if parsed is None or parsed.args:
                text = f"`{str(item)[:80]}` is not an SPDX licence; other texts belong to `accept`"
                self.mistakes.add(item.at, text)
            else:
                found.add(parsed.render())
        return frozenset(found)

    def get_text(self, name: str) -> str:
        """Return a text; empty if it is unset."""
        value = self.fields.get(name)
        return str(value) if isinstance(value, ScalarNode) else ""

    def get_fraction(self, name: str) -> float | None:
        """Return a number that may have a fraction; None if it is unset."""
        value = self.fields.get(name)
        return float(value) if isinstance(value, ScalarNode) else None

    def get_number(self, name: str) -> int:
        """Return a number; 0 if it is not valid."""
        value = self.fields.get(name)
        return int(value) if isinstance(value, ScalarNode) and value.isdecimal() else 0

    def get_size(self, name: str) -> int:
        """Return a size in bytes; 0 if it is not valid."""
        value = self.fields.get(name)
        if isinstance(value, ScalarNode):
            try:
                return parse_size(value)
            except ValueError as error:
                self.mistakes.add(value.at, str(error))
        return 0

    def _get_items(self, name: str) -> list[Any]:
        value = self.fields.get(name)
        return value if isinstance(value, SequenceNode) else []


Scope = Literal["location", "image", "platform"]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that a rules file can contain."""

    code: str
    """The stable name: the key in a rules file, and the code of findings."""
    summary: str
    """The condition that the images meet; a sentence."""
    advice: str
    """The next step after a finding; a sentence."""
    scope: Scope
    """The values for which the check is called: the location, each image, or each platform."""
    depth: Depth
    create: Callable[[RuleSettings], Callable[..., Iterator[Problem]]]
    """Create the check from the settings. It is called with an AuditedLocation, followed by an
    AuditedImage for the scopes image and platform, and an AuditedPlatform for platform."""
    settings: tuple[Setting, ...] = ()
    extras: frozenset[Extra] = frozenset()
    """The content that it reads besides that of ``depth``."""


def is_among(reference: ImageReference | None, scopes: Sequence[str]) -> bool:
    """Return whether one of ``scopes`` contains an image; no scopes contain every image.

    An image without a name is in none.
    """
    return not scopes or (
        reference is not None and any(is_in_scope(reference, scope) for scope in scopes)
    )


def is_in_scope(reference: ImageReference, scope: str) -> bool:
    """Return whether ``scope`` contains an image.

    A scope is a registry, a repository, the first parts of one, or the full name of an image:
    ``quay.io``, ``quay.io/prometheus``, ``quay.io/prometheus/alertmanager:v0.27.0``.
    """
    repository = reference.repository
    names = {repository, str(reference)}
    if reference.tag is not None:
        names.add(f"{repository}:{reference.tag}")
    return scope in names or repository.startswith(f"{scope.rstrip('/')}/")
