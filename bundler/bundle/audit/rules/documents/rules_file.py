"""Rules files: a YAML file with the rules that apply, their settings and their severities."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from bundler.bundle.audit.rules.checks import BY_CODE
from bundler.bundle.audit.rules.programs import DEFAULT_TIMEOUT, Program, create_rule
from bundler.bundle.audit.rules.rule import Problem, Rule, RuleSettings, is_in_scope
from bundler.bundle.manifest.schema_validation import validate
from bundler.config.yaml import document
from bundler.config.yaml.document import (
    MappingNode,
    ScalarNode,
    SequenceNode,
    YamlMistakes,
    get_member,
)
from bundler.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bundler.bundle.audit.packages.claims.vex_signers import VexSigner
    from bundler.bundle.audit.rules.audited import AuditedImage, Depth, Extra
    from bundler.bundle.audit.rules.finding import Severity

_DEPTHS: tuple[Depth, ...] = ("names", "manifests", "contents")
ARTIFACT_TYPES = "artifact-types"
"""The rule that applies even if a file with rules about configs or contents lacks it."""


@dataclass(frozen=True, slots=True)
class ActiveRule:
    """A rule with the settings of a rules file."""

    rule: Rule
    severity: Severity
    check: Callable[..., Iterator[Problem]]
    images: tuple[str, ...] = ()
    """The scopes to which the rule applies; empty: all images."""
    excepted: tuple[str, ...] = ()
    """The scopes to which it does not apply."""
    ignored: tuple[str, ...] = ()
    """The IDs of vulnerabilities that it accepts."""
    program: Program | None = None
    """The program whose results it checks; None: it needs no program."""

    def applies_to(self, image: AuditedImage) -> bool:
        """Return whether the rule applies to an image; an image without a name is not excepted."""
        if image.reference is None:
            return True
        return (
            not self.images or any(is_in_scope(image.reference, scope) for scope in self.images)
        ) and not any(is_in_scope(image.reference, scope) for scope in self.excepted)


@dataclass(frozen=True, slots=True)
class RuleSet:
    """The rules of a file."""

    rules: tuple[ActiveRule, ...]
    fail_on: Severity
    digest: Digest
    """The digest of the file."""
    vex: tuple[VexSigner, ...] = ()
    """The signers whose statements about vulnerabilities count."""

    @property
    def depth(self) -> Depth:
        """The content that must be read to evaluate all rules."""
        return max((item.rule.depth for item in self.rules), key=_DEPTHS.index)

    @property
    def extras(self) -> frozenset[Extra]:
        """The content that must be read besides that of ``depth``."""
        extras: set[Extra] = {extra for item in self.rules for extra in item.rule.extras}
        return frozenset(extras | {"claims"} if self.vex else extras)


def load(path: Path) -> RuleSet:
    """Read a rules file.

    Raises:
        InvalidBundleManifestError: contains every mistake as ``path:line:column: text``.
        ConfigError, UnsupportedError: the key or the trusted root of a signer is not valid.
        LimitError: the file is too large, is nested too deeply, or has too many values.
        NotFoundError: the file does not exist.
    """
    mistakes = YamlMistakes()
    data = document.read_bytes(path)
    value = document.parse(document.decode(data, str(path)), str(path), mistakes)
    validate(value, "rules", mistakes)
    mistakes.raise_if_any()
    members = get_member(value, "rules")
    assert isinstance(members, MappingNode)  # noqa: S101 - validated
    rules = [_read_rule(BY_CODE[code], fields, mistakes) for code, fields in members.items()]
    programs = get_member(value, "programs")
    for name, fields in programs.items() if isinstance(programs, MappingNode) else ():
        assert isinstance(fields, MappingNode)  # noqa: S101 - validated
        settings = RuleSettings(fields, mistakes)
        arguments = settings.get_texts("program")
        if not arguments[0].startswith("/"):
            program_path = cast("SequenceNode", fields["program"])[0]
            mistakes.add(cast("ScalarNode", program_path).at, "`program`: not an absolute path")
        stated = fields.get("statuses")
        statuses = stated.items() if isinstance(stated, MappingNode) else ()
        program = Program(
            str(name),
            arguments,
            settings.get_number("timeout") or DEFAULT_TIMEOUT,
            {int(status): cast("Severity", str(item)) for status, item in statuses} or {1: None},
        )
        active = _read_rule(create_rule(program), fields, mistakes)
        rules.append(replace(active, program=program))
    mistakes.raise_if_any()
    if ARTIFACT_TYPES not in members and any(
        item.rule.scope == "platform" and item.rule.depth != "names" for item in rules
    ):
        rules.append(_read_rule(BY_CODE[ARTIFACT_TYPES], ScalarNode("error"), mistakes))
    fail_on = cast("Severity", str(get_member(value, "failOn") or "error"))
    signers = get_member(value, "vex")
    vex: tuple[VexSigner, ...] = ()
    if isinstance(signers, SequenceNode):
        from bundler.bundle.audit.rules.documents.vex import read_signers  # noqa: PLC0415 - loads cryptography

        vex = read_signers(signers, path.parent, mistakes)
        mistakes.raise_if_any()
    return RuleSet(tuple(rules), fail_on, Digest.of(data), vex)


def _read_rule(rule: Rule, fields: document.Value, mistakes: YamlMistakes) -> ActiveRule:
    if not isinstance(fields, MappingNode):
        return ActiveRule(
            rule, cast("Severity", str(fields)), rule.create(RuleSettings(MappingNode(), mistakes))
        )
    settings = RuleSettings(fields, mistakes)
    return ActiveRule(
        rule,
        cast("Severity", str(fields.get("severity") or "error")),
        rule.create(settings),
        settings.get_texts("images"),
        settings.get_texts("except"),
        settings.get_texts("ignore"),
    )
