"""All rules, in the order of the documentation; one module for each kind of content they read."""

from __future__ import annotations

from bundler.bundle.audit.rules.checks import (
    changes,
    configs,
    files,
    inventory,
    manifests,
    packages,
    references,
    sboms,
    secret_texts,
    vulnerabilities,
)

RULES = (
    *references.RULES,
    *inventory.RULES,
    *changes.RULES,
    *manifests.RULES,
    *configs.RULES,
    *secret_texts.RULES,
    *files.RULES,
    *packages.RULES,
    *sboms.RULES,
    *vulnerabilities.RULES,
)

BY_CODE = {rule.code: rule for rule in RULES}
